/*
 * Active health: every health_interval each server by address is asked whether it works.
 *
 * A check is a request like others, but on one server: it takes a slot there, and one of its
 * connections, only where one is free, for what is busy works.  With health_path it is a GET, and
 * a head with a status of 2xx or 3xx says that the server is well.  Without, it is a GET_VALUES
 * where the server answers that, else a connection that says nothing.
 *
 * The checks of a pool are one worker's, which the others wake when a server goes out of rotation:
 * it is checked again when its delay is over.
 */
#include <fastcgi.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "../gateway/version.h"
#include "params.h"
#include "pool_check.h"
#include "response.h"

enum {
    HEAD_MAX = 64 * 1024,
    SILENT_MS = 1000, /* a server that never answered GET_VALUES is not waited for longer */
};

struct check {
    struct pool_checks *checks;
    struct fcgi_request *r;
    uint32_t serial; /* of the server */
    bool judged;     /* the rest is only read */
    struct arena arena;
    struct response_parser parser;
    struct timer timer;
    struct check *next, **at;
};

struct pool_checks {
    struct pool *pool;
    struct loop *loop;
    unsigned worker;
    struct buf params; /* of the GET */
    struct check *list;
    struct timer timer;
    struct loop_msg poke;
    bool poked; /* under pool->mu: poke is under way */
};

/* ---- a check ---- */

static void check_free(struct check *c)
{
    response_parser_fini(&c->parser);
    arena_fini(&c->arena);
    free(c);
}

static void check_over(struct check *c)
{
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    timer_clear(&c->timer);
    check_free(c);
}

static void judge(struct check *c, bool ok, const char *reason)
{
    c->judged = true;
    pool_server_health(c->checks->pool, c->serial, ok, reason);
}

static void judge_head(struct check *c, int status)
{
    char reason[32];

    (void)snprintf(reason, sizeof(reason), "status %d", status);
    judge(c, status >= 200 && status <= 399, reason);
}

static void parser_init(struct check *c)
{
    response_parser_init(&c->parser, &c->arena, HEAD_MAX);
}

static void check_stdout(void *arg, const uint8_t *p, size_t n)
{
    struct check *c = arg;

    while (n && !c->judged) {
        ssize_t used = response_parser_feed(&c->parser, p, n);
        if (used == 0)
            return;
        if (used < 0) {
            judge(c, false, gw_err_text((int)used));
            return;
        }
        if (c->parser.head.status >= 200) {
            judge_head(c, c->parser.head.status);
            return;
        }
        response_parser_fini(&c->parser); /* an interim head: another follows */
        parser_init(c);
        p += used;
        n -= (size_t)used;
    }
}

static void check_stderr(void *arg, const uint8_t *p, size_t n)
{
    (void)arg; /* it says the same to users, whose requests are logged */
    (void)p;
    (void)n;
}

static void check_writable(void *arg)
{
    (void)arg;
}

static void check_end(void *arg, uint32_t app_status)
{
    struct check *c = arg;

    (void)app_status;
    if (!c->judged && c->checks->pool->conf->health_path)
        judge(c, false, gw_err_text(GW_ECGI_NO_HEAD));
    check_over(c);
}

/* What that says of the server was noted with it. */
static void check_error(void *arg, int err, enum fcgi_retry retry)
{
    (void)err;
    (void)retry;
    check_over(arg);
}

static uint64_t check_ms(const struct check *c)
{
    const struct conf_pool *conf = c->checks->pool->conf;
    uint64_t ms = (uint64_t)conf->health_timeout_ms;

    if (!conf->health_path && !fcgi_check_is_owed(c->r) && ms > SILENT_MS)
        return SILENT_MS;
    return ms;
}

static void check_granted(void *arg)
{
    struct check *c = arg;
    struct pool_checks *k = c->checks;

    timer_set(k->loop, &c->timer, check_ms(c));
    if (k->pool->conf->health_path)
        fcgi_request_begin(c->r, FCGI_RESPONDER, &k->params, false, false);
    else
        fcgi_check_begin(c->r);
}

static void check_time_over(struct loop *l, struct timer *t)
{
    struct check *c = (struct check *)(void *)((char *)t - offsetof(struct check, timer));

    (void)l;
    if (!c->judged && (c->checks->pool->conf->health_path || fcgi_check_is_owed(c->r)))
        judge(c, false, "no answer within health_timeout");
    fcgi_request_abort(c->r);
    check_over(c);
}

static const struct fcgi_request_ops check_ops = {
    .granted = check_granted,
    .stdout_bytes = check_stdout,
    .stderr_bytes = check_stderr,
    .writable = check_writable,
    .end = check_end,
    .error = check_error,
};

