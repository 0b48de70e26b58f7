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

enum { PIECE = 4096 };

static bool fails[CODINGS];
static bool is_slow; /* a step takes as long as a turn may */
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
    for (uint64_t now_us = clock_now_us(); is_slow && clock_now_us() < now_us + ENCODE_TURN_US;)
        ;
    if (head)
        out[0] = (uint8_t) "bzg"[c->coding];
    c->began = true;
    memcpy(out + head, in->p, n);
    *in = slice_from(*in, n);
    *ret_n = head + n;
    return in->n == 0;
}

size_t codec_piece(enum coding coding, int level)
{
    (void)coding;
    (void)level;
    return PIECE;
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

struct world {
    struct encode_budget budget;
    struct worker worker;
    struct conn conn;
    struct conf_route route;
    struct stream stream;
};

/* The head of a response, its length said or -1, to a client that takes every coding. */
static void begin(struct world *w, int64_t length)
{
    static const struct field accept = {{"Accept-Encoding", 15}, {"zstd, br, gzip", 14}};
    static const struct field type = {{"Content-Type", 12}, {"text/plain", 10}};
    struct response r = {
        .status = 200, .fields = &type, .n_fields = 1, .content_length = length};

    *w = (struct world){.budget.limit = LIMIT, .worker.loop = world_loop()};
    w->conn.worker = &w->worker;
    w->conn.loop = w->stream.loop = w->worker.loop;
    w->route.compress = &conf;
    w->stream.conn = &w->conn;
    w->stream.route = &w->route;
    head[0] = '\0';
    n_body = 0;
    ended = false;
    failed = 0;
    arena_init(&w->stream.arena);
    w->stream.req.fields = (struct field *)(uintptr_t)&accept;
    w->stream.req.n_fields = 1;
    w->stream.req.version = HTTP_1_1;
    encoders_init(&w->worker.encoders, w->worker.loop, &w->budget);
    assert_int_equal(encode_head(&w->stream, &r), 1); /* held back */
    assert_true(encode_is_held(&w->stream));
}

/* All of it came, or it failed; it is given the turns it needs, and nothing is left. */
static void end(struct world *w)
{
    if (!failed && (!w->stream.encoder || encode_finish(&w->stream) == 0))
        ended = true;
    for (int turns = 0; !failed && !ended && turns < 100; turns++)
        world_poll(w->worker.loop);
    assert_true(failed || ended);
    assert_null(w->stream.encoder);
    encoders_fini(&w->worker.encoders);
    assert_int_equal(atomic_load(&w->budget.used), 0);
    assert_int_equal(n_codecs, 0);
    arena_fini(&w->stream.arena);
    loop_free(w->worker.loop);
}

/* n bytes of the text in pieces. */
static void hand_in(struct world *w, size_t n, size_t piece)
{
    struct stream *s = &w->stream;

    for (size_t at = 0; at < n && !failed; at += piece) {
        size_t now = n - at < piece ? n - at : piece;
        int rc =
            s->encoder ? encode_put(s, text + at, now) : stream_pass_body(s, text + at, now);
        if (rc < 0)
            stream_fail(s, rc);
    }
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
            size_t n = sizes[k / 6], extra = rows[i].letter != 0;
            bool said = k % 2;
            struct world w;
            memcpy(fails, rows[i].fails, sizeof(fails));
            begin(&w, said ? (int64_t)n : -1);
            hand_in(&w, n, pieces[k / 2 % 3]);
            end(&w);
            assert_int_equal(failed, 0);
            assert_string_equal(head, rows[i].head);
            assert_int_equal(head_length, extra || !said ? -1 : (int64_t)n);
            assert_int_equal(n_body, n + extra);
            if (extra)
                assert_int_equal(body[0], rows[i].letter);
            assert_memory_equal(body + extra, text, n);
        }
    }
    memset(fails, false, sizeof(fails));
}

/* The head does not wait for a body that does not come, and has said then that it is encoded. */
static void test_pause_behind_the_head(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        bool breaks = k / 2;
        struct world w;
        begin(&w, k % 2 ? 4000 : -1);
        for (int turns = 0; encode_is_held(&w.stream) && turns < 10; turns++)
            world_poll(w.worker.loop);
        assert_string_equal(head, "zstd");
        memset(fails, breaks, sizeof(fails));
        hand_in(&w, 4000, 1000);
        end(&w);
        memset(fails, false, sizeof(fails));
        assert_int_equal(failed, breaks ? GW_ECODEC : 0);
        assert_int_equal(n_body, breaks ? 0 : 4001);
        if (!breaks)
            assert_memory_equal(body + 1, text, 4000);
    }
}

/* ---- turns ---- */

/* No turn encodes more than it may, and what the library is slow with waits after each piece. */
static void test_turns(void **state)
{
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        size_t n = slow ? (size_t)5 * PIECE : sizeof(text), most = slow ? PIECE : ENCODE_TURN;
        struct world w;
        is_slow = slow;
        begin(&w, (int64_t)n);
        hand_in(&w, n, sizeof(text));
        assert_in_range(n_body, 1, most + 1);
        for (size_t before; (before = n_body) < n + 1;) {
            assert_true(encode_waiting(&w.stream) > 0);
            world_poll(w.worker.loop);
            assert_in_range(n_body - before, 1, most);
        }
        end(&w);
        assert_memory_equal(body + 1, text, n);
    }
    is_slow = false;
}

static void fill_text(void)
{
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codings_that_fail),
                                       cmocka_unit_test(test_pause_behind_the_head),
                                       cmocka_unit_test(test_turns)};

    fill_text();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
