/*
 * Connections to servers: opened, written to, closed.  What comes from them is
 * client_input.c's, what it all means for a request client.c's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <unistd.h>

#include "../gateway/congestion.h"
#include "pool_check.h"

enum {
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
    struct loop *l = fcgi_conn_loop(fc);

    if (!fc->watched)
        fc->watched = loop_add(l, &fc->src, events) == 0;
    else if (fc->events != events)
        loop_mod(l, &fc->src, events);
    fc->events = events;
}

void fcgi_conn_rewatch(struct fcgi_conn *fc)
{
    bool waits = buf_len(&fc->out) || fc->n_blocked;

    fcgi_conn_watch(fc, (fc->paused ? 0 : EPOLLIN) | (waits ? EPOLLOUT : 0));
}

void fcgi_conn_drop(struct fcgi_conn *fc)
{
    struct loop *l = fcgi_conn_loop(fc);

    timer_clear(&fc->timer);
    loop_undefer(l, &fc->flush);
    if (fc->watched)
        loop_del(l, &fc->src);
    fc->watched = false;
    fcgi_conn_close_fd(fc);
    buf_fini(&fc->out);
    fcgi_values_fini(&fc->values);
    fc->reused = fc->paused = fc->ending = false;
}

/* ---- sending ---- */

void fcgi_conn_flush(struct fcgi_conn *fc)
{
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
        fc->moved_ms = loop_now_ms(fcgi_conn_loop(fc));
    }
    fcgi_conn_rewatch(fc);
}

void fcgi_conn_push(struct fcgi_conn *fc)
{
    if (!fcgi_conn_is(fc, FC_ACTIVE))
        return; /* it goes with what waits for the connection */
    if (fc->ids.n_used < 2)
        fcgi_conn_flush(fc);
    else
        loop_defer(fcgi_conn_loop(fc), &fc->flush);
}

void fcgi_conn_flush_task(struct loop *l, struct loop_task *task)
{
    struct fcgi_conn *fc =
        (struct fcgi_conn *)(void *)((char *)task - offsetof(struct fcgi_conn, flush));

    (void)l;
    if (fcgi_conn_is(fc, FC_ACTIVE))
        fcgi_conn_flush(fc);
}

/* The socket takes bytes: send, and ask for more.  Only from here, so that a server that
 * takes everything does not have the caller call itself for each piece of a body.  false: the
 * connection is no longer ours. */
static bool conn_writable(struct fcgi_conn *fc)
{
    fcgi_conn_flush(fc);
    if (!fc->n_blocked || buf_len(&fc->out) >= STDIN_MARK / 2)
        return true;
    if (!fcgi_conn_give_turns(fc))
        return false;
    if (!fc->n_blocked && buf_len(&fc->out) == 0)
        fcgi_conn_flush(fc); /* nothing more to wait for */
    return true;
}

void fcgi_conn_said_all(struct fcgi_conn *fc)
{
    fcgi_conn_push(fc);
    if (fcgi_conn_may_be_stuck(fc))
        timer_set(fcgi_conn_loop(fc), &fc->timer, STUCK_MS);
}

/* ---- opening ---- */

void fcgi_conn_widen(struct fcgi_conn *fc)
{
    if (fc->ids.n == 0 && fc->pool->conf->multiplex && !pool_drains(fc->pool) &&
        atomic_load_explicit(&fc->server->multiplexes, memory_order_relaxed))
        (void)fcgi_ids_grow(&fc->ids, fc->pool->conf->multiplex_requests);
}

void fcgi_conn_share(struct fcgi_conn *fc)
{
    if (fc->ids.n && !fc->ending)
        pool_conn_share(fc, true);
}

/* A new descriptor: nothing of the one before counts. */
static void conn_begin_anew(struct fcgi_conn *fc)
{
    fcgi_ids_reset(&fc->ids);
    fc->reader = (struct fcgi_reader){0};
    fcgi_values_init(&fc->values);
    fc->turn = 0;
    fc->n_begun = 0;
    fc->heard = fc->asked = fc->reused = fc->ending = fc->shut = fc->said_more = false;
}

void fcgi_conn_prepare(struct fcgi_conn *fc)
{
    buf_clear(&fc->out);
    fc->send_broken = false;
    if (fc->src.fd < 0)
        conn_begin_anew(fc);
    fcgi_conn_widen(fc);
}

/* For a connection to addr.  Over TCP a record goes when it is there: what a client sends of a body
 * in small pieces would wait for the acknowledgement of the piece before, 40 ms and more. */
static int open_socket(const struct sockaddr *addr)
{
    static const int on = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && addr->sa_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        congestion_spare(fd, addr);
    }
    return fd;
}

