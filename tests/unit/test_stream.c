/* gateway/stream.h: what handlers hand in and what of it reaches the protocol; marks, ends,
 * request bodies. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "stream_world.h"

static struct stream *s;
static unsigned n_bodies, n_writables, n_starts;
static int closed_err; /* 1: not called */

static void on_start(struct stream *stream)
{
    assert_ptr_equal(stream, s);
    n_starts++;
}

static void on_body(struct stream *stream)
{
    assert_ptr_equal(stream, s);
    n_bodies++;
}

static void on_writable(struct stream *stream)
{
    assert_ptr_equal(stream, s);
    n_writables++;
}

static void on_closed(struct stream *stream, int err)
{
    assert_ptr_equal(stream, s);
    assert_int_equal(closed_err, 1); /* once */
    closed_err = err;
}

static const struct handler handler = {
    .name = "test",
    .start = on_start,
    .body = on_body,
    .writable = on_writable,
    .closed = on_closed,
};

static void run_handler(struct stream *stream)
{
    stream_handle(stream, &handler, NULL);
}

static int setup(void **state)
{
    (void)state;
    world_begin();
    w.route = run_handler;
    n_bodies = n_writables = n_starts = 0;
    closed_err = 1;
    s = world_stream("GET");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end();
    return 0;
}

static int head(int status, int64_t content_length)
{
    const struct response r = {.status = status, .content_length = content_length};

    return stream_send_head(s, &r);
}

/* ---- requests ---- */

