/* gateway/forward.h: the request's way to a pool, and what happens when that fails. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "forward_world.h"

/* ---- request bodies ---- */

static void begin_post(int64_t length)
{
    s->req.method = SLICE("POST");
    s->req.has_body = true;
    s->req.content_length = length;
    s->in_eof = false;
    stream_on_head(s);
}

static void body_comes(const char *text, bool eof)
{
    assert_int_equal(chain_append(&s->in, text, strlen(text)), 0);
    s->in_total += strlen(text);
    s->in_eof = eof;
    stream_on_body(s);
}

static void expect_stdin(const char *text)
{
    assert_int_equal(buf_len(&app.stdin_), strlen(text));
    assert_memory_equal(buf_at(&app.stdin_), text, strlen(text));
}

static void test_body(void **state)
{
    (void)state;
    begin_post(10);
    body_comes("abc", false); /* before there is a slot */
    assert_false(app.begun);
    grant();
    assert_int_equal(announced, 10);
    assert_true(app.body);
    expect_stdin("abc");
    assert_true(s->waits_for_body);
    app.room = 2;
    body_comes("defg", false);
    expect_stdin("abcde");
    assert_false(s->waits_for_body); /* the application is to move now */
    app.room = 100;
    app.ops->writable(app.arg);
    expect_stdin("abcdefg");
    assert_true(s->waits_for_body);
    body_comes("hij", true);
    expect_stdin("abcdefghij");
    assert_true(app.stdin_ended);
    assert_int_equal(w.seen.consumed, 10);
    app_says("Status: 200\n\nok");
    app_ends(0);
    expect_body("ok");
}

static void test_body_of_unknown_length(void **state)
{
    (void)state;
    begin_post(-1);
    body_comes("abc", false);
    body_comes("de", false);
    assert_int_equal(n_asked, 0); /* its length has to be known first */
    body_comes("f", true);
    assert_int_equal(n_asked, 1);
    grant();
    assert_int_equal(announced, 6);
    expect_stdin("abcdef");
    assert_true(app.stdin_ended);
    app_says("Status: 200\n\n");
    app_ends(0);
}

static void test_body_of_unknown_length_streamed(void **state)
{
    (void)state;
    route.request_body = CONF_BODY_STREAM;
    begin_post(-1);
    grant();
    assert_int_equal(announced, -1);
    body_comes("abc", false);
    expect_stdin("abc");
    assert_false(app.stdin_ended);
    body_comes("", true);
    assert_true(app.stdin_ended);
    app_says("Status: 200\n\n");
    app_ends(0);
}

static void test_large_body_spooled(void **state)
{
    enum { N = 700 * 1024, STEP = 10 * 1024 };
    char step[STEP + 1];

    (void)state;
    route.request_body = CONF_BODY_SPOOL;
    begin_post(N);
    memset(step, 'x', STEP);
    step[STEP] = '\0';
    for (int i = 0; i < N / STEP; i++) {
        step[0] = (char)(i + 1);
        body_comes(step, i == N / STEP - 1);
        if (i % 10 == 0)
            world_job();
    }
    while (world_job())
        ;
    assert_int_equal(n_asked, 1);
    grant();
    for (int i = 0; !app.stdin_ended && i < 1000; i++) {
        app.room = 5000;
        app.ops->writable(app.arg);
        world_job();
    }
    assert_true(app.stdin_ended);
    assert_int_equal(buf_len(&app.stdin_), N);
    for (int i = 0; i < N / STEP; i++)
        assert_int_equal(buf_at(&app.stdin_)[i * STEP], i + 1);
    app_says("Status: 200\n\n");
    app_ends(0);
}

static void test_body_over_the_limit(void **state)
{
    (void)state;
    s->body_limit = 5;
    begin_post(6);
    assert_int_equal(w.seen.status, 413);
    assert_int_equal(n_asked, 0);
}

static void test_body_over_the_limit_on_its_way(void **state)
{
    (void)state;
    s->body_limit = 5;
    route.request_body = CONF_BODY_STREAM;
    begin_post(-1);
    grant();
    body_comes("abcdef", false);
    assert_int_equal(w.seen.status, 413);
    assert_int_equal(n_aborted, 1);
}

