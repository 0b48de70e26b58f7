/*
 * Bytes on FastCGI connections: connecting, sending, reading, times.  What they mean for a
 * request is client.c's.
 */
#include <errno.h>
#include <fastcgi.h>
#include <stddef.h>
#include <unistd.h>

#include "client.h"
#include "pool_priv.h"

enum {
    STUCK_MS =
        50, /* a fresh connection without a byte for so long may wait for a pinned thread */
    BACKLOG_RETRY_MS = 10, /* a unix socket's backlog is full: connect() says EAGAIN at once */
};

/* ---- the descriptor ---- */

void fcgi_conn_close_fd(struct fcgi_conn *fc)
{
    if (fc->src.fd >= 0)
        close(fc->src.fd);
    fc->src.fd = -1;
}

void fcgi_conn_watch(struct fcgi_conn *fc, uint32_t events)
{
    struct loop *l = atomic_load_explicit(&fc->owner, memory_order_relaxed);

    if (!fc->watched)
        fc->watched = loop_add(l, &fc->src, events) == 0;
    else if (fc->events != events)
        loop_mod(l, &fc->src, events);
    fc->events = events;
}

void fcgi_conn_rewatch(struct fcgi_conn *fc)
{
    const struct fcgi_request *r = fc->request;
    bool waits = buf_len(&fc->out) || r->stdin_blocked;

    fcgi_conn_watch(fc, (r->paused ? 0 : EPOLLIN) | (waits ? EPOLLOUT : 0));
}

void fcgi_conn_drop(struct fcgi_conn *fc)
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

/* ---- sending ---- */

void fcgi_conn_flush(struct fcgi_conn *fc)
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
            /* It may have answered before it closed (an upload it does not want): read that
             * first. */
            buf_clear(&fc->out);
            fc->send_broken = true;
            break;
        }
        buf_drop(&fc->out, (size_t)n);
        fc->moved_ms = loop_now_ms(r->loop);
    }
    fcgi_conn_rewatch(fc);
}

/* The socket takes bytes: send, and ask for more.  Only from here, so that a server that
 * takes everything does not have the caller call itself for each piece of a body.  false: the
 * request is over. */
static bool conn_writable(struct fcgi_conn *fc)
{
    struct fcgi_request *r = fc->request;

    fcgi_conn_flush(fc);
    if (!r->stdin_blocked || buf_len(&fc->out) >= STDIN_MARK / 2)
        return true;
    r->stdin_blocked = false;
    if (r->ops)
        r->ops->writable(r->arg);
    if (fc->request != r)
        return false;
    if (!r->stdin_blocked && buf_len(&fc->out) == 0)
        fcgi_conn_flush(fc); /* nothing more to wait for */
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
        fcgi_conn_watch(fc, EPOLLIN | EPOLLOUT);
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
    pool_request_connected(fc->pool, r);
    fc->moved_ms = loop_now_ms(r->loop);
    timer_set(r->loop, &fc->timer, STUCK_MS);
    fcgi_conn_flush(fc);
}

static void conn_failed(struct fcgi_conn *fc, int err)
{
    fcgi_request_fail(fc->request, err, FCGI_RETRY_UNSENT);
}

static void conn_try(struct fcgi_conn *fc)
{
    int rc = conn_connect(fc);

    if (rc == 0)
        conn_connected(fc);
    else if (rc < 0)
        conn_failed(fc, GW_EBACKEND_CONNECT);
}

/* Is a kept connection still open?  A request that must not be sent twice asks: applications
 * close kept connections when they like. */
