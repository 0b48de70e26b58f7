/*
 * tests/unit/forward_world.h - gateway/forward.c between an application, a client, writer threads and
 * a clock that do what the test says when it says so.  For one file of a test program.
 */
#ifndef TESTS_FORWARD_WORLD_H
#define TESTS_FORWARD_WORLD_H

#include "../../fcgi/pool.h"
#include "../../gateway/forward.h"
#include "../../gateway/metavars.h"
#include "stream_world.h"

/* ---- the application, instead of fcgi/client.c ---- */

struct fcgi_request {
    const struct fcgi_request_ops *ops;
    void *arg;
    uint16_t role;
    bool begun, body, paused, stdin_ended;
    bool shared; /* cannot be paused */
    bool alone;  /* asked to be */
    size_t room; /* STDIN it takes now */
    struct buf stdin_;
};

static struct fcgi_request app;
static unsigned n_asked, n_aborted;
static bool app_there;    /* a request is under way */
static int64_t announced; /* CONTENT_LENGTH */
static struct conf_pool conf_pool = {
    .name = "pool", .timeout_ms = 60000, .retries = 2, .stderr_limit = 100};
static char app_log[256];

struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      struct fcgi_asker *asker,
                                      const struct fcgi_request_ops *ops, void *arg)
{
    (void)pool;
    (void)loop;
    (void)worker;
    assert_false(app_there);
    buf_fini(&app.stdin_);
    app =
        (struct fcgi_request){.ops = ops, .arg = arg, .room = SIZE_MAX, .alone = asker->alone};
    app_there = true;
    n_asked++;
    return &app;
}

void fcgi_request_report(struct fcgi_request *r, fcgi_report_fn *fn, void *arg)
{
    (void)r;
    (void)fn;
    (void)arg;
}

void fcgi_request_given_up(struct fcgi_request *r, fcgi_report_fn *fn, void *arg)
{
    fcgi_request_report(r, fn, arg);
}

void fcgi_request_begin(struct fcgi_request *r, uint16_t role, const struct buf *params,
                        bool idempotent, bool body)
{
    (void)params;
    (void)idempotent;
    assert_true(app_there && r == &app && !r->begun);
    r->role = role;
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

void fcgi_request_upgrade(struct fcgi_request *r)
{
    (void)r;
}

void fcgi_request_upgraded(struct fcgi_request *r)
{
    (void)r;
}

size_t fcgi_request_unread(const struct fcgi_request *r)
{
    (void)r;
    return 0;
}

void fcgi_request_stdin_end(struct fcgi_request *r)
{
    assert_true(app_there && r->begun);
    r->stdin_ended = true;
}

bool fcgi_request_pause(struct fcgi_request *r)
{
    assert_true(app_there && !r->paused);
    if (app.shared)
        return false;
    r->paused = true;
    return true;
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

int metavars_build(struct stream *s, const struct route_match *m,
                   const struct metavars_ask *ask, struct buf *out)
{
    (void)s;
    (void)m;
    announced = ask->content_length;
    return buf_puts(out, SLICE("params"));
}

bool metavars_is_own(struct slice name)
{
    return slice_eq(name, SLICE("SERVER_NAME"));
}

void log_line(int level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
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

static struct answer_cache *hints; /* a test's that learns; NULL */

struct answer_cache *router_hints(const struct router *r)
{
    (void)r;
    return hints;
}

/* X-Sendfile: FILE in a head. */
void sendfile_take(struct stream *s, struct response_head *h, struct sendfile *ret)
{
    const struct field *field = fields_find(h->fields, h->n_fields, SLICE("X-Sendfile"));

    (void)s;
    *ret = (struct sendfile){0};
    if (field)
        *ret = (struct sendfile){SENDFILE_FILE, field->value};
}

void sendfile_start(struct stream *s, struct route_match *m, const struct sendfile *sf,
                    const struct response_head *h)
{
    struct response r = {.status = h->status, .content_length = (int64_t)sf->what.n};

    (void)m;
    assert_false(app_there);
    assert_null(s->handler);
    stream_answer(s, &r, sf->what);
}

static inline void app_says(const char *text)
{
    app.ops->stdout_bytes(app.arg, (const uint8_t *)text, strlen(text));
}

static inline void app_ends(uint32_t status)
{
    app_there = false;
    app.ops->end(app.arg, status);
}

static inline void app_fails(int err, enum fcgi_retry retry)
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

static inline void run_pool(struct stream *stream)
{
    stream->route = &route;
    stream->site = &site;
    forward_start(stream, NULL, NULL);
    f = stream->handler_state;
}

static inline int setup(void **state)
{
    (void)state;
    world_begin();
    w.route = run_pool;
    budget = (struct spool_budget){.dir = "/tmp", .memory = 64 * 1024};
    w.worker.spool = &budget;
    route = (struct conf_route){
        .pool = 0, .request_body = -1, .response_body = -1, .response_spool_limit = -1};
    site = (struct conf_site){
        .name = "site", .request_body = CONF_BODY_AUTO, .response_body = CONF_BODY_SPOOL};
    n_asked = n_aborted = 0;
    app_there = false;
    app_log[0] = '\0';
    s = world_stream("GET");
    s->in_eof = true;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    world_end();
    assert_false(app_there); /* the end of the stream is the end of its request */
    buf_fini(&app.stdin_);
    assert_int_equal(atomic_load(&budget.used), 0);
    return 0;
}

static inline void grant(void)
{
    app.ops->granted(app.arg);
}

static inline void begin(void)
{
    stream_on_head(s);
    assert_int_equal(n_asked, 1);
    grant();
    assert_true(app.begun);
}

static inline void expect_body(const char *text)
{
    world_take(s, SIZE_MAX);
    assert_int_equal(buf_len(&w.seen.body), strlen(text));
    assert_memory_equal(buf_at(&w.seen.body), text, strlen(text));
}

#endif
