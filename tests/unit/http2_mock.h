/*
 * What gateway/http2*.c need of connections, streams and workers, without sockets or threads:
 * for test_http2.c and fuzz_http2.c, each of which includes it once.
 */
#ifndef TESTS_HTTP2_MOCK_H
#define TESTS_HTTP2_MOCK_H

#include <stdarg.h>
#include <stdlib.h>

#include "../../gateway/conn.h"
#include "../../gateway/worker.h"

static struct conf_gateway mock_limits;
static uint64_t mock_now_ms = 1000;
static char mock_log[256];      /* the last line */
static unsigned mock_log_lines; /* how many there were */
static int mock_end_err;        /* of conn_end, 1: not called */
static int mock_no_memory;      /* stream_new and stream_add_field fail when it reaches 0 */

/* What the test does with events; any may be NULL. */
static void (*mock_on_head)(struct stream *s);
static void (*mock_on_bad_head)(struct stream *s, int err);
static void (*mock_on_body)(struct stream *s);
static void (*mock_on_writable)(struct stream *s);
static void (*mock_on_close)(struct stream *s, int err);

static inline bool mock_fails(void)
{
    return mock_no_memory > 0 && --mock_no_memory == 0;
}

uint64_t loop_now_ms(const struct loop *l)
{
    (void)l;
    return mock_now_ms;
}

static struct timer *mock_timer; /* those that are armed */

void timer_clear(struct timer *t)
{
    if (!t->pprev)
        return;
    *t->pprev = t->next;
    if (t->next)
        t->next->pprev = t->pprev;
    t->pprev = NULL;
}

void timer_set(struct loop *l, struct timer *t, uint64_t ms)
{
    (void)l;
    timer_clear(t);
    t->next = mock_timer;
    if (t->next)
        t->next->pprev = &t->next;
    t->pprev = &mock_timer;
    mock_timer = t;
    t->deadline_ms = mock_now_ms + ms;
}

/* Let the timers fire whose time it is. */
static inline void mock_tick(void)
{
    for (struct timer *t = mock_timer, *next; t; t = next) {
        next = t->next;
        if (t->deadline_ms > mock_now_ms)
            continue;
        timer_clear(t);
        t->fn(NULL, t);
        next = mock_timer; /* from the start: whatever the function did to the list */
    }
}

const struct conf_gateway *conn_limits(const struct conn *c)
{
    (void)c;
    return &mock_limits;
}

void conn_dirty(struct conn *c)
{
    (void)c;
}

void conn_pause_read(struct conn *c)
{
    c->read_paused = true;
}

void conn_resume_read(struct conn *c)
{
    c->read_paused = false;
}

void conn_end(struct conn *c, int err, bool linger)
{
    (void)linger;
    c->ends = true;
    mock_end_err = err;
}

void conn_log(const struct conn *c, int level, int err, const char *fmt, ...)
{
    va_list ap;

    (void)c;
    (void)level;
    int n = snprintf(mock_log, sizeof(mock_log), "%s: ", gw_err_name(err));
    va_start(ap, fmt);
    vsnprintf(mock_log + n, sizeof(mock_log) - (size_t)n, fmt, ap);
    va_end(ap);
    mock_log_lines++;
}

struct stream *conn_event_next(struct conn *c, unsigned *ret_events)
{
    lock_take(&c->mu);
    struct stream *s = c->events;
    if (s) {
        c->events = s->next_event;
        if (!c->events)
            c->events_tail = &c->events;
        *ret_events = s->events;
        s->events = 0;
    }
    lock_drop(&c->mu);
    return s;
}

struct slice worker_date(struct worker *w)
{
    (void)w;
    return SLICE("Mon, 23 Nov 2026 14:35:00 GMT");
}

/* ---- streams ---- */

struct stream *stream_new(struct conn *c, int32_t id)
{
    struct stream *s = mock_fails() ? NULL : calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    arena_init(&s->arena);
    s->conn = c;
    s->id = id;
    s->req.content_length = -1;
    s->out.left = -1;
    s->next = c->streams;
    if (s->next)
        s->next->prev = s;
    c->streams = s;
    c->n_streams++;
    return s;
}

int stream_add_field(struct stream *s, struct slice name, struct slice value)
{
    struct request *req = &s->req;
    struct field *fields = mock_fails() ? NULL
                                        : arena_grow(&s->arena, req->fields, req->n_fields,
                                                     &req->cap_fields, sizeof(*fields));

    if (!fields)
        return GW_ENO_MEMORY;
    req->fields = fields;
    fields[req->n_fields++] =
        (struct field){arena_dup(&s->arena, name), arena_dup(&s->arena, value)};
    return 0;
}

void stream_set_target(struct stream *s, struct slice target)
{
    ssize_t mark = slice_find(target, '?');

    s->req.target = target;
    s->req.has_query = mark >= 0;
    s->req.path = mark < 0 ? target : slice_of(target.p, (size_t)mark);
    s->req.query = mark < 0 ? SLICE("") : slice_from(target, (size_t)mark + 1);
}

void stream_event_locked(struct stream *s, unsigned ev)
{
    struct conn *c = s->conn;

    lock_assert_held(&c->mu);
    if (s->events == 0) {
        s->next_event = NULL;
        *c->events_tail = s;
        c->events_tail = &s->next_event;
    }
    s->events |= ev;
    if (ev & STREAM_EV_CLOSED)
        s->out.closed = true;
}

