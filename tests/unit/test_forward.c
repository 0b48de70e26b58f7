/* gateway/forward.h: the response's way back, to clients fast and slow. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "forward_world.h"

/* ---- responses ---- */

static void test_response(void **state)
{
    const char *all = "Status: 404 Gone Fishing\nX-A: b\r\nContent-Type: text/plain\n\nbody";

    (void)state;
    for (size_t cut = 0; cut <= strlen(all); cut++) { /* in two pieces, cut everywhere */
        char part[100];
        begin();
        assert_false(app.body);
        snprintf(part, sizeof(part), "%.*s", (int)cut, all);
        app_says(part);
        app_says(all + cut);
        app_ends(0);
        assert_int_equal(w.seen.status, 404);
        assert_string_equal(w.seen.fields, "X-A: b|Content-Type: text/plain|");
        expect_body("body");
        assert_true(world_complete(s));
        stream_on_close(s, 0);
        buf_clear(&w.seen.body);
        n_asked = 0;
        s = world_stream("GET");
        s->in_eof = true;
    }
    assert_int_equal(n_aborted, 0);
}

static void test_interim(void **state)
{
    (void)state;
    begin();
    app_says("Status: 103 Early\nLink: </a>\n\nStatus: 200 OK\n\nx");
    assert_int_equal(w.seen.n_interims, 1);
    assert_int_equal(w.seen.interim, 103);
    assert_int_equal(w.seen.status, 200);
    app_ends(0);
    expect_body("x");
}

static void test_interim_switching(void **state)
{
    (void)state;
    begin();
    app_says("Status: 101\nUpgrade: x\n\n");
    assert_int_equal(s->err, GW_ECGI_SWITCHING);
    assert_int_equal(w.seen.status, 502);
    assert_int_equal(w.seen.n_interims, 0);
}

/* All heads together are bounded. */
static void test_interims_without_end(void **state)
{
    char head[2048];

    (void)state;
    begin();
    snprintf(head, sizeof(head), "Status: 103\nX-Filler: %01000d\n\n", 0);
    for (unsigned i = 0; !s->err; i++) {
        assert_true(i < 70);
        app_says(head);
    }
    assert_int_equal(s->err, GW_ECGI_HEAD_LARGE);
    assert_true(w.seen.n_interims > 50);
    assert_int_equal(w.seen.status, 502);
}

/* The same, of which a retry begins anew. */
static void test_interims_and_a_retry(void **state)
{
    (void)state;
    begin();
    app_says("Status: 103\nLink: </a>\n\n");
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT);
    assert_int_equal(n_asked, 2);
    grant();
    app_says("Status: 103\nLink: </a>\n\nStatus: 200\n\nx");
    app_ends(0);
    expect_body("x");
}

static void test_sendfile(void **state)
{
    (void)state;
    begin();
    app_says("Status: 103\nX-Sendfile: no\n\nX-Sendfile: file\n\nits own body");
    assert_false(s->answered); /* not before it is through */
    app_says("more");
    app_ends(0);
    assert_int_equal(w.seen.status, 200);
    expect_body("file");
}

static void test_no_head(void **state)
{
    (void)state;
    begin();
    app_says("Content-Type: text/plain\n");
    app_ends(1);
    assert_int_equal(w.seen.status, 502);
    assert_int_equal(s->err, GW_ECGI_NO_HEAD);
}

static void test_bad_head(void **state)
{
    (void)state;
    begin();
    app_says("no header at all\n\n");
    assert_int_equal(w.seen.status, 502);
    assert_int_equal(n_aborted, 1);
}

static void test_stderr(void **state)
{
    (void)state;
    begin();
    app.ops->stderr_bytes(app.arg, (const uint8_t *)"one\ntw", 6);
    app.ops->stderr_bytes(app.arg, (const uint8_t *)"o\n\nlast", 7);
    assert_string_equal(app_log, "one|two|");
    app_says("Status: 200\n\n");
    app_ends(0);
    assert_string_equal(app_log, "one|two|last|");
}

/* The last words of an application that broke off, which are those worth reading. */
static void test_stderr_of_a_crash(void **state)
{
    (void)state;
    begin();
    app.ops->stderr_bytes(app.arg, (const uint8_t *)"panic: index", 12);
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
    assert_string_equal(app_log, "panic: index|");
}

