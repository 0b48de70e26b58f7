/*
 * Bytes on FastCGI connections: connecting, sending, reading, times, and the end of a request.
 *
 * A request that failed or ended is reported last, after its slot was given back, and is freed with that: what runs after
 * request_over() must not touch it.
 */
#include "client.h"

#include <errno.h>
#include <fastcgi.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "params.h"
#include "pool_priv.h"

enum {
    REQUEST_ID = 1,         /* one request at a time on a connection */
    STDIN_MARK = 64 * 1024, /* STDIN waiting for the socket; over it the caller waits */
    STDIN_REUSE =
        8 * 1024, /* libfcgi closes a kept connection after more unread STDIN than this */
    STUCK_MS =
        50, /* a fresh connection without a byte for so long may wait for a pinned thread */
    BACKLOG_RETRY_MS = 10, /* a unix socket's backlog is full: connect() says EAGAIN at once */
    READS_PER_EVENT = 4,
};

/* ---- the descriptor ---- */

void fcgi_conn_close_fd(struct fcgi_conn *fc)
{
    if (fc->src.fd >= 0)
        close(fc->src.fd);
    fc->src.fd = -1;
}

static void conn_watch(struct fcgi_conn *fc, uint32_t events)
{
    struct loop *l = atomic_load_explicit(&fc->owner, memory_order_relaxed);

    if (!fc->watched)
        fc->watched = loop_add(l, &fc->src, events) == 0;
    else if (fc->events != events)
        loop_mod(l, &fc->src, events);
    fc->events = events;
}

static void conn_drop(struct fcgi_conn *fc)
{
    struct loop *l = atomic_load_explicit(&fc->owner, memory_order_relaxed);

    timer_clear(&fc->timer);
    if (fc->watched)
        loop_del(l, &fc->src);
    fc->watched = false;
    fcgi_conn_close_fd(fc);
    buf_fini(&fc->out);
    buf_fini(&fc->end_body);
    fc->request = NULL;
    fc->reused = false;
}

/* ---- grants ---- */

static void request_granted(struct fcgi_request *r);

static void granted_task(struct loop *l, struct loop_task *task)
{
    (void)l;
    request_granted(
        (struct fcgi_request *)(void *)((char *)task - offsetof(struct fcgi_request, task)));
}

static void request_schedule(struct fcgi_request *next)
{
    if (next)
        loop_defer(next->loop, &next->task);
}

void fcgi_request_granted_msg(struct loop *l, struct loop_msg *msg)
{
    (void)l;
    request_granted(
        (struct fcgi_request *)(void *)((char *)msg - offsetof(struct fcgi_request, msg)));
}

/* A connection struct whose descriptor is closed goes back to its pool. */
static void conn_give_back(struct fcgi_conn *fc, unsigned worker)
{
    request_schedule(pool_conn_closed(fc->pool, fc, worker));
}

/* r's slot goes back.  keep: its connection is fit for another request. */
static void request_release(struct fcgi_request *r, bool keep)
{
    struct fcgi_conn *fc = r->conn;
    bool close_it;

    timer_clear(&r->timer);
    timer_clear(&fc->timer);
    if (keep && fc->events != EPOLLIN)
        conn_watch(fc, EPOLLIN);
    fc->request = NULL;
    fc->reused = true;
    if (!keep)
        conn_drop(fc);
    struct fcgi_request *next = pool_release(r->pool, r, keep, &close_it);
    if (close_it) { /* the pool keeps enough idle ones */
        conn_drop(fc);
        conn_give_back(fc, r->worker);
    }
    request_schedule(next);
}

static void request_fail(struct fcgi_request *r, int err, bool retry)
{
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    if (r->conn)
        request_release(r, false);
    timer_clear(&r->timer);
    free(r);
    if (ops)
        ops->error(arg, err, retry);
}

static void request_granted(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;

    if (r->refused) {
        if (r->ops)
            request_fail(r, r->refused, false);
        else
            free(r);
        return;
    }
    if (fc->stolen_from) { /* still in the loop that kept it */
        loop_del_foreign(fc->stolen_from, &fc->src);
        fc->stolen_from = NULL;
        fc->watched = false;
        conn_watch(fc, EPOLLIN);
    }
    if (!r->ops) { /* aborted while the grant was on its way: pass it on */
        request_release(r, fc->src.fd >= 0);
        free(r);
        return;
    }
    r->phase = PHASE_READY;
    r->granted_ms = loop_now_ms(r->loop);
    timer_set(r->loop, &r->timer, (uint64_t)r->pool->conf->timeout_ms);
    r->ops->granted(r->arg);
}

