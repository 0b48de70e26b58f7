/* gateway/encode.h: a coding whose library fails with the first of the body, before the head went
 * out or behind it.  Codecs, and what takes the head and the body, are played here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/conn.h"
#include "../../gateway/encode.h"
#include "../../gateway/stream_out.h"
#include "../../gateway/worker.h"
#include "loop_world.h"

enum { COST = 1000, LIMIT = 10 * COST };

/* ---- codecs that put a letter before what they take, or fail ---- */

struct codec {
    enum coding coding;
    bool began;
};

static bool fails[CODINGS];
static unsigned n_codecs;

struct codec *codec_new(enum coding coding, int level, int64_t size)
{
    struct codec *c = calloc(1, sizeof(*c));

    (void)level;
    (void)size;
    assert_non_null(c);
    c->coding = coding;
    n_codecs++;
    return c;
}

void codec_free(struct codec *c)
{
    n_codecs -= c != NULL;
    free(c);
}

bool codec_restart(struct codec *c, int level, int64_t size)
{
    (void)c;
    (void)level;
    (void)size;
    return false;
}

int codec_step(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out, size_t room,
               size_t *ret_n)
{
    size_t head = !c->began, n = in->n < room - head ? in->n : room - head;

    (void)op;
    if (fails[c->coding])
        return GW_ECODEC;
    if (head)
        out[0] = (uint8_t) "bzg"[c->coding];
    c->began = true;
    memcpy(out + head, in->p, n);
    *in = slice_from(*in, n);
    *ret_n = head + n;
    return in->n == 0;
}

enum coding codec_coding(const struct codec *c)
{
    return c->coding;
}

size_t codec_cost(enum coding coding, int level)
{
    (void)coding;
    (void)level;
    return COST;
}

/* ---- what goes out ---- */

static int64_t head_length;
static char head[64], body[256 * 1024];
static size_t n_body;
static bool ended;
static int failed;

int stream_pass_head(struct stream *s, const struct response *r)
{
    (void)s;
    assert_string_equal(head, "");
    assert_int_equal(n_body, 0);
    snprintf(head, sizeof(head), "identity");
    head_length = r->content_length;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (slice_ieq(r->fields[i].name, SLICE("Content-Encoding")))
            snprintf(head, sizeof(head), "%.*s", SLICE_FMT(r->fields[i].value));
    }
    return 0;
}

int stream_pass_body(struct stream *s, const void *p, size_t n)
{
    (void)s;
    assert_string_not_equal(head, ""); /* never before it */
    assert_true(n_body + n <= sizeof(body));
    memcpy(body + n_body, p, n);
    n_body += n;
    return 0;
}

void stream_pass_end(struct stream *s)
{
    (void)s;
    ended = true;
}

void stream_pass_room(struct stream *s)
{
    (void)s;
}

void stream_fail(struct stream *s, int err)
{
    failed = err;
    encode_drop(s);
}

/* ---- a response ---- */

static const struct slice types[] = {{"text/*", 6}};
static const struct conf_compress conf = {
    .order = {CODING_ZSTD, CODING_BR, CODING_GZIP},
    .n = 3,
    .min = 100,
    .types = types,
    .n_types = 1,
};

static char text[200 * 1024];

/* A response of n bytes to a client that takes every coding. */
struct answer {
    size_t n, piece;
    bool said;    /* its length is in its head */
    bool pausing; /* nothing of the body comes until the head was let go, */
    bool breaks;  /* and no library works from then on */
};

/* The text, as its handler hands it in.  False: it failed on the way. */
static bool hand_in(struct stream *s, const struct answer *row)
{
    for (size_t at = 0; at < row->n; at += row->piece) {
        size_t now = row->n - at < row->piece ? row->n - at : row->piece;
        int rc =
            s->encoder ? encode_put(s, text + at, now) : stream_pass_body(s, text + at, now);
        if (rc < 0) {
            stream_fail(s, rc);
            return false;
        }
    }
    return true;
}