void stream_out_took_locked(struct stream *s, size_t n)
{
    lock_assert_held(&s->conn->mu);
    s->out.n_body += n;
    if (s->out.want_writable && s->out.body.n < STREAM_OUT_LOW) {
        s->out.want_writable = false;
        stream_event_locked(s, STREAM_EV_WRITABLE);
    }
}

void stream_on_head(struct stream *s)
{
    s->start_us = 1;
    if (mock_on_head)
        mock_on_head(s);
}

void stream_head_large(struct stream *s, const char *limit, uint64_t figure)
{
    (void)s;
    (void)limit;
    (void)figure;
}

void stream_on_bad_head(struct stream *s, int err)
{
    s->start_us = 1;
    if (mock_on_bad_head)
        mock_on_bad_head(s, err);
}

void stream_on_body(struct stream *s)
{
    if (mock_on_body)
        mock_on_body(s);
}

void stream_on_writable(struct stream *s)
{
    if (mock_on_writable)
        mock_on_writable(s);
}

void stream_on_close(struct stream *s, int err)
{
    struct conn *c = s->conn;

    assert(!s->over);
    s->over = true;
    if (mock_on_close)
        mock_on_close(s, err);
    lock_take(&c->mu);
    for (struct stream **at = &c->events; s->events && *at; at = &(*at)->next_event) {
        if (*at == s) {
            *at = s->next_event;
            s->events = 0;
            if (!*at)
                c->events_tail = at;
            break;
        }
    }
    lock_drop(&c->mu);
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        c->streams = s->next;
    c->n_streams--;
    chain_fini(&s->in);
    chain_fini(&s->out.body);
    open_file_unref(s->out.file);
    arena_fini(&s->arena);
    free(s);
}

/* ---- what a handler does ---- */

static inline int mock_send_head(struct stream *s, int status, const struct field *fields,
                                 size_t n, int64_t content_length)
{
    struct response r = {
        .status = status, .fields = fields, .n_fields = n, .content_length = content_length};

    s->out.no_body = slice_eq(s->req.method, SLICE("HEAD")) || status == 204 || status == 304;
    s->out.head_sent = true;
    return http2_proto.send_head(s, &r);
}

static inline void mock_send_body(struct stream *s, const void *p, size_t n)
{
    lock_take(&s->conn->mu);
    if (!s->out.closed && !s->out.no_body) {
        chain_append(&s->out.body, p, n);
        http2_proto.body_ready(s);
    }
    lock_drop(&s->conn->mu);
}

/* The rest of the body is n bytes of f, from at on; its reference is taken over. */
static inline void mock_send_file(struct stream *s, struct open_file *f, int64_t at, int64_t n)
{
    lock_take(&s->conn->mu);
    s->out.file = f;
    s->out.file_at = at;
    s->out.file_left = s->out.closed || s->out.no_body ? 0 : n;
    http2_proto.body_ready(s);
    lock_drop(&s->conn->mu);
}

static inline void mock_finish(struct stream *s)
{
    lock_take(&s->conn->mu);
    s->out.eof = true;
    if (!s->out.closed)
        http2_proto.body_ready(s);
    lock_drop(&s->conn->mu);
}

static inline void mock_consume(struct stream *s, size_t n)
{
    chain_drop(&s->in, n);
    http2_proto.consumed(s, n);
}

/* ---- a connection ---- */

static inline void mock_defaults(void)
{
    mock_limits = (struct conf_gateway){
        .head_limit = 64 * 1024,
        .head_fields = 100,
        .h2_streams = 100,
        .h2_stream_window = 64 * 1024,
        .h2_stream_window_max = 64 * 1024, /* it does not grow */
        .h2_connection_window = 1024 * 1024,
        .h2_resets = 100,
        .h2_control_frames = 1000,
    };
    mock_on_head = mock_on_body = mock_on_writable = NULL;
    mock_on_bad_head = mock_on_close = NULL;
    mock_log[0] = '\0';
    mock_log_lines = 0;
    mock_end_err = 1;
    mock_no_memory = 0;
    mock_now_ms = 1000;
}

static inline int mock_open(struct conn *c)
{
    *c = (struct conn){.proto = &http2_proto};
    lock_init(&c->mu);
    c->events_tail = &c->events;
    return http2_proto.open(c);
}

static inline void mock_close(struct conn *c)
{
    while (c->streams)
        stream_on_close(c->streams, GW_ECLIENT_GONE);
    http2_proto.close(c);
    lock_fini(&c->mu);
}

/* Everything the connection has to say, cap bytes at a time. */
static inline int mock_produce(struct conn *c, size_t cap, struct buf *out)
{
    ssize_t n;

    do {
        uint8_t *dst = malloc(cap); /* its own, so that a write past it is seen */
        lock_take(&c->mu);
        n = http2_proto.produce(c, dst, cap);
        bool wants = http2_proto.want_write(c);
        lock_drop(&c->mu);
        assert(n <= (ssize_t)cap && !(n == 0 && wants));
        if (n > 0)
            buf_append(out, dst, (size_t)n);
        free(dst);
        http2_proto.events(c);
    } while (n > 0);
    return (int)n;
}

#endif