static void test_spool_fails(void **state)
{
    char step[60 * 1024 + 1];

    (void)state;
    budget.limit = 10;
    begin_post(-1);
    memset(step, 'x', sizeof(step) - 1);
    step[sizeof(step) - 1] = '\0';
    for (int i = 0; i < 4 && !s->finished; i++)
        body_comes(step, false);
    assert_int_equal(w.seen.status, 503);
    assert_int_equal(s->err, GW_ESPOOL_LIMIT);
}

/* ---- failures ---- */

static void test_refused(void **state)
{
    static const struct {
        int err, status;
        const char *fields;
    } rows[] = {
        {GW_EPOOL_FULL, 503, "Retry-After: 7|"},
        {GW_EPOOL_TIME, 503, "Retry-After: 7|"},
        {GW_EPOOL_DOWN, 503, "Retry-After: 7|"},
        {GW_EBACKEND_CONNECT_TIME, 504, "Content-Type"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stream_on_head(s);
        app_fails(rows[i].err, FCGI_RETRY_NO);
        assert_int_equal(w.seen.status, rows[i].status);
        assert_memory_equal(w.seen.fields, rows[i].fields, strlen(rows[i].fields));
        assert_int_equal(n_asked, 1);
        teardown(state);
        setup(state);
    }
}

static void test_retry(void **state)
{
    static const struct {
        const char *method;
        int err;
        enum fcgi_retry retry; /* what the client says */
        unsigned want;         /* requests made when all fail so */
    } rows[] = {
        {"GET", GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT, 3},
        {"GET", GW_EBACKEND_CLOSED, FCGI_RETRY_NO, 1},
        {"POST", GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT, 1},
        {"POST", GW_EBACKEND_CONNECT, FCGI_RETRY_UNSENT, 3},
        {"LINK", GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT, 1},
        {"DELETE", GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT, 3},
        {"GET", GW_EBACKEND_FIRST_TIME, FCGI_RETRY_NO, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s->req.method = slice_str(rows[i].method);
        stream_on_head(s);
        while (app_there) {
            grant();
            app_fails(rows[i].err, rows[i].retry);
        }
        assert_int_equal(n_asked, rows[i].want);
        assert_int_equal(w.seen.status, gw_err_status(rows[i].err));
        teardown(state);
        setup(state);
    }
}

/* Half a head of the first try is no part of the second. */
static void test_retry_begins_anew(void **state)
{
    (void)state;
    begin();
    app_says("X-First: ");
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT);
    assert_int_equal(n_asked, 2);
    grant();
    app_says("X-Second: 1\n\nok");
    app_ends(0);
    assert_string_equal(w.seen.fields, "X-Second: 1|");
    expect_body("ok");
}

static void test_no_retry_of_a_body(void **state)
{
    (void)state;
    begin_post(3);
    s->req.method = SLICE("PUT");
    grant();
    body_comes("abc", true);
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT);
    assert_int_equal(n_asked, 1);
    assert_int_equal(w.seen.status, 502);
}

static void test_broken_off(void **state)
{
    (void)state;
    begin();
    app_says("Status: 200\n\nhalf");
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
    assert_int_equal(w.seen.n_resets, 1);
    assert_int_equal(w.seen.reset_err, GW_EBACKEND_CLOSED);
}

/* All that was announced came, but no END_REQUEST. */
static void test_broken_off_after_all(void **state)
{
    (void)state;
    begin();
    app_says("Content-Length: 4\n\nfour");
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
    assert_int_equal(w.seen.n_resets, 0);
    expect_body("four");
    assert_true(world_complete(s));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_body),
        T(test_body_of_unknown_length),
        T(test_body_of_unknown_length_streamed),
        T(test_large_body_spooled),
        T(test_body_over_the_limit),
        T(test_body_over_the_limit_on_its_way),
        T(test_spool_fails),
        T(test_refused),
        T(test_retry),
        T(test_retry_begins_anew),
        T(test_no_retry_of_a_body),
        T(test_broken_off),
        T(test_broken_off_after_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