static bool conn_still_open(const struct fcgi_conn *fc)
{
    char byte;

    return recv(fc->src.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void fcgi_conn_start(struct fcgi_conn *fc, bool idempotent)
{
    struct fcgi_request *r = fc->request;

    if (fc->src.fd >= 0 && !idempotent && !conn_still_open(fc)) {
        loop_del(r->loop, &fc->src);
        fc->watched = false;
        fcgi_conn_close_fd(fc);
    }
    fc->since_ms = fc->moved_ms = loop_now_ms(r->loop);
    if (fc->src.fd >= 0) {
        timer_set(r->loop, &fc->timer, fc->pool->tick_ms);
        fcgi_conn_flush(fc);
        return;
    }
    fc->reused = false;
    atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
    timer_set(r->loop, &fc->timer, (uint64_t)fc->pool->conf->connect_timeout_ms);
    conn_try(fc);
}

/* ---- reading ---- */

enum piece_result { PIECE_ON, PIECE_END, PIECE_OVER };

static enum piece_result conn_piece(struct fcgi_conn *fc, const struct fcgi_piece *piece)
{
    struct fcgi_request *r = fc->request;

    if (piece->id == 0)
        return PIECE_ON; /* management: we asked nothing (FastCGI 4) */
    if (piece->id != REQUEST_ID) {
        fcgi_request_fail(r, GW_EFCGI_PROTO, FCGI_RETRY_NO);
        return PIECE_OVER;
    }
    switch (piece->type) {
    case FCGI_STDOUT:
        fc->any_stdout |= piece->len > 0;
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
            fcgi_request_fail(r, GW_EFCGI_PROTO, FCGI_RETRY_NO);
            return PIECE_OVER;
        }
        return piece->end ? PIECE_END : PIECE_ON;
    default:
        fcgi_request_fail(r, GW_EFCGI_PROTO, FCGI_RETRY_NO);
        return PIECE_OVER;
    }
    return fc->request == r ? PIECE_ON : PIECE_OVER;
}

static void conn_parse(struct fcgi_conn *fc, const uint8_t *p, size_t n)
{
    struct fcgi_piece piece;

    while (n) {
        ssize_t used = fcgi_reader_next(&fc->reader, p, n, &piece);
        if (used < 0) {
            fcgi_request_fail(fc->request, GW_EFCGI_PROTO, FCGI_RETRY_NO);
            return;
        }
        if (used == 0)
            return;
        p += used;
        n -= (size_t)used;
        switch (conn_piece(fc, &piece)) {
        case PIECE_ON:
            break;
        case PIECE_END:
            /* Its padding may follow; anything else would be another's. */
            fcgi_request_ended(fc->request, n > fc->reader.padding_left);
            return;
        case PIECE_OVER:
            return;
        }
    }
}

static void conn_read(struct fcgi_conn *fc)
{
    struct fcgi_request *r = fc->request;
    uint8_t *scratch = loop_scratch(r->loop);

    /* Once an event: what was read is sent at the end of the turn, so a response flows
     * through without piling up; epoll says again what is left. */
    ssize_t n = recv(fc->src.fd, scratch, LOOP_SCRATCH, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fcgi_request_fail(r, GW_EBACKEND_CLOSED,
                          fc->any_input ? FCGI_RETRY_NO : FCGI_RETRY_IDEMPOTENT);
        return;
    }
    if (!fc->any_input) {
        fc->any_input = true;
        if (r->stuck || r->probe || r->starts)
            pool_request_answers(r->pool, r);
    }
    fc->moved_ms = loop_now_ms(r->loop);
    conn_parse(fc, scratch, (size_t)n);
}

/* A connection nobody uses became readable: the application closed it, or sent what nobody
 * asked for. */
static void conn_idle_event(struct loop *l, struct fcgi_conn *fc)
{
    unsigned worker = fc->worker;

    if (!pool_take_idle(fc->pool, fc, l))
        return; /* taken over meanwhile: a stale event */
    fcgi_conn_drop(fc);
    fcgi_conn_give_back(fc, worker);
}

void fcgi_conn_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct fcgi_conn *fc =
        (struct fcgi_conn *)(void *)((char *)src - offsetof(struct fcgi_conn, src));

    /* Acquire: pairs with the release of who took it over. */
    if (atomic_load_explicit(&fc->owner, memory_order_acquire) != l)
        return;
    switch (atomic_load_explicit(&fc->state, memory_order_acquire)) { /* pool.c, grant_locked */
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
        /* Granted to this loop but not begun: what it says now is looked at when the request
         * is sent. */
        if (!fc->request || fc->request->phase != PHASE_RUNNING)
            return;
        if (events & EPOLLOUT && !conn_writable(fc))
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
    } else if (buf_len(&fc->out) || r->stdin_blocked) {
        at = fc->moved_ms + (uint64_t)c->send_timeout_ms;
        err = GW_EBACKEND_SEND_TIME;
    } else if (r->paused || (fcgi_request_speaks(r) && !fc->any_input)) {
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

/* Fresh, all of the request said, no byte back: a thread that an idle connection pins may be
 * what it waits for. */
static bool conn_may_be_stuck(const struct fcgi_conn *fc)
{
    const struct fcgi_request *r = fc->request;

    return !fc->reused && !fc->any_input && !r->stuck && !fcgi_request_speaks(r);
}

void fcgi_conn_said_all(struct fcgi_conn *fc)
{
    fcgi_conn_flush(fc);
    if (conn_may_be_stuck(fc))
        timer_set(fc->request->loop, &fc->timer, STUCK_MS);
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
            fcgi_request_fail(r, err, FCGI_RETRY_NO);
        return;
    }
    if (connecting && !fc->watched) { /* the backlog was full */
        conn_try(fc);
        return;
    }
    if (!connecting && conn_may_be_stuck(fc)) {
        if (now >= fc->moved_ms + STUCK_MS)
            pool_mark_stuck(r->pool, r, true);
        else if (fc->moved_ms + STUCK_MS < next)
            next = fc->moved_ms + STUCK_MS;
    }
    timer_set(l, t, next - now);
}