/* The rest is dropped, and that is said once. */
static void test_stderr_limit(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 9; i++)
        app.ops->stderr_bytes(app.arg, (const uint8_t *)"0123456789\n", 11);
    app.ops->stderr_bytes(app.arg, (const uint8_t *)"ab\n", 3);
    app.ops->stderr_bytes(app.arg, (const uint8_t *)"cd\n", 3);
    app_says("Status: 200\n\n");
    app_ends(0);
    assert_non_null(strstr(app_log, "6789|a|"));
    assert_null(strstr(app_log, "cd"));
}

/* ---- answers that are complete without an END_REQUEST ---- */

static void test_closed_when_all_was_said(void **state)
{
    static const struct {
        const char *method, *says;
        bool complete;
    } rows[] = {
        {"GET", "Status: 200\n\nabc", false},       {"GET", "Content-Length: 3\n\nabc", true},
        {"GET", "Content-Length: 4\n\nabc", false}, {"GET", "Content-Length: 0\n\n", true},
        {"GET", "Status: 204\n\n", true},           {"GET", "Status: 304\nETag: x\n\n", true},
        {"HEAD", "Status: 200\n\n", true},          {"HEAD", "Content-Length: 4\n\n", true},
        {"HEAD", "Status: 200\n", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s->req.method = slice_str(rows[i].method);
        begin();
        app_says(rows[i].says);
        app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
        world_take(s, SIZE_MAX);
        bool failed = w.seen.n_resets == 1 || w.seen.status == 502;
        assert_int_equal(failed, !rows[i].complete);
        assert_int_equal(rows[i].complete && !world_complete(s), false);
        teardown(state);
        setup(state);
    }
}

/* ---- a slow client ---- */

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 253);
}

static uint64_t n_said;

static void app_says_pattern(size_t n)
{
    static uint8_t bytes[64 * 1024];

    assert_true(n <= sizeof(bytes));
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern(n_said + i);
    n_said += n;
    app.ops->stdout_bytes(app.arg, bytes, n);
}

static void expect_pattern(void)
{
    const uint8_t *p = buf_at(&w.seen.body);

    assert_int_equal(buf_len(&w.seen.body), n_said);
    for (size_t i = 0; i < n_said; i++) {
        if (p[i] != pattern(i))
            fail_msg("byte %zu of %zu differs", i, (size_t)n_said);
    }
}

static void begin_pattern(void)
{
    n_said = 0;
    begin();
    app_says("Status: 200\n\n");
}

/* SLOW_MS are over. */
static void clock_strikes(void)
{
    if (!timer_armed(&f->slow))
        return;
    timer_clear(&f->slow);
    f->slow.fn(w.loop, &f->slow);
}

static void app_fills_the_buffer(void)
{
    while (!app.paused)
        app_says_pattern(32 * 1024);
}

static void test_backpressure(void **state)
{
    (void)state;
    site.response_body = CONF_BODY_STREAM;
    begin_pattern();
    app_fills_the_buffer();
    assert_false(timer_armed(&f->slow));
    world_take(s, 64 * 1024);
    assert_true(app.paused);
    world_take(s, 1);
    assert_false(app.paused);
    app_fills_the_buffer();
    world_take(s, SIZE_MAX);
    assert_false(app.paused);
    app_ends(0);
    expect_pattern();
    assert_true(world_complete(s));
    assert_null(f->out_spool);
}

/* Beside others on its connection the application cannot be paused: what the client does not take
 * is spooled at once, or the request ends. */
static void test_shared_slow(void **state)
{
    (void)state;
    begin_pattern();
    assert_false(app.alone);
    app.shared = true;
    for (int i = 0; i < 30; i++) {
        app_says_pattern(40 * 1024);
        world_job();
    }
    assert_false(app.paused || timer_armed(&f->slow));
    assert_non_null(f->out_spool);
    app_ends(0);
    while (!world_complete(s)) {
        world_take(s, 100 * 1024);
        world_job();
    }
    expect_pattern();
}

static void test_shared_slow_stream(void **state)
{
    (void)state;
    site.response_body = CONF_BODY_STREAM;
    begin_pattern();
    assert_true(app.alone);
    app.shared = true; /* which it is not, by that; an event stream may be */
    while (app_there)
        app_says_pattern(32 * 1024);
    assert_int_equal(n_aborted, 1);
    assert_int_equal(s->err, GW_ESHARED_SLOW);
    assert_null(f->out_spool);
}