static void answer(const struct answer *row)
{
    static const struct field accept = {{"Accept-Encoding", 15}, {"zstd, br, gzip", 14}};
    static const struct field type = {{"Content-Type", 12}, {"text/plain", 10}};
    struct encode_budget budget = {.limit = LIMIT};
    struct worker w = {.loop = world_loop()};
    struct conn c = {.worker = &w, .loop = w.loop};
    const struct conf_route route = {.compress = &conf};
    struct stream s = {.conn = &c, .loop = w.loop, .route = &route};
    struct response r = {.status = 200, .fields = &type, .n_fields = 1};

    r.content_length = row->said ? (int64_t)row->n : -1;
    head[0] = '\0';
    n_body = 0;
    ended = false;
    failed = 0;
    arena_init(&s.arena);
    s.req.fields = (struct field *)(uintptr_t)&accept;
    s.req.n_fields = 1;
    s.req.version = HTTP_1_1;
    encoders_init(&w.encoders, w.loop, &budget);
    assert_int_equal(encode_head(&s, &r), 1); /* held back */
    assert_true(encode_is_held(&s));
    for (int turns = 0; row->pausing && encode_is_held(&s) && turns < 10; turns++)
        world_poll(w.loop);
    if (row->breaks)
        memset(fails, true, sizeof(fails));
    if (hand_in(&s, row)) {
        if (!s.encoder || encode_finish(&s) == 0)
            ended = true;
        for (int turns = 0; !ended && turns < 10; turns++)
            world_poll(w.loop);
        assert_true(ended);
    }
    assert_null(s.encoder);
    encoders_fini(&w.encoders);
    assert_int_equal(atomic_load(&budget.used), 0);
    assert_int_equal(n_codecs, 0);
    arena_fini(&s.arena);
    loop_free(w.loop);
}

static void test_codings_that_fail(void **state)
{
    static const struct {
        bool fails[CODINGS];
        const char *head;
        char letter; /* 0: the body as it is */
    } rows[] = {
        {{0}, "zstd", 'z'},
        {{[CODING_ZSTD] = true}, "br", 'b'},
        {{[CODING_ZSTD] = true, [CODING_BR] = true}, "gzip", 'g'},
        {{[CODING_ZSTD] = true, [CODING_BR] = true, [CODING_GZIP] = true}, "identity", 0},
    };
    static const size_t sizes[] = {100, 101, 4000, ENCODE_OUT, ENCODE_OUT + 1, sizeof(text)};
    static const size_t pieces[] = {99, 16384, sizeof(text)};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < 6 * 3 * 2; k++) {
            const struct answer row = {
                .n = sizes[k / 6], .piece = pieces[k / 2 % 3], .said = k % 2};
            size_t extra = rows[i].letter != 0;
            memcpy(fails, rows[i].fails, sizeof(fails));
            answer(&row);
            assert_int_equal(failed, 0);
            assert_string_equal(head, rows[i].head);
            assert_int_equal(head_length, extra || !row.said ? -1 : (int64_t)row.n);
            assert_int_equal(n_body, row.n + extra);
            if (extra)
                assert_int_equal(body[0], rows[i].letter);
            assert_memory_equal(body + extra, text, row.n);
        }
    }
}

/* The head does not wait for a body that does not come, and has said then that it is encoded. */
static void test_pause_behind_the_head(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        const struct answer row = {
            .n = 4000, .piece = 1000, .said = k % 2, .pausing = true, .breaks = k / 2};
        memset(fails, false, sizeof(fails));
        answer(&row);
        assert_string_equal(head, "zstd");
        assert_int_equal(failed, row.breaks ? GW_ECODEC : 0);
        assert_int_equal(n_body, row.breaks ? 0 : 4001);
        if (!row.breaks)
            assert_memory_equal(body + 1, text, 4000);
    }
}

static void fill_text(void)
{
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codings_that_fail),
                                       cmocka_unit_test(test_pause_behind_the_head)};

    fill_text();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
