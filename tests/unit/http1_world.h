/*
 * tests/unit/http1_world.h - HTTP/1.1 over the real stream layer, between a connection and a
 * router that are made here.  Requests go in with say(), responses come out in t.out and are
 * compared exactly.  Included by one test program each, whose main() it does not have.
 *
 * In what is expected, {404} stands for the error page with Connection: close, {404+} for the
 * one without, and {200} for the head of /hello's answer.
 */
#ifndef TESTS_HTTP1_WORLD_H
#define TESTS_HTTP1_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../gateway/clients.h"
#include "../../gateway/conn.h"
#include "../../gateway/error_page.h"
#include "../../gateway/errors.h"
#include "../../gateway/request_id.h"
#include "../../gateway/limits.h"
#include "../../gateway/router.h"
#include "../../gateway/worker.h"

#define DATE "Mon, 23 Nov 2026 14:00:00 GMT"
#define COMMON "Server: h2cgi\r\nDate: " DATE "\r\n"
#define CLOSE "Connection: close\r\n"
#define KEEP "Connection: keep-alive\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define HOST "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define HELLO "{200}\r\nhello"

/* ---- the world around http1.c ---- */

static struct {
    struct conf conf;
    struct worker worker;
    struct conn c;
    char out[512 * 1024];
    size_t n_out, cap;
    bool dirty, paused, draining, ended, lingers;
    int end_err, n_closed, close_err, broken;
    struct stream *held; /* by /hold and /slow */
    unsigned fail_at;    /* which allocation from now on fails; 0: none */
    bool may_fail;       /* only what is tested, not the test itself */
    size_t made;         /* bytes of /slow's body */
} t;

/* For a test that replaces malloc. */
static inline bool alloc_fails(void)
{
    return t.may_fail && t.fail_at && --t.fail_at == 0;
}

void loop_assert_owner(const struct loop *l)
{
    (void)l;
}

uint64_t loop_now_ms(const struct loop *l)
{
    (void)l;
    return 1000;
}

void loop_scratch_small(struct loop *l, bool small)
{
    (void)l;
    (void)small;
}

/* Of encoders, which have no work here. */
void loop_defer(struct loop *l, struct loop_task *task)
{
    (void)l;
    (void)task;
}

void loop_undefer(struct loop *l, struct loop_task *task)
{
    (void)l;
    (void)task;
}

uint64_t clock_now_us(void)
{
    return 1000000;
}

struct slice worker_date(struct worker *w)
{
    (void)w;
    return SLICE(DATE);
}

void worker_log_access(struct worker *w, const struct stream *s)
{
    (void)w;
    t.n_closed++;
    t.close_err = s->err;
}

int clients_stream_begin(struct stream *s, unsigned *ret_wait_s)
{
    (void)s;
    (void)ret_wait_s;
    return 0;
}

bool clients_stream_end(struct stream *s, int err)
{
    (void)s;
    (void)err;
    return false;
}

void limits_leave(struct stream *s)
{
    (void)s;
}

const struct conf_gateway *conn_limits(const struct conn *c)
{
    (void)c;
    return &t.conf.gateway;
}

bool conn_draining(const struct conn *c)
{
    (void)c;
    return t.draining;
}

void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
{
    (void)s;
    (void)level;
    (void)err;
    (void)fmt;
}

void conn_dirty(struct conn *c)
{
    (void)c;
    t.dirty = true;
}

void conn_pause_read(struct conn *c)
{
    (void)c;
    assert_false(t.paused);
    t.paused = true;
}

void conn_resume_read(struct conn *c)
{
    (void)c;
    assert_true(t.paused);
    t.paused = false;
}

void conn_end(struct conn *c, int err, bool linger)
{
    (void)c;
    assert_false(t.ended);
    t.ended = true;
    t.lingers = linger;
    t.end_err = err;
}

struct stream *conn_event_next(struct conn *c, unsigned *ret_events)
{
    struct stream *s = c->events;

    if (!s)
        return NULL;
    c->events = s->next_event;
    if (!c->events)
        c->events_tail = &c->events;
    *ret_events = s->events;
    s->events = 0;
    return s;
}

void conn_event_forget_locked(struct conn *c, struct stream *s)
{
    if (s->events && c->events == s) {
        c->events = NULL;
        c->events_tail = &c->events;
        s->events = 0;
    }
}

/* ---- the applications ---- */

static void answer(struct stream *s, int status, struct slice body)
{
    const struct field type = {SLICE("Content-Type"), SLICE("text/plain")};
    const struct response r = {
        .status = status, .fields = &type, .n_fields = 1, .content_length = (int64_t)body.n};

    stream_answer(s, &r, body);
}

static void run_hello(struct stream *s)
{
    answer(s, 200, SLICE("hello"));
}

static void run_early(struct stream *s)
{
    answer(s, 403, SLICE("no"));
}

