/*
 * tests/unit/stream_world.h - the real stream layer between a protocol and a connection made
 * here: what is sent is kept, the test takes body bytes as a client would.  Also stands in for
 * writer.c's jobs, which run when the test says so.  For one file of a test program.
 */
#ifndef TESTS_STREAM_WORLD_H
#define TESTS_STREAM_WORLD_H

#include <stdarg.h>

#include "../../gateway/conn.h"
#include "../../gateway/router.h"
#include "../../gateway/worker.h"
#include "loop_world.h"

/* What the protocol saw. */
struct seen {
    unsigned n_heads, n_interims, n_resets, n_ready, n_closed;
    int status, interim, reset_err, closed_err;
    int64_t content_length;
    char fields[1024]; /* of the last head, final or interim: "name: value|" */
    size_t consumed;
    struct buf body; /* taken by the client */
};

static struct {
    struct conf conf;
    struct worker worker;
    struct conn c;
    struct loop *loop;
    struct seen seen;
    unsigned n_dirty, n_logged;
    int log_err;      /* of the last conn_log */
    int fail_head;    /* what send_head answers */
    struct job *jobs; /* waiting to be run */
    void (*route)(struct stream *s);
} w;

/* ---- connection and worker ---- */

void conn_dirty(struct conn *c)
{
    (void)c;
    w.n_dirty++;
}

void conn_end(struct conn *c, int err, bool linger)
{
    (void)linger;
    c->ends = true;
    c->end_err = err;
}

void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
{
    (void)s;
    (void)level;
    (void)fmt;
    w.log_err = err;
    w.n_logged++;
}

const struct conf_gateway *conn_limits(const struct conn *c)
{
    (void)c;
    return &w.conf.gateway;
}

bool conn_draining(const struct conn *c)
{
    (void)c;
    return false;
}

void conn_event_forget_locked(struct conn *c, struct stream *s)
{
    lock_assert_held(&c->mu);
    for (struct stream **at = &c->events; s->events && *at; at = &(*at)->next_event) {
        if (*at != s)
            continue;
        *at = s->next_event;
        if (!*at)
            c->events_tail = at;
        s->events = 0;
        break;
    }
}

void worker_log_access(struct worker *worker, const struct stream *s)
{
    (void)worker;
    w.seen.n_closed++;
    w.seen.closed_err = s->err;
}

void router_handle(struct router *r, struct stream *s)
{
    (void)r;
    if (w.route)
        w.route(s);
}

void writers_job(struct writers *writers, struct job *job)
{
    struct job **at = &w.jobs;

    (void)writers;
    job->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = job;
}

/* Run the oldest job and report it. */
static inline bool world_job(void)
{
    struct job *job = w.jobs;

    if (!job)
        return false;
    w.jobs = job->next;
    job->run(job);
    job->done(w.loop, job);
    return true;
}

/* ---- the protocol ---- */

static void keep_fields(const struct field *fields, size_t n)
{
    size_t at = 0;

    w.seen.fields[0] = '\0';
    for (size_t i = 0; i < n && at < sizeof(w.seen.fields); i++)
        at += (size_t)snprintf(w.seen.fields + at, sizeof(w.seen.fields) - at, "%.*s: %.*s|",
                               SLICE_FMT(fields[i].name), SLICE_FMT(fields[i].value));
}

static int world_send_head(struct stream *s, const struct response *r)
{
    (void)s;
    w.seen.n_heads++;
    w.seen.status = r->status;
    w.seen.content_length = r->content_length;
    keep_fields(r->fields, r->n_fields);
    return w.fail_head;
}

static int world_send_interim(struct stream *s, int status, const struct field *fields,
                              size_t n_fields)
{
    (void)s;
    w.seen.n_interims++;
    w.seen.interim = status;
    keep_fields(fields, n_fields);
    return 0;
}

static void world_body_ready(struct stream *s)
{
    lock_assert_held(&s->conn->mu);
    w.seen.n_ready++;
}

static void world_reset(struct stream *s, int err)
{
    (void)s;
    w.seen.n_resets++;
    w.seen.reset_err = err;
}

static void world_consumed(struct stream *s, size_t n)
{
    (void)s;
    w.seen.consumed += n;
}

static const struct proto world_proto = {
    .name = "test",
    .send_head = world_send_head,
    .send_interim = world_send_interim,
    .body_ready = world_body_ready,
    .reset = world_reset,
    .consumed = world_consumed,
};

/* ---- the client ---- */

/* Take up to n body bytes, then tell the handler what that made due. */
static inline size_t world_take(struct stream *s, size_t n)
{
    uint8_t bytes[4096];
    size_t done = 0, k;

    do {
        lock_take(&w.c.mu);
        k = chain_take(&s->out.body, bytes,
                       n - done < sizeof(bytes) ? n - done : sizeof(bytes));
        if (k)
            stream_out_took_locked(s, k);
        lock_drop(&w.c.mu);
        assert_int_equal(buf_append(&w.seen.body, bytes, k), 0);
        done += k;
    } while (k && done < n);
    if (s->events & STREAM_EV_WRITABLE) {
        lock_take(&w.c.mu);
        conn_event_forget_locked(&w.c, s);
        lock_drop(&w.c.mu);
        stream_on_writable(s);
    }
    return done;
}

/* Everything went out: did it? */
static inline bool world_complete(const struct stream *s)
{
    return s->finished && s->out.eof && s->out.body.n == 0;
}

/* ---- a connection's life ---- */

static inline void world_begin(void)
{
    memset(&w, 0, sizeof(w));
    w.loop = world_loop();
    w.worker.loop = w.loop;
    w.worker.conf = &w.conf;
    w.c.loop = w.loop;
    w.c.worker = &w.worker;
    w.c.proto = &world_proto;
    w.c.events_tail = &w.c.events;
    lock_init(&w.c.mu);
}

static inline struct stream *world_stream(const char *method)
{
    struct stream *s = stream_new(&w.c, 1);

    assert_non_null(s);
    s->req.method = slice_str(method);
    s->req.version = HTTP_1_1;
    stream_set_target(s, SLICE("/app?q"));
    return s;
}

static inline void world_end(void)
{
    while (w.c.streams)
        stream_on_close(w.c.streams, GW_ECLIENT_GONE);
    while (world_job())
        ;
    assert_int_equal(atomic_load(&w.worker.out_held), 0); /* what was counted was given back */
    buf_fini(&w.seen.body);
    buf_fini(&w.worker.params);
    lock_fini(&w.c.mu);
    loop_free(w.loop);
}

#endif
