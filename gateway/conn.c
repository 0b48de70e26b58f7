/*
 * The worker's side of a connection: reading, TLS input, and its end.  Sending is writer.c's,
 * times are conn_times.c's.
 *
 * Nothing is torn down where a fault is met: conn_kill() and conn_end() only note it, and the
 * end-of-turn task does the work, so that no caller finds its stream or connection freed under
 * its feet.
 */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients.h"
#include "conn_send.h"
#include "conn_times.h"
#include "counters.h"
#include "remote.h"
#include "tls.h"
#include "worker.h"

enum {
    READS_PER_TURN = 4, /* of 64 KiB: one fast upload must not hold up the others */
};

static void conn_flush_fn(struct loop *l, struct loop_task *task);
static void conn_event_fn(struct loop *l, struct loop_source *src, uint32_t events);

const struct conf_gateway *conn_limits(const struct conn *c)
{
    return &c->worker->conf->gateway;
}

bool conn_draining(const struct conn *c)
{
    return c->worker->draining;
}

/* "ENAME: what it is; more", without what there is none of: of no error only more. */
static void __attribute__((format(printf, 4, 0)))
log_text(char *dst, size_t size, int err, const char *fmt, va_list ap)
{
    int n = err ? snprintf(dst, size, "%s: %s; ", gw_err_name(err), gw_err_text(err)) : 0;

    if (vsnprintf(dst + n, size - (size_t)n, fmt, ap) == 0 && n)
        dst[n - 2] = '\0';
}

void conn_log(const struct conn *c, int level, int err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    log_text(text, sizeof(text), err, fmt, ap);
    va_end(ap);
    log_line(level, "client=%s:%u conn=%llu %s", c->peer_text, c->peer_port,
             (unsigned long long)c->serial, text);
}

void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
{
    const struct conn *c = s->conn;
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    log_text(text, sizeof(text), err, fmt, ap);
    va_end(ap);
    log_line(level, "client=%s:%u%s%s conn=%llu %s", remote_text(s), remote_port(s),
             s->remote ? " via=" : "", s->remote ? c->peer_text : "",
             (unsigned long long)c->serial, text);
}

/* ---- what the loop watches ---- */

static void conn_watch(struct conn *c, uint32_t set, uint32_t clear)
{
    uint32_t events = (c->epoll_events | set) & ~clear;

    if (events == c->epoll_events || c->state == CONN_DEAD)
        return;
    c->epoll_events = events;
    loop_mod(c->loop, &c->src, events);
}

void conn_watch_out(struct conn *c, bool on)
{
    conn_watch(c, on ? EPOLLOUT : 0, on ? 0 : EPOLLOUT);
}

void conn_pause_read(struct conn *c)
{
    c->read_paused = true;
    conn_watch(c, 0, EPOLLIN);
}

void conn_resume_read(struct conn *c)
{
    c->read_paused = false;
    if (!c->eof_in)
        conn_watch(c, EPOLLIN, 0);
}

void conn_dirty(struct conn *c)
{
    if (c->state != CONN_DEAD)
        loop_defer(c->loop, &c->flush);
}

/* ---- endings ---- */

void conn_kill(struct conn *c)
{
    c->kill = true;
    conn_dirty(c);
}

void conn_end(struct conn *c, int err, bool linger)
{
    if (c->ends)
        return;
    c->ends = true;
    c->lingers = linger;
    c->end_err = err;
    conn_dirty(c);
}

void conn_drain(struct conn *c)
{
    c->drains = true;
    if (c->state == CONN_OPEN)
        c->proto->shutdown(c, 0);
    else if (c->state == CONN_HANDSHAKE)
        conn_kill(c);
    conn_dirty(c);
}

static void conn_free_if_returned(struct conn *c)
{
    lock_take(&c->mu);
    bool held = c->lease != LEASE_WORKER || c->msg_pending;
    lock_drop(&c->mu);
    if (held)
        return; /* the holder's message brings us here again */
    loop_undefer(c->loop, &c->flush);
    if (c->proto)
        c->proto->close(c);
    tls_free(c->tls);
    close(c->src.fd);
    clients_disconnect(c->client);
    worker_out_held(c->worker, -buf_len(&c->out));
    buf_fini(&c->out);
    buf_fini(&c->tls_out);
    lock_fini(&c->mu);
    worker_forget_conn(c->worker, c);
    free(c);
}