static void test_target(void **state)
{
    static const struct {
        const char *target, *path, *query;
        bool has_query;
    } rows[] = {
        {"/", "/", "", false},         {"/a?", "/a", "", true}, {"/a?b", "/a", "b", true},
        {"/a?b?c", "/a", "b?c", true}, {"*", "*", "", false},   {"?", "", "", true},
        {"", "", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stream_set_target(s, slice_str(rows[i].target));
        assert_true(slice_eq(s->req.target, slice_str(rows[i].target)));
        assert_true(slice_eq(s->req.path, slice_str(rows[i].path)));
        assert_true(slice_eq(s->req.query, slice_str(rows[i].query)));
        assert_int_equal(s->req.has_query, rows[i].has_query);
        assert_non_null(s->req.query.p);
    }
}

static void test_request_fields(void **state)
{
    char name[] = "Name", value[] = "v0";

    (void)state;
    for (char i = 0; i < 50; i++) {
        value[1] = (char)('0' + i % 10);
        assert_int_equal(stream_add_field(s, slice_str(name), slice_str(value)), 0);
    }
    value[0] = name[0] = 'x'; /* they were copied */
    assert_int_equal(s->req.n_fields, 50);
    for (size_t i = 0; i < 50; i++) {
        assert_true(slice_eq(s->req.fields[i].name, SLICE("Name")));
        assert_int_equal(s->req.fields[i].value.p[0], 'v');
        assert_int_equal(s->req.fields[i].value.p[1], '0' + i % 10);
    }
    assert_int_equal(stream_add_field(s, SLICE("Empty"), SLICE("")), 0);
    assert_int_equal(s->req.fields[50].value.n, 0);
}

static void test_list_of_streams(void **state)
{
    struct stream *a = world_stream("GET"), *b = world_stream("GET");

    (void)state;
    assert_int_equal(w.c.n_streams, 3);
    assert_int_equal(atomic_load(&w.worker.n_streams), 3);
    stream_on_close(a, 0); /* the middle one */
    assert_int_equal(w.c.n_streams, 2);
    stream_on_close(b, 0);
    assert_ptr_equal(w.c.streams, s);
    assert_null(s->next);
    assert_null(s->prev);
    assert_int_equal(w.seen.n_closed, 0); /* they had no head: no line in the log */
}

/* ---- heads ---- */

static void test_fields_are_cleaned(void **state)
{
    static const char nul[] = "a\0b";
    const struct field fields[] = {
        {SLICE("Content-Type"), SLICE("text/plain")},
        {SLICE("connection"), SLICE("close")},
        {SLICE("Keep-Alive"), SLICE("timeout=5")},
        {SLICE("TRANSFER-ENCODING"), SLICE("chunked")},
        {SLICE("Status"), SLICE("200")},
        {SLICE("Upgrade"), SLICE("h2c")},
        {SLICE("Content-Length"), SLICE("3")},
        {SLICE("Trailer"), SLICE("X")},
        {SLICE("TE"), SLICE("trailers")},
        {SLICE("Proxy-Connection"), SLICE("close")},
        {SLICE(""), SLICE("no name")},
        {SLICE("a b"), SLICE("space")},
        {SLICE("a:b"), SLICE("colon")},
        {SLICE("a\x7f"), SLICE("delete")},
        {SLICE("a\xe4"), SLICE("latin")},
        {SLICE("X-Split"), SLICE("a\r\nSet-Cookie: b")},
        {SLICE("X-Line"), SLICE("a\nb")},
        {SLICE("X-Return"), SLICE("a\rb")},
        {SLICE("X-Nul"), {nul, 3}},
        {SLICE("X-Empty"), {NULL, 0}},
        {SLICE("Set-Cookie"), SLICE("a=\xc3\xa4")},
        {SLICE("Set-Cookie"), SLICE("b")},
    };
    const struct response r = {.status = 200,
                               .fields = fields,
                               .n_fields = sizeof(fields) / sizeof(fields[0]),
                               .content_length = -1};
    const char *want =
        "Content-Type: text/plain|X-Empty: |Set-Cookie: a=\xc3\xa4|Set-Cookie: b|";

    (void)state;
    assert_int_equal(stream_send_interim(s, 103, fields, r.n_fields), 0);
    assert_string_equal(w.seen.fields, want);
    assert_int_equal(w.seen.interim, 103);
    w.seen.fields[0] = '\0';
    assert_int_equal(stream_send_head(s, &r), 0);
    assert_string_equal(w.seen.fields, want);
    assert_int_equal(s->status, 200);
    assert_int_equal(stream_send_interim(s, 103, NULL, 0), 0); /* too late: not sent */
    assert_int_equal(w.seen.n_interims, 1);
}

static void test_head_that_fails(void **state)
{
    (void)state;
    stream_on_head(s);
    w.fail_head = GW_ENO_MEMORY;
    assert_int_equal(head(200, 5), GW_ENO_MEMORY);
    assert_int_equal(w.seen.n_resets, 1);
    assert_int_equal(closed_err, GW_ENO_MEMORY);
    assert_int_equal(head(200, 5), GW_ECLIENT_GONE);
    assert_int_equal(stream_send_body(s, "hello", 5), 0);
    stream_finish(s);
    assert_int_equal(w.seen.n_resets, 1);
}

/* ---- bodies ---- */

static void expect_body(const char *text)
{
    world_take(s, SIZE_MAX);
    assert_int_equal(buf_len(&w.seen.body), strlen(text));
    assert_memory_equal(buf_at(&w.seen.body), text, strlen(text));
}

static struct chunk *chunk_of(const char *text, uint32_t off)
{
    struct chunk *k = chunk_new(strlen(text) + 10);

    assert_non_null(k);
    k->len = (uint32_t)strlen(text);
    k->off = off;
    memcpy(k->data, text, k->len);
    return k;
}

static void test_body(void **state)
{
    (void)state;
    assert_int_equal(head(200, -1), 0);
    assert_int_equal(stream_send_body(s, "", 0), 0);
    assert_int_equal(stream_send_body(s, "ab", 2), 2);
    assert_int_equal(stream_send_chunk(s, chunk_of("xcde", 1)), 5);
    assert_int_equal(stream_send_chunk(s, chunk_of("", 0)), 5);
    stream_finish(s);
    expect_body("abcde");
    assert_true(world_complete(s));
    assert_int_equal(s->out.n_body, 5);
    assert_int_equal(stream_send_body(s, "f", 1), 0); /* nothing after the end */
    assert_int_equal(stream_send_chunk(s, chunk_of("g", 0)), 0);
    expect_body("abcde");
}

static void test_body_is_cut_to_its_length(void **state)
{
    (void)state;
    assert_int_equal(head(200, 5), 0);
    assert_int_equal(stream_send_body(s, "abc", 3), 3);
    assert_int_equal(stream_send_chunk(s, chunk_of("defg", 0)), 5);
    assert_int_equal(stream_send_body(s, "hij", 3), 5);
    assert_int_equal(stream_send_chunk(s, chunk_of("k", 0)), 5);
    stream_finish(s);
    expect_body("abcde");
    assert_int_equal(w.seen.n_resets, 0);
}

static void test_body_shorter_than_its_length(void **state)
{
    (void)state;
    stream_on_head(s);
    assert_int_equal(head(200, 5), 0);
    stream_send_body(s, "abcd", 4);
    stream_finish(s);
    assert_int_equal(w.seen.n_resets, 1);
    assert_int_equal(w.seen.reset_err, GW_ECGI_SHORT);
    assert_int_equal(closed_err, GW_ECGI_SHORT);
    assert_false(s->out.eof);
    stream_on_close(s, 0);
    assert_int_equal(w.seen.closed_err, GW_ECGI_SHORT);
}

static void test_no_body(void **state)
{
    static const struct {
        const char *method;
        int status;
        int64_t length, sent; /* Content-Length given, and passed on */
    } rows[] = {
        {"HEAD", 200, 5, 5}, {"HEAD", 200, -1, -1}, {"GET", 204, 5, -1},
        {"GET", 304, 5, 5},  {"GET", 304, -1, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s->req.method = slice_str(rows[i].method);
        assert_int_equal(head(rows[i].status, rows[i].length), 0);
        assert_int_equal(w.seen.content_length, rows[i].sent);
        assert_int_equal(stream_send_body(s, "abc", 3), 0);
        assert_int_equal(stream_send_chunk(s, chunk_of("abc", 0)), 0);
        stream_finish(s);
        assert_true(world_complete(s));
        assert_int_equal(w.seen.n_resets, 0);
        stream_on_close(s, 0);
        s = world_stream("GET");
    }
}

/* A producer that stopped at the high mark is told at the low one, whatever it still handed in
 * of what it had read. */
static void test_marks(void **state)
{
    static const uint8_t bytes[STREAM_OUT_HIGH];

    (void)state;
    stream_on_head(s);
    assert_int_equal(head(200, -1), 0);
    assert_int_equal(stream_send_body(s, bytes, STREAM_OUT_HIGH - 1), STREAM_OUT_HIGH - 1);
    world_take(s, STREAM_OUT_HIGH);
    assert_int_equal(n_writables, 0); /* it never stopped */

    assert_int_equal(stream_send_body(s, bytes, STREAM_OUT_HIGH), STREAM_OUT_HIGH);
    assert_int_equal(world_take(s, STREAM_OUT_LOW), STREAM_OUT_LOW);
    assert_int_equal(n_writables, 0);
    world_take(s, 1);
    assert_int_equal(n_writables, 1);
    world_take(s, SIZE_MAX);
    assert_int_equal(n_writables, 1);

    stream_send_body(s, bytes, STREAM_OUT_HIGH);
    world_take(s, STREAM_OUT_HIGH / 4);
    assert_true(stream_send_body(s, bytes, 10) < STREAM_OUT_HIGH); /* the rest of a read */
    world_take(s, SIZE_MAX);
    assert_int_equal(n_writables, 2);
}

/* Much waits for other clients of the worker: the producer stops early.  What waits is counted
 * until it is taken, or the stream ends. */
static void test_marks_while_much_waits(void **state)
{
    static const uint8_t bytes[STREAM_OUT_HIGH];

    (void)state;
    stream_on_head(s);
    assert_int_equal(head(200, -1), 0);
    atomic_store(&w.worker.out_held, WORKER_OUT_MANY + 1);
    stream_send_body(s, bytes, STREAM_PRESSED_HIGH);
    assert_int_equal(s->out.high, STREAM_PRESSED_HIGH);
    assert_true(s->out.want_writable);
    atomic_fetch_sub(&w.worker.out_held, WORKER_OUT_MANY + 1);
    assert_int_equal(atomic_load(&w.worker.out_held), STREAM_PRESSED_HIGH);
    world_take(s, STREAM_PRESSED_HIGH / 2 + 1);
    assert_int_equal(n_writables, 1);
    stream_send_body(s, bytes, 10);
    assert_int_equal(s->out.high, STREAM_OUT_HIGH);
}

/* ---- failures ---- */

static void test_error_before_the_head(void **state)
{
    const struct field retry = {SLICE("Retry-After"), SLICE("3")};

    (void)state;
    stream_on_head(s);
    stream_error_fields(s, GW_EPOOL_FULL, &retry, 1);
    assert_int_equal(w.seen.status, 503);
    assert_non_null(strstr(w.seen.fields, "Retry-After: 3|Content-Type: "));
    assert_int_equal(w.seen.content_length, (int64_t)s->out.body.n);
    assert_true(s->finished && s->in_discard);
    assert_int_equal(closed_err, 1); /* the handler failed it, so it knows */
    stream_error(s, GW_EINTERNAL);
    assert_int_equal(w.seen.n_heads, 1);
    assert_int_equal(s->err, GW_EPOOL_FULL);
}

static void test_error_after_the_head(void **state)
{
    (void)state;
    stream_on_head(s);
    head(200, -1);
    stream_error(s, GW_EBACKEND_CLOSED);
    assert_int_equal(w.seen.n_resets, 1);
    assert_int_equal(w.seen.n_heads, 1);
    assert_int_equal(w.seen.reset_err, GW_EBACKEND_CLOSED);
}

static void test_error_nobody_hears(void **state)
{
    (void)state;
    stream_on_head(s);
    stream_error(s, GW_ECLIENT_SLOW);
    assert_int_equal(w.seen.n_heads, 0);
    assert_int_equal(w.seen.n_resets, 1);
}

static void test_give_up(void **state)
{
    (void)state;
    stream_on_head(s);
    stream_give_up(s, GW_EBODY_TIME);
    assert_int_equal(closed_err, GW_EBODY_TIME);
    assert_int_equal(w.seen.status, 408);
}

/* All was handed in, and the client does not take it. */
static void test_give_up_after_the_end(void **state)
{
    (void)state;
    stream_on_head(s);
    head(200, 5);
    stream_send_body(s, "hello", 5);
    stream_finish(s);
    stream_give_up(s, GW_ECLIENT_SLOW);
    assert_int_equal(w.seen.n_resets, 1);
    assert_int_equal(w.seen.reset_err, GW_ECLIENT_SLOW);
    assert_int_equal(closed_err, GW_ECLIENT_SLOW);
}

static void test_bad_head(void **state)
{
    (void)state;
    stream_on_bad_head(s, GW_EREQ_METHOD);
    assert_int_equal(w.seen.status, 405);
    assert_non_null(strstr(w.seen.fields, "Allow: "));
    assert_int_equal(n_starts, 0);
    stream_on_close(s, 0);
    assert_int_equal(w.seen.n_closed, 1);
}

static void test_close(void **state)
{
    (void)state;
    stream_on_head(s);
    assert_int_equal(n_starts, 1);
    lock_take(&w.c.mu);
    stream_event_locked(s, STREAM_EV_BODY);
    stream_event_locked(s, STREAM_EV_CLOSED);
    lock_drop(&w.c.mu);
    assert_ptr_equal(w.c.events, s);
    head(200, -1);
    assert_int_equal(stream_send_body(s, "abc", 3), 0); /* goes nowhere */
    stream_on_close(s, GW_ECLIENT_RESET);
    assert_null(w.c.events);
    assert_int_equal(closed_err, GW_ECLIENT_RESET);
    assert_int_equal(w.seen.closed_err, GW_ECLIENT_RESET);
    assert_int_equal(w.c.n_streams, 0);
}

/* ---- request bodies ---- */

static void body_comes(const char *text, bool eof)
{
    if (!s->in_discard)
        assert_int_equal(chain_append(&s->in, text, strlen(text)), 0);
    s->in_total += strlen(text);
    s->in_eof = eof;
    stream_on_body(s);
}

static void test_continue(void **state)
{
    (void)state;
    s->req.expect_continue = true;
    stream_on_head(s);
    stream_want_body(s);
    stream_want_body(s);
    assert_int_equal(w.seen.n_interims, 1);
    assert_int_equal(w.seen.interim, 100);
    assert_true(s->waits_for_body);
    body_comes("x", true);
    assert_false(s->waits_for_body);
    assert_int_equal(n_bodies, 1);
    s->req.expect_continue = true;
    stream_want_body(s); /* it is here already */
    assert_int_equal(w.seen.n_interims, 1);
}

static void test_discard(void **state)
{
    (void)state;
    stream_on_head(s);
    body_comes("abc", false);
    assert_int_equal(n_bodies, 1);
    stream_discard_body(s);
    assert_int_equal(w.seen.consumed, 3);
    assert_int_equal(s->in.n, 0);
    body_comes("def", true);
    assert_int_equal(n_bodies, 1);
}

static void test_body_limit(void **state)
{
    (void)state;
    stream_on_head(s);
    s->body_limit = 5;
    body_comes("abcde", false);
    assert_int_equal(n_bodies, 1);
    body_comes("f", false);
    assert_int_equal(closed_err, GW_EBODY_LARGE);
    assert_int_equal(w.seen.status, 413);
    assert_int_equal(w.seen.consumed, 6);
    body_comes("g", true); /* after the end */
    assert_int_equal(w.seen.n_heads, 1);
    assert_int_equal(n_bodies, 1);
}

static void test_finish_discards(void **state)
{
    (void)state;
    stream_on_head(s);
    body_comes("abc", false);
    head(200, 0);
    stream_finish(s);
    assert_true(s->in_discard);
    assert_int_equal(w.seen.consumed, 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_target),
        T(test_request_fields),
        T(test_list_of_streams),
        T(test_fields_are_cleaned),
        T(test_head_that_fails),
        T(test_body),
        T(test_body_is_cut_to_its_length),
        T(test_body_shorter_than_its_length),
        T(test_no_body),
        T(test_marks),
        T(test_marks_while_much_waits),
        T(test_error_before_the_head),
        T(test_error_after_the_head),
        T(test_error_nobody_hears),
        T(test_give_up),
        T(test_give_up_after_the_end),
        T(test_bad_head),
        T(test_close),
        T(test_continue),
        T(test_discard),
        T(test_body_limit),
        T(test_finish_discards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