/* Nobody writes the spool to disk: some megabytes may come, then it ends. */
static void test_shared_slow_disk(void **state)
{
    size_t n = 0;

    (void)state;
    begin_pattern();
    app.shared = true;
    for (; app_there; n += 32 * 1024)
        app_says_pattern(32 * 1024);
    assert_true(n > 4 << 20 && n < 6 << 20);
    assert_int_equal(s->err, GW_ESHARED_SLOW);
    while (world_job())
        ;
}

/* Behind for a moment: nothing is spooled. */
static void test_hardly_slow(void **state)
{
    (void)state;
    begin_pattern();
    app_fills_the_buffer();
    assert_true(timer_armed(&f->slow));
    world_take(s, SIZE_MAX);
    assert_false(timer_armed(&f->slow));
    assert_false(app.paused);
    app_ends(0);
    assert_null(f->out_spool);
    expect_pattern();
}

static void test_slow(void **state)
{
    (void)state;
    begin_pattern();
    app_fills_the_buffer();
    clock_strikes();
    world_job(); /* what was buffered went to the file */
    assert_false(app.paused);
    for (int i = 0; i < 30; i++) {
        app_says_pattern(40 * 1024);
        world_job();
    }
    app_ends(0); /* free for others, long before the client has it all */
    assert_false(s->finished);
    while (world_take(s, 10000) || world_job())
        ;
    assert_true(world_complete(s));
    expect_pattern();
}

/* The client sends all of its body before it looks at the answer, of which the application, which
 * never read, said all: what comes of the body is dropped, so that the client gets there. */
static void test_slow_because_it_sends(void **state)
{
    (void)state;
    s->req.method = SLICE("POST");
    s->req.has_body = true;
    s->req.content_length = 7;
    s->in_eof = false;
    begin_pattern();
    app.room = 0;
    assert_int_equal(chain_append(&s->in, "abcd", 4), 0);
    s->in_total = 4;
    stream_on_body(s);
    app_fills_the_buffer();
    clock_strikes();
    assert_int_equal(w.seen.consumed, 0);
    app_ends(0);
    assert_int_equal(w.seen.consumed, 4);
    assert_int_equal(chain_append(&s->in, "efg", 3), 0);
    s->in_total = 7;
    s->in_eof = true;
    stream_on_body(s);
    assert_int_equal(w.seen.consumed, 7);
    while (world_take(s, SIZE_MAX) || world_job())
        ;
    assert_true(world_complete(s));
    expect_pattern();
}

/* The client catches up, and the application goes on with little. */
static void test_slow_then_fast(void **state)
{
    (void)state;
    begin_pattern();
    app_fills_the_buffer();
    clock_strikes();
    app_says_pattern(10 * 1024);
    while (world_take(s, SIZE_MAX) || world_job())
        ; /* what was spooled came through the stream */
    assert_false(s->out.slow);
    app_says_pattern(8 * 1024);
    world_take(s, SIZE_MAX); /* no byte waits that the client can take */
    expect_pattern();
    app_ends(0);
    assert_true(world_complete(s));
}

/* A job ends while the buffer is neither full nor empty. */
static void test_slow_with_a_half_full_buffer(void **state)
{
    (void)state;
    begin_pattern();
    app_fills_the_buffer();
    clock_strikes();
    for (int i = 0; i < 8; i++)
        app_says_pattern(30 * 1024);
    app_ends(0);
    world_take(s, 70 * 1024); /* the memory part is moved; the rest is being written */
    while (world_job())
        ;
    while (world_take(s, SIZE_MAX) || world_job())
        ;
    assert_true(world_complete(s));
    expect_pattern();
}

static void test_event_stream(void **state)
{
    (void)state;
    n_said = 0;
    begin();
    app_says("Content-Type: text/event-stream\n\n");
    app_fills_the_buffer();
    assert_false(timer_armed(&f->slow)); /* never spooled */
    world_take(s, SIZE_MAX);
    assert_false(app.paused);
    app_ends(0);
    expect_pattern();
}

/* Anything in any order; at the end all bytes are there, once and in order, and the stream is
 * complete. */