/* Cut off: streams end, nobody produces any more; the memory goes when no writer holds the
 * lease.  Only the end-of-turn task calls it, and c may be gone after. */
static void conn_teardown(struct conn *c)
{
    int err = c->end_err ? c->end_err : GW_ECLIENT_GONE;

    c->state = CONN_DEAD;
    timer_clear(&c->timer);
    loop_del(c->loop, &c->src);
    lock_take(&c->mu);
    c->dead = true; /* before the streams go: from here no writer looks at one */
    if (c->lease == LEASE_STALLED)
        c->lease = LEASE_WORKER;
    c->note = true;
    lock_drop(&c->mu);
    shutdown(c->src.fd, SHUT_RDWR); /* a writer in send() or poll() comes back */
    while (c->streams)
        stream_on_close(c->streams, err);
    conn_free_if_returned(c);
}

static void conn_linger(struct conn *c)
{
    shutdown(c->src.fd, SHUT_WR);
    c->state = CONN_LINGER;
    c->since_ms = c->read_at_ms = loop_now_ms(c->loop);
    conn_resume_read(c);
    timer_set(c->loop, &c->timer, LINGER_SILENCE_MS);
}

/* All output went out and nothing more will come. */
static void conn_finish(struct conn *c)
{
    if (c->tls && !c->close_sent) {
        c->close_sent = true;
        lock_take(&c->mu);
        tls_close(c->tls, &c->tls_out);
        lock_drop(&c->mu);
        conn_dirty(c); /* once more round to send it */
        return;
    }
    if (c->lingers && !c->eof_in)
        conn_linger(c);
    else
        conn_kill(c);
}

/* Output went as far as it goes this turn: is that the end? */
static void conn_after_flush(struct conn *c)
{
    lock_take(&c->mu);
    bool drained = conn_drained_locked(c);
    bool done = c->ends || (c->drains && c->proto && c->proto->done(c));
    bool broken = c->broken;
    if ((c->ends || c->drains) && !drained)
        c->note = true; /* the lease holder tells when it is */
    lock_drop(&c->mu);
    if (broken)
        c->kill = true;
    else if (drained && done)
        conn_finish(c);
    if (c->kill)
        conn_teardown(c);
}

static void conn_flush_fn(struct loop *l, struct loop_task *task)
{
    struct conn *c = (struct conn *)(void *)((char *)task - offsetof(struct conn, flush));

    (void)l;
    if (!c->kill && c->state != CONN_LINGER) {
        writer_submit(c);
        if (c->proto)
            c->proto->events(c); /* what sending finished */
    }
    if (c->kill)
        conn_teardown(c);
    else if (c->state != CONN_LINGER)
        conn_after_flush(c);
}

/* ---- reading ---- */

/* ALPN or the preface told. */
static int conn_set_proto(struct conn *c, const struct proto *p)
{
    int rc = p->open(c);

    if (rc < 0)
        return rc;
    c->state = CONN_OPEN;
    c->idle_since_ms = loop_now_ms(c->loop);
    /* Who connects has something to say; the protocol clears it. */
    c->head_since_ms = c->idle_since_ms;
    lock_take(&c->mu); /* a writer may be sending the handshake's last bytes */
    c->proto = p;
    lock_drop(&c->mu);
    return 0;
}

static void conn_protocol_input(struct conn *c, const uint8_t *p, size_t n)
{
    if (n == 0 || c->kill || c->ends)
        return; /* what comes after the end is dropped */
    int rc = c->proto->input(c, p, n);
    c->proto->events(c);
    if (rc < 0)
        conn_end(c, rc, true); /* lingering: a reset would take our last words with it */
}

