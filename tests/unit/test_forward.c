/* gateway/forward.h: a request's way to a pool and the response's way back, with an application,
 * a client, writer threads and a clock that do what the test says when it says so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../fcgi/pool.h"
#include "../../gateway/forward.h"
#include "../../gateway/metavars.h"
#include "stream_world.h"

/* ---- the application, instead of fcgi/client.c ---- */

struct fcgi_request {
    const struct fcgi_request_ops *ops;
    void *arg;
    bool begun, body, paused, stdin_ended;
    size_t room; /* STDIN it takes now */
    struct buf stdin_;
};

static struct fcgi_request app;
static unsigned n_asked, n_aborted;
static bool app_there;    /* a request is under way */
static int64_t announced; /* CONTENT_LENGTH */
static struct conf_pool conf_pool = {.name = "pool", .timeout_ms = 60000};
static char app_log[256];

struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      const struct fcgi_request_ops *ops, void *arg)
{
    (void)pool;
    (void)loop;
    (void)worker;
    assert_false(app_there);
    buf_fini(&app.stdin_);
    app = (struct fcgi_request){.ops = ops, .arg = arg, .room = SIZE_MAX};
    app_there = true;
    n_asked++;
    return &app;
}

void fcgi_request_begin(struct fcgi_request *r, const struct buf *params, bool idempotent,
                        bool body)
{
    (void)params;
    (void)idempotent;
    assert_true(app_there && r == &app && !r->begun);
    r->begun = true;
    r->body = body;
}

size_t fcgi_request_stdin(struct fcgi_request *r, struct chain *from)
{
    size_t n = from->n < r->room ? from->n : r->room;
    uint8_t *at = buf_reserve(&r->stdin_, n + 1);

    assert_true(app_there && r->begun && r->body && !r->stdin_ended && at);
    chain_take(from, at, n);
    buf_commit(&r->stdin_, n);
    r->room -= n;
    return n;
}

void fcgi_request_stdin_end(struct fcgi_request *r)
{
    assert_true(app_there && r->begun);
    r->stdin_ended = true;
}

void fcgi_request_pause(struct fcgi_request *r)
{
    assert_true(app_there && !r->paused);
    r->paused = true;
}

void fcgi_request_resume(struct fcgi_request *r)
{
    assert_true(app_there && r->paused);
    r->paused = false;
}

void fcgi_request_abort(struct fcgi_request *r)
{
    assert_true(app_there && r == &app);
    app_there = false;
    n_aborted++;
}

const struct conf_pool *pool_conf(const struct pool *p)
{
    (void)p;
    return &conf_pool;
}

unsigned pool_retry_after(struct pool *p)
{
    (void)p;
    return 7;
}

int metavars_build(struct stream *s, const struct route_match *m, int64_t content_length,
                   struct buf *out)
{
    (void)s;
    (void)m;
    announced = content_length;
    return buf_puts(out, SLICE("params"));
}

void log_app_line(int level, const char *pool, const char *site, long pid, struct slice text)
{
    size_t n = strlen(app_log);

    (void)level;
    (void)pool;
    (void)site;
    (void)pid;
    snprintf(app_log + n, sizeof(app_log) - n, "%.*s|", SLICE_FMT(text));
}

static void app_says(const char *text)
{
    app.ops->stdout_bytes(app.arg, (const uint8_t *)text, strlen(text));
}

static void app_ends(uint32_t status)
{
    app_there = false;
    app.ops->end(app.arg, status);
}

static void app_fails(int err, bool retry)
{
    app_there = false;
    app.ops->error(app.arg, err, retry);
}

/* ---- the request ---- */

static struct conf_route route;
static struct conf_site site;
static struct stream *s;
static struct spool_budget budget;
static struct forward *f;

static void run_pool(struct stream *stream)
{
    stream->route = &route;
    stream->site = &site;
    forward_start(stream, NULL, NULL);
    f = stream->handler_state;
}