/* 0: connected, 1: under way, < 0: failed. */
static int conn_connect(struct fcgi_conn *fc)
{
    struct fcgi_server *sv = fc->server;
    int rc = pool_peer_before(sv);

    if (rc < 0)
        return rc;
    if (fc->src.fd < 0)
        fc->src.fd = open_socket(&sv->addr.sa);
    if (fc->src.fd < 0)
        return GW_EBACKEND_CONNECT;
    if (connect(fc->src.fd, &sv->addr.sa, sv->addr_len) == 0)
        return pool_peer_after(sv, fc->src.fd);
    if (errno == EINPROGRESS || errno == EINTR) {
        fcgi_conn_watch(fc, EPOLLIN | EPOLLOUT);
        return 1;
    }
    if (errno == EAGAIN) { /* backlog full: nothing to watch, so try again soon */
        timer_set(fcgi_conn_loop(fc), &fc->timer, BACKLOG_RETRY_MS);
        return 1;
    }
    return GW_EBACKEND_CONNECT;
}

static void conn_connected(struct fcgi_conn *fc)
{
    struct loop *l = fcgi_conn_loop(fc);
    unsigned at = 0;

    atomic_store_explicit(&fc->state, FC_ACTIVE, memory_order_relaxed);
    for (struct fcgi_request *r; (r = fcgi_ids_next(&fc->ids, &at));)
        pool_request_connected(fc->pool, r);
    fcgi_conn_share(fc);
    fc->moved_ms = loop_now_ms(l);
    timer_set(l, &fc->timer, STUCK_MS);
    fcgi_conn_flush(fc);
    fcgi_check_connected(fc);
}

void fcgi_conn_unopened(struct fcgi_conn *fc, int err)
{
    pool_server_forget_values(fc->server);
    fcgi_conn_fail(fc, err, FCGI_RETRY_UNSENT, NULL);
}

void fcgi_conn_try(struct fcgi_conn *fc)
{
    int rc = conn_connect(fc);

    if (rc == 0)
        conn_connected(fc);
    else if (rc < 0)
        fcgi_conn_unopened(fc, rc);
}

/* Is a kept connection still open?  A request that must not be sent twice asks: applications
 * close kept connections when they like. */
static bool conn_still_open(const struct fcgi_conn *fc)
{
    char byte;

    return recv(fc->src.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* A kept connection on which r is the only one turned out to be closed: its descriptor goes,
 * and what was put into out for it stays. */
static void conn_forget_fd(struct fcgi_conn *fc)
{
    loop_del(fcgi_conn_loop(fc), &fc->src);
    fc->watched = false;
    fcgi_conn_close_fd(fc);
    fc->reader = (struct fcgi_reader){0};
    fc->heard = fc->shut = false; /* asked is what r put there, if it did */
    fc->n_begun = 1;              /* r is */
}

void fcgi_conn_start(struct fcgi_conn *fc, bool idempotent)
{
    struct loop *l = fcgi_conn_loop(fc);
    bool only = fc->ids.n_used == 1;

    if (!only) { /* sent with the others' */
        fcgi_conn_push(fc);
        return;
    }
    if (fc->src.fd >= 0 && (!idempotent || fc->shut) && !conn_still_open(fc))
        conn_forget_fd(fc);
    fc->since_ms = fc->moved_ms = loop_now_ms(l);
    if (fc->src.fd >= 0) {
        fcgi_conn_share(fc);
        timer_set(l, &fc->timer, fc->pool->tick_ms);
        fcgi_conn_flush(fc);
        fcgi_check_connected(fc);
        return;
    }
    fc->reused = false;
    atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
    timer_set(l, &fc->timer, (uint64_t)fc->pool->conf->connect_timeout_ms);
    fcgi_conn_try(fc);
}

/* ---- events ---- */

/* A connection nobody uses became readable: the application closed it, or sent what nobody
 * asked for. */
static void conn_idle_event(struct loop *l, struct fcgi_conn *fc)
{
    unsigned worker = fc->worker;
    char byte;

    if (!pool_take_idle(fc->pool, fc, l))
        return; /* taken over meanwhile: a stale event */
    if (recv(fc->src.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        fcgi_conn_said_more(fc, "connection closed");
    fcgi_conn_drop(fc);
    fcgi_conn_give_back(fc, worker);
}

static void conn_connecting_event(struct fcgi_conn *fc, uint32_t events)
{
    int err = 0;
    socklen_t len = sizeof(err);

    if (!fc->ids.n_used || !(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        return;
    getsockopt(fc->src.fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err)
        fcgi_conn_unopened(fc, GW_EBACKEND_CONNECT);
    else
        conn_connected(fc);
}

void fcgi_conn_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct fcgi_conn *fc =
        (struct fcgi_conn *)(void *)((char *)src - offsetof(struct fcgi_conn, src));

    /* Acquire: pairs with the release of who took it over. */
    if (atomic_load_explicit(&fc->owner, memory_order_acquire) != l)
        return;
    switch (atomic_load_explicit(&fc->state, memory_order_acquire)) { /* pool_grant_locked */
    case FC_IDLE:
        conn_idle_event(l, fc);
        return;
    case FC_CONNECTING:
        conn_connecting_event(fc, events);
        return;
    case FC_ACTIVE:
        /* Granted to this loop but not begun: what it says now is looked at when the request
         * is sent. */
        if (!fc->ids.n_used)
            return;
        if (events & EPOLLOUT && !conn_writable(fc))
            return;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            fcgi_conn_read(l, fc);
        return;
    default:
        return;
    }
}