static void request_timer(struct loop *l, struct timer *t)
{
    struct fcgi_request *r =
        (struct fcgi_request *)(void *)((char *)t - offsetof(struct fcgi_request, timer));

    (void)l;
    if (!r->granted_ms) {
        if (pool_leave(r->pool, r, POOL_TIMED_OUT))
            request_fail(r, GW_EPOOL_TIME, false);
        return; /* else the grant is on its way, just in time */
    }
    if (r->phase != PHASE_RUNNING) {
        request_fail(r, GW_EBACKEND_TIME, false);
        return;
    }
    /* The slot stays taken until the application is through; the caller hears of it now. */
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;
    if (ops) {
        fcgi_request_abort(r);
        ops->error(arg, GW_EBACKEND_TIME, false);
    }
}

struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      const struct fcgi_request_ops *ops, void *arg)
{
    struct fcgi_request *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->pool = pool;
    r->loop = loop;
    r->worker = worker;
    r->ops = ops;
    r->arg = arg;
    r->task.fn = granted_task;
    r->timer.fn = request_timer;
    r->asked_ms = loop_now_ms(loop);
    int rc = pool_ask(pool, r);
    if (rc < 0)
        r->refused = rc;
    if (rc != 0)
        loop_defer(loop, &r->task);
    else
        timer_set(loop, &r->timer, (uint64_t)pool->conf->queue_timeout_ms);
    return r;
}

uint64_t fcgi_request_waited_ms(const struct fcgi_request *r)
{
    return r->granted_ms ? r->granted_ms - r->asked_ms : 0;
}

/* ---- sending ---- */