static int setup(void **state)
{
    (void)state;
    world_begin();
    w.route = run_pool;
    budget = (struct spool_budget){.dir = "/tmp", .memory = 64 * 1024};
    w.worker.spool = &budget;
    route = (struct conf_route){.pool = 0, .request_body = -1, .response_body = -1};
    site = (struct conf_site){
        .name = "site", .request_body = CONF_BODY_AUTO, .response_body = CONF_BODY_SPOOL};
    n_asked = n_aborted = 0;
    app_there = false;
    app_log[0] = '\0';
    s = world_stream("GET");
    s->in_eof = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end();
    assert_false(app_there); /* the end of the stream is the end of its request */
    buf_fini(&app.stdin_);
    assert_int_equal(atomic_load(&budget.used), 0);
    return 0;
}

static void grant(void)
{
    app.ops->granted(app.arg);
}

static void begin(void)
{
    stream_on_head(s);
    assert_int_equal(n_asked, 1);
    grant();
    assert_true(app.begun);
}

static void expect_body(const char *text)
{
    world_take(s, SIZE_MAX);
    assert_int_equal(buf_len(&w.seen.body), strlen(text));
    assert_memory_equal(buf_at(&w.seen.body), text, strlen(text));
}

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
    app_fails(GW_EBACKEND_CLOSED, false);
    assert_string_equal(app_log, "panic: index|");
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

/* The client catches up, and the application goes on with little. */
static void test_slow_then_fast(void **state)
{
    (void)state;
    begin_pattern();
    app_fills_the_buffer();
    clock_strikes();
    app_says_pattern(10 * 1024);
    world_take(s, SIZE_MAX); /* the spooled bytes are moved to the stream */
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
        app_fails(rows[i].err, false);
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
        bool retry;    /* what the client says */
        unsigned want; /* requests made when all fail so */
    } rows[] = {
        {"GET", GW_EBACKEND_CLOSED, true, 3},      {"GET", GW_EBACKEND_CLOSED, false, 1},
        {"POST", GW_EBACKEND_CLOSED, true, 1},     {"POST", GW_EBACKEND_CONNECT, true, 3},
        {"LINK", GW_EBACKEND_CLOSED, true, 1},     {"DELETE", GW_EBACKEND_CLOSED, true, 3},
        {"GET", GW_EBACKEND_FIRST_TIME, false, 1},
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
    app_fails(GW_EBACKEND_CLOSED, true);
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
    app_fails(GW_EBACKEND_CLOSED, true);
    assert_int_equal(n_asked, 1);
    assert_int_equal(w.seen.status, 502);
}

static void test_broken_off(void **state)
{
    (void)state;
    begin();
    app_says("Status: 200\n\nhalf");
    app_fails(GW_EBACKEND_CLOSED, false);
    assert_int_equal(w.seen.n_resets, 1);
    assert_int_equal(w.seen.reset_err, GW_EBACKEND_CLOSED);
}

/* All that was announced came, but no END_REQUEST. */
static void test_broken_off_after_all(void **state)
{
    (void)state;
    begin();
    app_says("Content-Length: 4\n\nfour");
    app_fails(GW_EBACKEND_CLOSED, false);
    assert_int_equal(w.seen.n_resets, 0);
    expect_body("four");
    assert_true(world_complete(s));
}

/* The same with a part of it spooled. */
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
    app_fails(GW_EBACKEND_CLOSED, false);
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
        T(test_no_head),
        T(test_bad_head),
        T(test_stderr),
        T(test_stderr_of_a_crash),
        T(test_backpressure),
        T(test_hardly_slow),
        T(test_slow),
        T(test_slow_then_fast),
        T(test_slow_with_a_half_full_buffer),
        T(test_event_stream),
        T(test_random_responses),
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
        T(test_broken_off_while_spooled),
        T(test_client_goes),
        T(test_redirect),
        T(test_redirects_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