static void conn_input_eof(struct conn *c)
{
    c->eof_in = true;
    conn_watch(c, 0, EPOLLIN);
    if (c->ends) {
        conn_dirty(c); /* its last answer still goes out */
        return;
    }
    if (!c->proto || c->proto->input_eof(c) < 0) {
        conn_kill(c);
        return;
    }
    /* RFC 9112 9.6: a client may close its side and still wait for its answer; one that is
     * gone looks the same. An interim answer tells them apart: who is gone resets (EPOLLHUP),
     * and its script is ended. */
    for (struct stream *s = c->streams; s; s = s->next)
        stream_send_interim(s, 100, NULL, 0);
    conn_dirty(c);
}

/* Its keys were changed more often than tls_key_updates. */
static void conn_rekeyed(struct conn *c)
{
    if (c->ends)
        return;
    counter_add(COUNTER_TLS_KEY_UPDATES);
    conn_log(c, CONF_LOG_WARN, GW_ECLIENT_FLOOD, "%s", tls_error(c->tls));
    if (c->proto)
        c->proto->shutdown(c, GW_ECLIENT_FLOOD);
    conn_end(c, GW_ECLIENT_FLOOD, true);
}

static void conn_tls_input(struct conn *c, const uint8_t *p, size_t n)
{
    struct buf *plain = &c->worker->plain;

    buf_clear(plain);
    lock_take(&c->mu);
    if (c->n_requests && !c->tls_warm) { /* it comes back: no longer one that only idles */
        c->tls_warm = true;
        tls_keep_buffers(c->tls, true);
    }
    enum tls_result r = tls_input(c->tls, p, n, plain, &c->tls_out);
    bool done = r != TLS_FAILED && tls_handshake_done(c->tls);
    bool h2 = done && slice_eq(tls_alpn(c->tls), SLICE("h2"));
    if (r == TLS_FAILED)
        c->tls_failed = true;
    lock_drop(&c->mu);
    if (r == TLS_FAILED) {
        conn_log(c, CONF_LOG_INFO, GW_ECLIENT_TLS, "%s", tls_error(c->tls));
        c->close_sent = true;
        conn_end(c, GW_ECLIENT_TLS, false); /* the alert is still sent */
        return;
    }
    if (r == TLS_FLOODED) {
        conn_rekeyed(c);
        return;
    }
    if (done && !c->proto && conn_set_proto(c, h2 ? &http2_proto : &http1_proto) < 0) {
        conn_kill(c);
        return;
    }
    if (c->proto)
        conn_protocol_input(c, buf_at(plain), buf_len(plain));
    if (r == TLS_CLOSED && !c->eof_in)
        conn_input_eof(c);
}

static void conn_input(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->tls)
        conn_tls_input(c, p, n);
    else
        conn_protocol_input(c, p, n);
    conn_dirty(c);
}

static void conn_readable(struct conn *c)
{
    uint8_t *scratch = loop_scratch(c->loop);

    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(c->src.fd, scratch, LOOP_SCRATCH, 0);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                conn_kill(c);
            return;
        }
        if (n == 0) {
            if (c->state == CONN_LINGER)
                conn_kill(c);
            else
                conn_input_eof(c);
            return;
        }
        if (c->state == CONN_HANDSHAKE)
            c->handshake_rtt_ms = loop_now_ms(c->loop) - c->read_at_ms;
        c->read_at_ms = loop_now_ms(c->loop);
        if (c->state != CONN_LINGER)
            conn_input(c, scratch, (size_t)n);
        /* A short read emptied the socket: no second call to be told EAGAIN. */
        if (n < LOOP_SCRATCH || c->kill || c->read_paused || c->eof_in)
            return;
    }
}

/* What was answered at once, a file or an error, goes out while all that it touched is in the
 * cache, and not after the input of all others; the memory of its streams is then the next
 * connection's.  What comes later in this turn, and endings, the end-of-turn task sees to. */
static void conn_send_answers(struct conn *c)
{
    if (c->kill || c->state != CONN_OPEN)
        return;
    writer_submit(c);
    c->proto->events(c);
}

static void conn_event_fn(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct conn *c = (struct conn *)(void *)((char *)src - offsetof(struct conn, src));

    (void)l;
    if (c->kill || c->state == CONN_DEAD)
        return;
    if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN && c->epoll_events & EPOLLIN)) {
        conn_kill(c); /* reset while reading was paused or over */
        return;
    }
    if (events & EPOLLOUT) {
        writer_unstall(c);
        conn_dirty(c);
    }
    if (events & EPOLLIN) {
        conn_readable(c);
        conn_send_answers(c);
    }
}

