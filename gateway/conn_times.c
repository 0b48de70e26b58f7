#include "conn_times.h"

#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "tls.h"
#include "worker.h"

enum {
    LINGER_TOTAL_MS = 30000, /* nginx's lingering_time */
    COOL_MS = 1000,          /* a connection idle for so long gives its buffers back */
};

/* The nearer of *next and at; true if at has passed. */
static bool due(uint64_t now, uint64_t at, uint64_t *next)
{
    if (at <= now)
        return true;
    if (at < *next)
        *next = at;
    return false;
}

/* A response body that waits for the client: did the protocol take any of it since the last
 * look? */
static bool stream_stuck(struct stream *s, uint64_t now, uint64_t limit, uint64_t *next)
{
    lock_take(&s->conn->mu);
    bool waits = s->out.body.n > 0;
    uint64_t taken = s->out.n_body;
    lock_drop(&s->conn->mu);
    /* While the whole connection waits, its own time counts. */
    if (atomic_load_explicit(&s->conn->progress_ms, memory_order_relaxed))
        waits = false;
    if (!waits || taken != s->out_seen || !s->out_seen_ms) {
        s->out_seen = taken;
        s->out_seen_ms = now;
    }
    return due(now, s->out_seen_ms + limit, next) && waits;
}

static void stream_check_times(struct stream *s, uint64_t now, uint64_t *next)
{
    const struct conf_gateway *g = conn_limits(s->conn);

    if (!s->start_us) {
        if (due(now, s->created_ms + (uint64_t)g->head_timeout_ms, next))
            stream_on_bad_head(s, GW_EREQ_TIME);
        return;
    }
    if (s->waits_for_body && !s->in_eof && !s->finished &&
        due(now, s->body_at_ms + (uint64_t)g->body_timeout_ms, next)) {
        stream_give_up(s, GW_EBODY_TIME);
        return;
    }
    if (s->answered && !s->over && stream_stuck(s, now, (uint64_t)g->write_timeout_ms, next))
        stream_give_up(s, GW_ECLIENT_SLOW);
}

/* A slow client takes what the kernel holds long before the socket takes more from us: that
 * is progress too. */
static void conn_note_queue(struct conn *c, uint64_t now, uint64_t *progress)
{
    int queued;

    if (ioctl(c->src.fd, SIOCOUTQ, &queued) < 0)
        return;
    /* Exchange: a writer that got rid of everything meanwhile said that nothing waits. */
    if (queued < c->queued_seen &&
        atomic_compare_exchange_strong_explicit(&c->progress_ms, progress, now,
                                                memory_order_relaxed, memory_order_relaxed))
        *progress = now;
    c->queued_seen = queued;
}

/* Is the connection over a time?  The error, or 0 with *next lowered. */
static int conn_check_times(struct conn *c, uint64_t now, uint64_t *next)
{
    const struct conf_gateway *g = conn_limits(c);
    uint64_t progress = atomic_load_explicit(&c->progress_ms, memory_order_relaxed);

    if (progress)
        conn_note_queue(c, now, &progress);
    if (progress && due(now, progress + (uint64_t)g->write_timeout_ms, next))
        return GW_ECLIENT_SLOW;
    if (c->state == CONN_HANDSHAKE)
        return due(now, c->since_ms + (uint64_t)g->handshake_timeout_ms, next) ? GW_ECLIENT_TLS
                                                                               : 0;
    if (c->n_streams || progress) /* who still takes its answer is not idle */
        return 0;
    if (c->head_since_ms)
        return due(now, c->head_since_ms + (uint64_t)g->head_timeout_ms, next) ? GW_EREQ_TIME
                                                                               : 0;
    return due(now, c->idle_since_ms + (uint64_t)g->idle_timeout_ms, next) ? GW_ECLIENT_IDLE
                                                                           : 0;
}

static void conn_time_out(struct conn *c, int err)
{
    if (err != GW_ECLIENT_IDLE)
        conn_log(c, CONF_LOG_INFO, err, "closed");
    if (err == GW_ECLIENT_IDLE && !c->ends) {
        c->proto->shutdown(c, err);
        conn_end(c, 0, false);
    } else if (err == GW_EREQ_TIME && !c->ends) {
        c->proto->shutdown(c, err); /* RFC 9110 15.5.9: 408, or GOAWAY */
        conn_end(c, err, false);
    } else {
        c->end_err = err;
        conn_kill(c);
    }
}

/* What only busy connections need is given back. */
static void conn_cool(struct conn *c, uint64_t now)
{
    if (c->state != CONN_OPEN || c->n_streams || now < c->idle_since_ms + COOL_MS)
        return;
    if (!c->tls_warm && c->n_cooled == c->n_requests)
        return;
    lock_take(&c->mu);
    bool quiet = conn_drained_locked(c); /* and so it stays: the lease is the worker's */
    if (quiet && c->tls)
        tls_keep_buffers(c->tls, false);
    lock_drop(&c->mu);
    if (!quiet)
        return;
    c->tls_warm = false;
    c->n_cooled = c->n_requests;
    if (c->proto->cool)
        c->proto->cool(c);
}

void conn_timer_fn(struct loop *l, struct timer *t)
{
    struct conn *c = (struct conn *)(void *)((char *)t - offsetof(struct conn, timer));
    uint64_t now = loop_now_ms(l), next = now + c->worker->tick_ms;

    if (c->state == CONN_DEAD || c->kill)
        return;
    if (c->state == CONN_LINGER) {
        if (due(now, c->read_at_ms + LINGER_SILENCE_MS, &next) ||
            due(now, c->since_ms + LINGER_TOTAL_MS, &next))
            conn_kill(c);
    } else {
        int err = conn_check_times(c, now, &next);
        conn_cool(c, now);
        if (err < 0) {
            conn_time_out(c, err);
        } else {
            for (struct stream *s = c->streams, *after; s; s = after) {
                after = s->next;
                stream_check_times(s, now, &next);
            }
        }
    }
    timer_set(l, t, next > now ? next - now : 1);
}