/* Send what is in out.  false: the request is over. */
static bool conn_flush(struct fcgi_conn *fc)
{
    struct fcgi_request *r = fc->request;

    while (buf_len(&fc->out)) {
        ssize_t n =
            send(fc->src.fd, buf_at(&fc->out), buf_len(&fc->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            /* It may have answered before it closed (an upload it does not want): read that first. */
            buf_clear(&fc->out);
            fc->send_broken = true;
            break;
        }
        buf_drop(&fc->out, (size_t)n);
        fc->moved_ms = loop_now_ms(r->loop);
    }
    uint32_t want = (r->paused ? 0 : EPOLLIN) | (buf_len(&fc->out) ? EPOLLOUT : 0);
    conn_watch(fc, want);
    if (r->stdin_blocked && buf_len(&fc->out) < STDIN_MARK / 2) {
        r->stdin_blocked = false;
        if (r->ops)
            r->ops->writable(r->arg);
        return fc->request == r;
    }
    return true;
}

/* 0: connected, 1: under way, < 0: failed. */
static int conn_connect(struct fcgi_conn *fc)
{
    struct fcgi_server *sv = fc->server;

    if (fc->src.fd < 0)
        fc->src.fd =
            socket(sv->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fc->src.fd < 0)
        return -1;
    if (connect(fc->src.fd, &sv->addr.sa, sv->addr_len) == 0)
        return 0;
    if (errno == EINPROGRESS || errno == EINTR) {
        conn_watch(fc, EPOLLIN | EPOLLOUT);
        return 1;
    }
    if (errno == EAGAIN) { /* backlog full: nothing to watch, so try again soon */
        timer_set(fc->request->loop, &fc->timer, BACKLOG_RETRY_MS);
        return 1;
    }
    return -1;
}

static void conn_connected(struct fcgi_conn *fc)
{
    struct fcgi_request *r = fc->request;

    atomic_store_explicit(&fc->state, FC_ACTIVE, memory_order_relaxed);
    if (fc->server->fail_delay_ms)
        pool_connected(fc->pool, fc->server, true, 0);
    fc->moved_ms = loop_now_ms(r->loop);
    timer_set(r->loop, &fc->timer, STUCK_MS);
    conn_flush(fc);
}

static void conn_failed(struct fcgi_conn *fc, int err)
{
    struct fcgi_request *r = fc->request;

    pool_connected(fc->pool, fc->server, false, loop_now_ms(r->loop));
    request_fail(r, err, true);
}

static void conn_try(struct fcgi_conn *fc)
{
    int rc = conn_connect(fc);

    if (rc == 0)
        conn_connected(fc);
    else if (rc < 0)
        conn_failed(fc, GW_EBACKEND_CONNECT);
}

/* Is a kept connection still open?  A request that must not be sent twice asks (DESIGN: libfcgi as it is). */
static bool conn_still_open(const struct fcgi_conn *fc)
{
    char byte;

    return recv(fc->src.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static int put_head(struct fcgi_conn *fc, const struct buf *params, bool body)
{
    uint8_t record[16];

    fcgi_begin_request(record, REQUEST_ID, FCGI_RESPONDER, fc->pool->keepalive > 0);
    if (buf_append(&fc->out, record, 16) < 0 ||
        fcgi_params_records(&fc->out, REQUEST_ID, buf_at(params), buf_len(params)) < 0)
        return GW_ENO_MEMORY;
    if (body)
        return 0;
    fcgi_record_header(record, FCGI_STDIN, REQUEST_ID, 0, 0);
    return buf_append(&fc->out, record, FCGI_RECORD_HEADER);
}

void fcgi_request_begin(struct fcgi_request *r, const struct buf *params, bool idempotent,
                        bool body)
{
    struct fcgi_conn *fc = r->conn;

    r->phase = PHASE_RUNNING;
    r->stdin_open = body;
    fc->reader = (struct fcgi_reader){0};
    buf_clear(&fc->end_body);
    buf_clear(&fc->out);
    fc->any_input = false;
    fc->send_broken = false;
    if (put_head(fc, params, body) < 0) {
        request_fail(r, GW_ENO_MEMORY, false);
        return;
    }
    if (fc->src.fd >= 0 && !idempotent && !conn_still_open(fc)) {
        loop_del(r->loop, &fc->src);
        fc->watched = false;
        fcgi_conn_close_fd(fc);
    }
    fc->since_ms = fc->moved_ms = loop_now_ms(r->loop);
    if (fc->src.fd >= 0) {
        timer_set(r->loop, &fc->timer, fc->pool->tick_ms);
        conn_flush(fc);
        return;
    }
    fc->reused = false;
    atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
    timer_set(r->loop, &fc->timer, (uint64_t)fc->pool->conf->connect_timeout_ms);
    conn_try(fc);
}

size_t fcgi_request_stdin(struct fcgi_request *r, struct chain *from)
{
    struct fcgi_conn *fc = r->conn;
    size_t taken = 0;

    while (from->n && buf_len(&fc->out) < STDIN_MARK) {
        struct slice s = chain_front(from);
        uint8_t header[FCGI_RECORD_HEADER];
        if (s.n > FCGI_RECORD_CONTENT_MAX)
            s.n = FCGI_RECORD_CONTENT_MAX;
        fcgi_record_header(header, FCGI_STDIN, REQUEST_ID, (uint16_t)s.n, 0);
        if (!fc->send_broken) { /* else nobody reads it any more: dropped */
            if (!buf_reserve(&fc->out, sizeof(header) + s.n))
                break;
            buf_append(&fc->out, header, sizeof(header));
            buf_append(&fc->out, s.p, s.n);
        }
        chain_drop(from, s.n);
        taken += s.n;
    }
    r->stdin_total += taken;
    if (from->n)
        r->stdin_blocked = true;
    if (taken && atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_ACTIVE &&
        !fc->send_broken)
        conn_flush(fc);
    return taken;
}

void fcgi_request_stdin_end(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;
    uint8_t header[FCGI_RECORD_HEADER];

    if (!r->stdin_open)
        return;
    r->stdin_open = false;
    fcgi_record_header(header, FCGI_STDIN, REQUEST_ID, 0, 0);
    if (fc->send_broken || buf_append(&fc->out, header, sizeof(header)) < 0)
        return;
    if (atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_ACTIVE)
        conn_flush(fc);
}

/* ---- reading ---- */

static void conn_set_reading(struct fcgi_request *r, bool on)
{
    struct fcgi_conn *fc = r->conn;

    if (r->paused == !on)
        return;
    r->paused = !on;
    if (r->phase != PHASE_RUNNING ||
        atomic_load_explicit(&fc->state, memory_order_relaxed) != FC_ACTIVE)
        return;
    fc->moved_ms = loop_now_ms(r->loop);
    conn_watch(fc, (on ? EPOLLIN : 0) | (buf_len(&fc->out) ? EPOLLOUT : 0));
}

void fcgi_request_pause(struct fcgi_request *r)
{
    conn_set_reading(r, false);
}

void fcgi_request_resume(struct fcgi_request *r)
{
    conn_set_reading(r, true);
}

/* END_REQUEST is whole.  more: bytes follow it. */
static void request_end(struct fcgi_request *r, bool more)
{
    static const int errors[] = {[FCGI_CANT_MPX_CONN] = GW_EBACKEND_MPX,
                                 [FCGI_OVERLOADED] = GW_EBACKEND_OVERLOADED,
                                 [FCGI_UNKNOWN_ROLE] = GW_EBACKEND_ROLE};
    struct fcgi_conn *fc = r->conn;
    uint32_t app_status = 0;
    uint8_t status = 0;
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    if (!fcgi_end_request_decode(buf_at(&fc->end_body), buf_len(&fc->end_body), &app_status,
                                 &status) ||
        status > FCGI_UNKNOWN_ROLE) {
        request_fail(r, GW_EFCGI_PROTO, false);
        return;
    }
    if (status != FCGI_REQUEST_COMPLETE) {
        request_fail(r, errors[status], status == FCGI_OVERLOADED && !fc->any_input);
        return;
    }
    bool keep = fc->pool->keepalive > 0 && !more && !fc->send_broken && !r->stdin_open &&
                !r->aborted && buf_len(&fc->out) == 0 && r->stdin_total <= STDIN_REUSE;
    request_release(r, keep);
    free(r);
    if (ops)
        ops->end(arg, app_status);
}

enum piece_result { PIECE_ON, PIECE_END, PIECE_OVER };

static enum piece_result conn_piece(struct fcgi_conn *fc, const struct fcgi_piece *piece)
{
    struct fcgi_request *r = fc->request;

    if (piece->id == 0)
        return PIECE_ON; /* management: we asked nothing (FastCGI 4) */
    if (piece->id != REQUEST_ID) {
        request_fail(r, GW_EFCGI_PROTO, false);
        return PIECE_OVER;
    }
    switch (piece->type) {
    case FCGI_STDOUT:
        if (r->ops && piece->len)
            r->ops->stdout_bytes(r->arg, piece->content, piece->len);
        break;
    case FCGI_STDERR:
        if (r->ops && piece->len)
            r->ops->stderr_bytes(r->arg, piece->content, piece->len);
        break;
    case FCGI_END_REQUEST:
        if (buf_len(&fc->end_body) + piece->len > 64 ||
            buf_append(&fc->end_body, piece->content, piece->len) < 0) {
            request_fail(r, GW_EFCGI_PROTO, false);
            return PIECE_OVER;
        }
        return piece->end ? PIECE_END : PIECE_ON;
    default:
        request_fail(r, GW_EFCGI_PROTO, false);
        return PIECE_OVER;
    }
    return fc->request == r ? PIECE_ON : PIECE_OVER;
}

/* false: the request is over. */
static bool conn_parse(struct fcgi_conn *fc, const uint8_t *p, size_t n)
{
    struct fcgi_piece piece;

    while (n) {
        ssize_t used = fcgi_reader_next(&fc->reader, p, n, &piece);
        if (used < 0) {
            request_fail(fc->request, GW_EFCGI_PROTO, false);
            return false;
        }
        if (used == 0)
            return true;
        p += used;
        n -= (size_t)used;
        switch (conn_piece(fc, &piece)) {
        case PIECE_ON:
            break;
        case PIECE_END:
            /* Its padding may follow; anything else would be another's. */
            request_end(fc->request, n > fc->reader.padding_left);
            return false;
        case PIECE_OVER:
            return false;
        }
    }
    return true;
}

static void conn_read(struct fcgi_conn *fc)
{
    struct fcgi_request *r = fc->request;
    uint8_t *scratch = loop_scratch(r->loop);

    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t n = recv(fc->src.fd, scratch, LOOP_SCRATCH, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            request_fail(r, GW_EBACKEND_CLOSED, !fc->any_input);
            return;
        }
        if (!fc->any_input) {
            fc->any_input = true;
            if (r->stuck)
                pool_mark_stuck(r->pool, r, false);
        }
        fc->moved_ms = loop_now_ms(r->loop);
        if (!conn_parse(fc, scratch, (size_t)n))
            return;
        if (n < LOOP_SCRATCH || r->paused)
            return;
    }
}

/* A connection nobody uses became readable: the application closed it, or sent what nobody asked for. */
static void conn_idle_event(struct loop *l, struct fcgi_conn *fc)
{
    unsigned worker = fc->worker;

    if (!pool_take_idle(fc->pool, fc, l))
        return; /* taken over meanwhile: a stale event */
    conn_drop(fc);
    conn_give_back(fc, worker);
}

void fcgi_conn_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct fcgi_conn *fc =
        (struct fcgi_conn *)(void *)((char *)src - offsetof(struct fcgi_conn, src));

    /* Acquire: pairs with the release of who took it over. */
    if (atomic_load_explicit(&fc->owner, memory_order_acquire) != l)
        return;
    switch (atomic_load_explicit(&fc->state, memory_order_relaxed)) {
    case FC_IDLE:
        conn_idle_event(l, fc);
        return;
    case FC_CONNECTING:
        if (fc->request && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
            int err = 0;
            socklen_t len = sizeof(err);
            getsockopt(src->fd, SOL_SOCKET, SO_ERROR, &err, &len);
            if (err)
                conn_failed(fc, GW_EBACKEND_CONNECT);
            else
                conn_connected(fc);
        }
        return;
    case FC_ACTIVE:
        /* Granted to this loop but not begun: what it says now is looked at when the request is sent. */
        if (!fc->request || fc->request->phase != PHASE_RUNNING)
            return;
        if (events & EPOLLOUT && !conn_flush(fc))
            return;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            conn_read(fc);
        return;
    default:
        return;
    }
}

/* ---- times ---- */

/* The error if a time is over, else 0 and *next lowered to the nearest. */
static int conn_check_times(struct fcgi_conn *fc, uint64_t now, uint64_t *next)
{
    const struct fcgi_request *r = fc->request;
    const struct conf_pool *c = fc->pool->conf;
    uint64_t at;
    int err;

    if (atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_CONNECTING) {
        at = fc->since_ms + (uint64_t)c->connect_timeout_ms;
        err = GW_EBACKEND_CONNECT_TIME;
    } else if (r->aborted) {
        at = fc->since_ms + (uint64_t)c->abort_timeout_ms;
        err = GW_EBACKEND_TIME;
    } else if (buf_len(&fc->out)) {
        at = fc->moved_ms + (uint64_t)c->send_timeout_ms;
        err = GW_EBACKEND_SEND_TIME;
    } else if (r->paused || (r->stdin_open && !fc->any_input)) {
        return 0; /* it waits for the client, who has times of its own */
    } else {
        at = fc->moved_ms +
             (uint64_t)(fc->any_input ? c->read_timeout_ms : c->first_byte_timeout_ms);
        err = fc->any_input ? GW_EBACKEND_READ_TIME : GW_EBACKEND_FIRST_TIME;
    }
    if (at <= now)
        return err;
    if (at < *next)
        *next = at;
    return 0;
}

void fcgi_conn_timer(struct loop *l, struct timer *t)
{
    struct fcgi_conn *fc =
        (struct fcgi_conn *)(void *)((char *)t - offsetof(struct fcgi_conn, timer));
    struct fcgi_request *r = fc->request;
    uint64_t now = loop_now_ms(l), next = now + fc->pool->tick_ms;
    bool connecting = atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_CONNECTING;

    if (!r)
        return;
    int err = conn_check_times(fc, now, &next);
    if (err < 0) {
        if (connecting)
            conn_failed(fc, err);
        else
            request_fail(r, err, false);
        return;
    }
    if (connecting && !fc->watched) { /* the backlog was full */
        conn_try(fc);
        return;
    }
    if (!connecting && !fc->reused && !fc->any_input && !r->stuck && !r->stdin_open &&
        now >= fc->moved_ms + STUCK_MS)
        pool_mark_stuck(r->pool, r, true);
    timer_set(l, t, next - now);
}

/* ---- giving up ---- */

static void request_abort_running(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;
    uint8_t record[FCGI_RECORD_HEADER];

    if (atomic_load_explicit(&fc->state, memory_order_relaxed) != FC_ACTIVE ||
        fc->send_broken) {
        request_release(r, false);
        free(r);
        return;
    }
    r->aborted = true;
    r->ops = NULL;
    fc->since_ms = loop_now_ms(r->loop); /* abort_timeout runs from here */
    timer_clear(&r->timer);
    timer_set(r->loop, &fc->timer, (uint64_t)fc->pool->conf->abort_timeout_ms);
    r->paused = false;
    fcgi_record_header(record, FCGI_ABORT_REQUEST, REQUEST_ID, 0, 0);
    if (buf_append(&fc->out, record, sizeof(record)) == 0)
        conn_flush(fc);
}

void fcgi_request_abort(struct fcgi_request *r)
{
    r->ops = NULL;
    switch (r->phase) {
    case PHASE_RUNNING:
        request_abort_running(r);
        return;
    case PHASE_READY:
        request_release(r, r->conn->src.fd >= 0);
        free(r);
        return;
    case PHASE_ASKING:
        timer_clear(&r->timer);
        if (!r->refused && pool_leave(r->pool, r, POOL_CLIENT_GONE))
            free(r);
        return; /* else the grant on its way finds it gone */
    }
}