/* A writer has something to say: streams with events, a stalled socket, a lease that came
 * back. */
static void conn_msg_fn(struct loop *l, struct loop_msg *msg)
{
    struct conn *c = (struct conn *)(void *)((char *)msg - offsetof(struct conn, msg));

    (void)l;
    lock_take(&c->mu);
    c->msg_pending = false;
    bool stalled = c->lease == LEASE_STALLED;
    lock_drop(&c->mu);
    if (c->state == CONN_DEAD) {
        conn_free_if_returned(c);
        return;
    }
    conn_dirty(c);
    if (stalled)
        conn_watch_out(c, true);
    if (c->proto)
        c->proto->events(c);
}

/* ---- events noted by protocols ---- */

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

void conn_event_forget_locked(struct conn *c, struct stream *s)
{
    lock_assert_held(&c->mu);
    if (!s->events)
        return;
    struct stream **at = &c->events;
    while (*at != s)
        at = &(*at)->next_event;
    *at = s->next_event;
    if (!*at)
        c->events_tail = at;
    s->events = 0;
}

/* ---- birth ---- */

/* An address as text; "" for a unix socket.  A dual-stack listener gives IPv4 ones as
 * ::ffff:a.b.c.d; applications compare with a.b.c.d. */
static void address_text(const union sockaddr_any *a, char text[48], uint16_t *ret_port)
{
    const struct in6_addr *six = &a->in6.sin6_addr;

    if (a->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->in.sin_addr, text, 48);
        *ret_port = ntohs(a->in.sin_port);
    } else if (a->sa.sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(six);
        inet_ntop(mapped ? AF_INET : AF_INET6, mapped ? &six->s6_addr[12] : six->s6_addr, text,
                  48);
        *ret_port = ntohs(a->in6.sin6_port);
    }
}

static void conn_name_ends(struct conn *c)
{
    address_text(&c->peer, c->peer_text, &c->peer_port);
    address_text(&c->local, c->local_text, &c->local_port);
    if (!c->peer_text[0])
        memcpy(c->peer_text, "unix:", 6);
}

struct conn *conn_new(struct worker *w, const struct conn_accepted *a)
{
    static atomic_ullong serial; /* relaxed: only has to differ */
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    if (a->tls) {
        c->tls = tls_new(w->tls);
        if (!c->tls) {
            free(c);
            return NULL;
        }
    }
    c->src.fd = a->fd;
    c->src.fn = conn_event_fn;
    c->worker = w;
    c->loop = w->loop;
    c->serial = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed) + 1;
    c->peer = a->peer;
    c->local = a->local;
    c->client = a->client;
    conn_name_ends(c);
    c->is_tls = a->tls;
    c->is_https = a->https;
    c->is_unnamed = a->unnamed;
    c->is_trusted = remote_is_trusted(&w->conf->gateway, c);
    c->state = CONN_HANDSHAKE;
    c->events_tail = &c->events;
    c->lease = LEASE_WORKER;
    c->msg.fn = conn_msg_fn;
    c->flush.fn = conn_flush_fn;
    c->timer.fn = conn_timer_fn;
    c->since_ms = c->idle_since_ms = c->read_at_ms = loop_now_ms(w->loop);
    lock_init(&c->mu);
    return c;
}

void conn_start(struct conn *c, const uint8_t *first, size_t n)
{
    c->epoll_events = EPOLLIN;
    if (loop_add(c->loop, &c->src, c->epoll_events) < 0) {
        c->kill = true;
        conn_dirty(c);
        return;
    }
    timer_set(c->loop, &c->timer, c->worker->tick_ms);
    if (!c->tls) {
        bool h2 = n >= H2_PREFACE_LEN && memcmp(first, H2_PREFACE, H2_PREFACE_LEN) == 0;
        if (conn_set_proto(c, h2 ? &http2_proto : &http1_proto) < 0) {
            conn_kill(c);
            return;
        }
    }
    if (n)
        conn_input(c, first, n);
    conn_dirty(c); /* HTTP/2's SETTINGS */
}