static void random_response(unsigned seed)
{
    uint64_t total = (uint64_t)rand_r(&seed) % (1500 * 1024);
    int dice;

    if (rand_r(&seed) % 4 == 0)
        site.response_body = CONF_BODY_STREAM;
    if (rand_r(&seed) % 4 == 0)
        budget.limit = (uint64_t)rand_r(&seed) % (600 * 1024) + 1;
    begin_pattern();
    while (n_said < total) {
        dice = rand_r(&seed) % 16;
        if (dice < 6 && !app.paused) {
            /* What one read brought is passed on whatever is said meanwhile. */
            for (size_t left = 64 * 1024; left && n_said < total;) {
                size_t n = (size_t)rand_r(&seed) % (20 * 1024) + 1;
                n = n < left ? n : left;
                n = n < total - n_said ? n : (size_t)(total - n_said);
                app_says_pattern(n);
                left -= n;
                if (rand_r(&seed) % 4 == 0) /* a writer thread sends meanwhile */
                    world_take(s, (size_t)rand_r(&seed) % (64 * 1024));
            }
        } else if (dice < 10) {
            world_take(s, (size_t)rand_r(&seed) % (60 * 1024));
        } else if (dice < 12) {
            world_job();
        } else if (dice == 12) {
            clock_strikes();
        } else if (dice == 13) {
            world_take(s, SIZE_MAX);
        }
    }
    app_ends(0);
    while (world_take(s, (size_t)rand_r(&seed) % (100 * 1024) + 1) || world_job())
        ;
    if (!world_complete(s))
        fail_msg("incomplete: %zu of %zu", buf_len(&w.seen.body), (size_t)n_said);
    expect_pattern();
}

static void test_random_responses(void **state)
{
    for (unsigned seed = 1; seed <= 150; seed++) {
        random_response(seed);
        teardown(state);
        setup(state);
    }
}

/* It broke off after its last byte, a part of which is spooled. */
static void test_broken_off_while_spooled(void **state)
{
    (void)state;
    n_said = 0;
    begin();
    app_says("Content-Length: 300000\n\n");
    app_fills_the_buffer();
    clock_strikes();
    while (n_said < 300000)
        app_says_pattern(n_said + 32768 < 300000 ? 32768 : 300000 - (size_t)n_said);
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
    while (world_take(s, SIZE_MAX) || world_job())
        ;
    expect_pattern();
    assert_true(world_complete(s));
}

static void test_client_goes(void **state)
{
    (void)state;
    begin_pattern();
    app_fills_the_buffer();
    clock_strikes();
    for (int i = 0; i < 10; i++)
        app_says_pattern(30 * 1024); /* a job runs, too */
    stream_on_close(s, GW_ECLIENT_GONE);
    assert_int_equal(n_aborted, 1);
    assert_non_null(w.jobs);
}

/* ---- local redirects ---- */

static void test_redirect(void **state)
{
    (void)state;
    begin();
    app_says("Location: /there?x\n\nignored");
    assert_int_equal(n_asked, 1); /* not before the application is through */
    app_ends(0);
    assert_int_equal(n_asked, 2);
    assert_true(slice_eq(s->req.path, SLICE("/there")));
    assert_true(slice_eq(s->req.query, SLICE("x")));
    grant();
    app_says("Status: 200\n\nthere");
    app_ends(0);
    expect_body("there");
}

/* It has no body (RFC 3875 6.2.2): the end of its head is its end. */
static void test_redirect_of_one_that_closes(void **state)
{
    (void)state;
    begin();
    app_says("Location: /there\n\n");
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
    assert_int_equal(n_asked, 2);
    assert_true(slice_eq(s->req.path, SLICE("/there")));
}

static void test_redirects_end(void **state)
{
    (void)state;
    stream_on_head(s);
    while (app_there) {
        grant();
        app_says("Location: /again\n\n");
        app_ends(0);
    }
    assert_int_equal(n_asked, 6);
    assert_int_equal(s->err, GW_EREDIRECTS);
    assert_int_equal(w.seen.status, 502);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_response),
        T(test_interim),
        T(test_interim_switching),
        T(test_interims_without_end),
        T(test_interims_and_a_retry),
        T(test_sendfile),
        T(test_no_head),
        T(test_bad_head),
        T(test_stderr),
        T(test_stderr_of_a_crash),
        T(test_stderr_limit),
        T(test_closed_when_all_was_said),
        T(test_backpressure),
        T(test_hardly_slow),
        T(test_slow),
        T(test_slow_because_it_sends),
        T(test_shared_slow),
        T(test_shared_slow_stream),
        T(test_shared_slow_disk),
        T(test_slow_then_fast),
        T(test_slow_with_a_half_full_buffer),
        T(test_event_stream),
        T(test_random_responses),
        T(test_broken_off_while_spooled),
        T(test_client_goes),
        T(test_redirect),
        T(test_redirects_end),
        T(test_redirect_of_one_that_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