static void run_stream(struct stream *s)
{
    const struct response r = {.status = 200, .content_length = -1};

    stream_send_head(s, &r);
    stream_send_body(s, "ab", 2);
    stream_send_body(s, "cde", 3);
    stream_finish(s);
}

static void run_empty(struct stream *s)
{
    const struct response r = {.status = 200, .content_length = -1};

    stream_send_head(s, &r);
    stream_finish(s);
}

static void run_204(struct stream *s)
{
    answer(s, 204, SLICE("nothing of this"));
}

static void run_304(struct stream *s)
{
    answer(s, 304, SLICE(""));
}

/* What a local redirect does: HEAD becomes GET, and yet no body may follow. */
static void run_turned(struct stream *s)
{
    s->req.method = SLICE("GET");
    run_hello(s);
}

static void run_own_fields(struct stream *s)
{
    const struct field fields[] = {
        {SLICE("date"), SLICE("today")},       {SLICE("server"), SLICE("mine")},
        {SLICE("Connection"), SLICE("close")}, {SLICE("Transfer-Encoding"), SLICE("gzip")},
        {SLICE("Set-Cookie"), SLICE("a=b")},   {SLICE("Set-Cookie"), SLICE("c=d")},
    };
    const struct response r = {.status = 299,
                               .reason = SLICE("Fine"),
                               .fields = fields,
                               .n_fields = 6,
                               .content_length = 0};

    stream_answer(s, &r, SLICE(""));
}

static void run_bad_reason(struct stream *s)
{
    const struct response r = {
        .status = 299, .reason = SLICE("a\r\nb: c"), .content_length = 0};

    stream_answer(s, &r, SLICE(""));
}

static void run_interim(struct stream *s)
{
    const struct field link = {SLICE("Link"), SLICE("</a.css>; rel=preload")};

    stream_send_interim(s, 103, &link, 1);
    run_hello(s);
    stream_send_interim(s, 103, &link, 1); /* too late: not sent */
}

static void run_hold(struct stream *s)
{
    t.held = s;
}

static void run_fail(struct stream *s)
{
    const struct response r = {.status = 200, .content_length = 10};

    stream_send_head(s, &r);
    stream_send_body(s, "abc", 3);
    stream_error(s, GW_EBACKEND_CLOSED);
}

static void run_describe(struct stream *s)
{
    const struct request *q = &s->req;
    const struct field *host = fields_find(q->fields, q->n_fields, SLICE("Host"));
    struct slice text =
        arena_printf(&s->arena, "%.*s %.*s [%.*s][%.*s] %.*s %.*s %.*s %zu",
                     SLICE_FMT(q->method), SLICE_FMT(q->target), SLICE_FMT(q->path),
                     SLICE_FMT(q->query), SLICE_FMT(q->scheme), SLICE_FMT(q->authority),
                     host ? (int)host->value.n : 1, host ? host->value.p : "-", q->n_fields);

    answer(s, 200, text);
}