/* The next that is due.  false: there is none. */
static bool check_start(struct pool_checks *k)
{
    struct check *c = calloc(1, sizeof(*c));

    if (!c)
        return false;
    c->r = fcgi_check_new(k->pool, k->loop, k->worker, &check_ops, c, &c->serial);
    if (!c->r) {
        free(c);
        return false;
    }
    c->checks = k;
    c->timer.fn = check_time_over;
    arena_init(&c->arena);
    parser_init(c);
    c->next = k->list;
    c->at = &k->list;
    if (c->next)
        c->next->at = &c->next;
    k->list = c;
    return true;
}

/* ---- all of them ---- */

static void run(struct pool_checks *k)
{
    uint64_t now = clock_now_ms();

    if (pool_drains(k->pool))
        return;
    while (check_start(k))
        ;
    uint64_t due = pool_check_due_ms(k->pool);
    timer_set(k->loop, &k->timer, due > now ? due - now : 1);
}

static void is_time(struct loop *l, struct timer *t)
{
    (void)l;
    run((struct pool_checks *)(void *)((char *)t - offsetof(struct pool_checks, timer)));
}

static void was_poked(struct loop *l, struct loop_msg *msg)
{
    struct pool_checks *k =
        (struct pool_checks *)(void *)((char *)msg - offsetof(struct pool_checks, poke));

    (void)l;
    lock_take(&k->pool->mu);
    k->poked = false;
    lock_drop(&k->pool->mu);
    run(k);
}

void checks_poke_locked(struct pool *p)
{
    struct pool_checks *k = p->checks;

    if (!k || k->poked)
        return;
    k->poked = true;
    loop_post(k->loop, &k->poke);
}

/* ---- made and freed ---- */

/* SCRIPT_NAME is all of the path: php-fpm looks for its ping.path there. */
static int put_params(struct buf *params, const struct conf_pool *conf)
{
    struct slice uri = slice_str(conf->health_path);
    ssize_t mark = slice_find(uri, '?');
    struct slice path = mark < 0 ? uri : slice_of(uri.p, (size_t)mark);
    struct slice query = mark < 0 ? SLICE("") : slice_from(uri, (size_t)mark + 1);
    struct slice file = conf->health_script ? slice_str(conf->health_script) : path;
    const struct {
        struct slice name, value;
    } rows[] = {
        {SLICE("GATEWAY_INTERFACE"), SLICE("CGI/1.1")},
        {SLICE("SERVER_SOFTWARE"), SLICE("h2cgi/" H2CGI_VERSION)},
        {SLICE("SERVER_PROTOCOL"), SLICE("HTTP/1.1")},
        {SLICE("SERVER_NAME"), SLICE("localhost")},
        {SLICE("SERVER_PORT"), SLICE("80")},
        {SLICE("REMOTE_ADDR"), SLICE("127.0.0.1")},
        {SLICE("REQUEST_METHOD"), SLICE("GET")},
        {SLICE("REQUEST_SCHEME"), SLICE("http")},
        {SLICE("REQUEST_URI"), uri},
        {SLICE("SCRIPT_NAME"), path},
        {SLICE("SCRIPT_FILENAME"), file},
        {SLICE("QUERY_STRING"), query},
        {SLICE("HTTP_HOST"), SLICE("localhost")},
        {SLICE("HTTP_USER_AGENT"), SLICE("h2cgi health check")},
        {SLICE("REDIRECT_STATUS"), SLICE("200")}, /* php-cgi wants it */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (fcgi_params_put(params, rows[i].name, rows[i].value) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

int pool_checks_start(struct pool *p, struct loop *loop, unsigned worker)
{
    if (!p->conf->health_interval_ms)
        return 0;
    struct pool_checks *k = calloc(1, sizeof(*k));
    if (!k)
        return GW_ENO_MEMORY;
    k->pool = p;
    k->loop = loop;
    k->worker = worker;
    k->timer.fn = is_time;
    k->poke.fn = was_poked;
    p->checks = k;
    if (p->conf->health_path && put_params(&k->params, p->conf) < 0)
        return GW_ENO_MEMORY;
    timer_set(loop, &k->timer, 0);
    return 0;
}

/* Timers are left alone: the loop runs no more, and its wheel may hold some whose owners are
 * gone. */
void pool_checks_free(struct pool *p)
{
    struct pool_checks *k = p->checks;

    if (!k)
        return;
    for (struct check *c = k->list, *next; c; c = next) {
        next = c->next;
        check_free(c);
    }
    buf_fini(&k->params);
    free(k);
    p->checks = NULL;
}