/* Answers with what it was sent, once all of it came. */
static void body_echo(struct stream *s)
{
    if (!s->in_eof)
        return;
    size_t n = s->in.n;
    char *all = arena_alloc(&s->arena, n + 1);
    if (!all) {
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    chain_take(&s->in, all, n);
    stream_consumed(s, n);
    answer(s, 200, slice_of(all, n));
}

static void run_echo(struct stream *s)
{
    stream_want_body(s);
    body_echo(s);
}

/* Answers before it looks at the body, which it then hands back piece by piece. */
static void body_duplex(struct stream *s)
{
    while (s->in.n) {
        struct slice part = chain_front(&s->in);
        stream_send_body(s, part.p, part.n);
        chain_drop(&s->in, part.n);
        stream_consumed(s, part.n);
    }
    if (s->in_eof)
        stream_finish(s);
}

static void run_duplex(struct stream *s)
{
    const struct response r = {.status = 200, .content_length = -1};

    stream_want_body(s);
    stream_send_head(s, &r);
    body_duplex(s);
}

enum { SLOW_BODY = 300 * 1000 };

/* A body over the high mark, made as the protocol takes it. */
static void make_slow(struct stream *s)
{
    char part[10000];

    memset(part, 'x', sizeof(part));
    while (t.made < SLOW_BODY) {
        t.made += sizeof(part);
        if (stream_send_body(s, part, sizeof(part)) >= STREAM_OUT_HIGH)
            return;
    }
    stream_finish(s);
}

static void run_slow(struct stream *s)
{
    const struct response r = {.status = 200, .content_length = -1};

    stream_send_head(s, &r);
    make_slow(s);
}

static void note_closed(struct stream *s, int err)
{
    (void)err;
    if (t.held == s)
        t.held = NULL;
}

static const struct app {
    const char *path;
    struct handler handler;
} apps[] = {
    {"/hello", {.start = run_hello}},
    {"/early", {.start = run_early}},
    {"/stream", {.start = run_stream}},
    {"/empty", {.start = run_empty}},
    {"/204", {.start = run_204}},
    {"/304", {.start = run_304}},
    {"/turned", {.start = run_turned}},
    {"/own", {.start = run_own_fields}},
    {"/reason", {.start = run_bad_reason}},
    {"/interim", {.start = run_interim}},
    {"/fail", {.start = run_fail}},
    {"/echo", {.start = run_echo, .body = body_echo}},
    {"/duplex", {.start = run_duplex, .body = body_duplex}},
    {"/hold", {.start = run_hold, .closed = note_closed}},
    {"/slow", {.start = run_slow, .writable = make_slow}},
};

void router_handle(struct router *r, struct stream *s)
{
    static const struct handler describe = {.start = run_describe};

    (void)r;
    for (size_t i = 0; i < sizeof(apps) / sizeof(apps[0]); i++) {
        if (slice_eq(s->req.path, slice_str(apps[i].path))) {
            stream_handle(s, &apps[i].handler, NULL);
            return;
        }
    }
    stream_handle(s, &describe, NULL);
}

/* ---- a connection's life ---- */

static void begin(void)
{
    memset(&t, 0, sizeof(t));
    t.cap = 32 * 1024;
    t.conf.gateway.head_limit = 4096;
    t.conf.gateway.head_fields = 10;
    t.worker.conf = &t.conf;
    t.c.worker = &t.worker;
    t.c.proto = &http1_proto;
    t.c.events_tail = &t.c.events;
    lock_init(&t.c.mu);
    assert_int_equal(http1_proto.open(&t.c), 0);
}

/* What conn.c and writer.c do at the end of a turn. */
static void flush(void)
{
    while (t.dirty) {
        bool more;
        t.dirty = false;
        do {
            assert_true(t.n_out + t.cap <= sizeof(t.out));
            lock_take(&t.c.mu);
            bool wanted = http1_proto.want_write(&t.c);
            ssize_t n = http1_proto.produce(&t.c, (uint8_t *)t.out + t.n_out, t.cap);
            more = http1_proto.want_write(&t.c);
            lock_drop(&t.c.mu);
            assert_true(n >= 0 && (size_t)n <= t.cap && (n > 0 ? wanted : !more));
            t.n_out += (size_t)n;
        } while (more);
        http1_proto.events(&t.c);
    }
}

static void input(const char *p, size_t n)
{
    uint8_t *copy;

    if (t.ended || t.broken || n == 0)
        return;
    copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, p, n);
    t.may_fail = true;
    t.broken = http1_proto.input(&t.c, copy, n);
    free(copy); /* nothing may have kept it */
    http1_proto.events(&t.c);
    flush();
    t.may_fail = false;
}

static inline void say(const char *text)
{
    input(text, strlen(text));
}

static void end(void)
{
    while (t.c.streams)
        stream_on_close(t.c.streams, GW_ECLIENT_GONE);
    http1_proto.close(&t.c);
    lock_fini(&t.c.mu);
}

/* Each request of this world has the same one. */
void request_id_make(char ret_id[REQUEST_ID_LEN])
{
    memset(ret_id, 'e', REQUEST_ID_LEN);
}

static void expand_error(char *out, size_t cap, const char *token)
{
    struct arena a;
    int status = atoi(token);

    arena_init(&a);
    struct error_page p = error_page(&a, status, ERROR_HTML, SLICE("eeeeeeeeeeeeeeee"));
    snprintf(out, cap,
             "HTTP/1.1 %d %.*s\r\n%sContent-Type: %.*s\r\nVary: Accept\r\n"
             "X-Request-Id: eeeeeeeeeeeeeeee\r\n" COMMON "Content-Length: %zu\r\n%s\r\n%.*s",
             status, SLICE_FMT(http_reason(status)),
             status == 405 ? "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "",
             SLICE_FMT(p.type), p.body.n, token[3] == '+' ? "" : CLOSE, SLICE_FMT(p.body));
    arena_fini(&a);
}

static void expand(char *out, size_t cap, const char *want)
{
    size_t n = 0;

    for (; *want; want++) {
        assert_true(n + 1 < cap);
        if (*want != '{') {
            out[n++] = *want;
            continue;
        }
        if (strncmp(want, "{200}", 5) == 0)
            snprintf(out + n, cap - n,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" COMMON
                     "Content-Length: 5\r\n");
        else
            expand_error(out + n, cap - n, want + 1);
        n += strlen(out + n);
        want = strchr(want, '}');
    }
    out[n] = '\0';
}

static inline void expect_out(const char *want, const char *where)
{
    char text[8192];

    expand(text, sizeof(text), want);
    if (t.n_out != strlen(text) || memcmp(t.out, text, t.n_out) != 0)
        fail_msg("\n%s\ngot:\n%.*s\nwant:\n%s", where, (int)t.n_out, t.out, text);
    t.n_out = 0;
}

#endif
