#include "conn_times.h"

#include <inttypes.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* struct tcp_info as the kernel has it */
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "counters.h"
#include "tls.h"
#include "tunnel.h"
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

/* ---- what is said and counted ---- */

static const struct time_row {
    int err;
    enum counter counter;
    const char *key;
    size_t value; /* its place in struct conf_gateway */
} time_rows[] = {
#define ROW(err, counter, key, field)                                                          \
    {                                                                                          \
        err, COUNTER_##counter, key, offsetof(struct conf_gateway, field)                      \
    }
    ROW(GW_ECLIENT_TLS, HANDSHAKE_TIMEOUT, "handshake_timeout", handshake_timeout_ms),
    ROW(GW_EREQ_TIME, HEAD_TIMEOUT, "head_timeout", head_timeout_ms),
    ROW(GW_EBODY_TIME, BODY_TIMEOUT, "body_timeout", body_timeout_ms),
    ROW(GW_EBODY_SLOW, BODY_MIN_RATE, "body_min_rate", body_min_rate),
    ROW(GW_ECLIENT_SLOW, WRITE_TIMEOUT, "write_timeout", write_timeout_ms),
    ROW(GW_ECLIENT_RATE, RESPONSE_MIN_RATE, "response_min_rate", response_min_rate),
    ROW(GW_ECLIENT_IDLE, IDLE_TIMEOUT, "idle_timeout", idle_timeout_ms),
#undef ROW
};

static const struct time_row *time_row(int err)
{
    const struct time_row *row = time_rows;

    while (row->err != err)
        row++;
    return row;
}

enum { FIGURE_MAX = 128 };

/* "write_timeout=60000ms", "response_min_rate=512/s (300 bytes in 71500 ms)".  Counts it. */
static void count_time(const struct conn *c, int err, const struct pace *p,
                       char text[FIGURE_MAX])
{
    const struct time_row *row = time_row(err);
    int64_t limit = *(const int64_t *)(const void *)((const char *)conn_limits(c) + row->value);

    counter_add(row->counter);
    if (err == GW_ECLIENT_RATE || err == GW_EBODY_SLOW)
        (void)snprintf(text, FIGURE_MAX,
                       "%s=%" PRId64 "/s (%" PRIu64 " bytes in %" PRIu64 " ms)", row->key,
                       limit, p->bytes, p->since_ms);
    else
        (void)snprintf(text, FIGURE_MAX, "%s=%" PRId64 "ms", row->key, limit);
}

static void stream_note_time(struct stream *s, int err, const struct pace *p)
{
    char text[FIGURE_MAX];

    count_time(s->conn, err, p, text);
    s->err_why = arena_dup(&s->arena, slice_of(text, strlen(text)));
    if (!s->err_why.p)
        s->err_why = slice_of("", 0);
}

static void stream_time_out(struct stream *s, int err, const struct pace *p)
{
    struct conn *c = s->conn;

    stream_note_time(s, err, p);
    /* Silence of one body may be an accident, and 408 tells; the others are held open. */
    if (err != GW_EBODY_TIME && c->proto->calm)
        c->proto->calm(c, err);
    stream_give_up(s, err);
}

/* ---- rates ---- */

static bool late(struct pace *p, const struct pace_limit *limit, uint64_t moved, bool turn,
                 uint64_t now, uint64_t *next)
{
    uint64_t left;

    if (!turn && !p->seen_ms)
        return false; /* most never wait */
    if (pace_sample(p, limit, moved, turn, now, &left))
        return turn;
    if (turn && now + left < *next)
        *next = now + left;
    return false;
}

static struct pace_limit write_limit(const struct conf_gateway *g)
{
    return (struct pace_limit){.debt_ms = (uint64_t)g->write_timeout_ms,
                               .rate = (uint64_t)g->response_min_rate};
}

/* Two kinds of slowness. */
static int slow_err(const struct pace *p, const struct pace_limit *limit, int silent, int slow)
{
    return pace_is_silence(p, limit) ? silent : slow;
}

static int slow_reader(const struct conn *c, const struct pace *p)
{
    const struct pace_limit limit = write_limit(conn_limits(c));

    return slow_err(p, &limit, GW_ECLIENT_SLOW, GW_ECLIENT_RATE);
}

/* Has the response of s something that the protocol does not take?  While the whole connection
 * waits for the socket, that time counts.  *ret: whether the client gives credit. */
static bool waits_for_credit(struct stream *s, struct credit *ret, uint64_t *ret_taken)
{
    struct conn *c = s->conn;

    *ret = (struct credit){
        .in = true, .out = true, .conn_out = true, .conn_taken = c->credit_pace.seen};
    lock_take(&c->mu);
    if (c->proto->credit)
        c->proto->credit(s, ret);
    /* Of a file on HTTP/1.1 it is the socket that waits, or the disk. */
    bool waits = (s->out.body.n > 0 || (c->proto->credit && s->out.file_left)) &&
                 !atomic_load_explicit(&c->progress_ms, memory_order_relaxed);
    *ret_taken = s->out.n_body;
    lock_drop(&c->mu);
    return waits;
}

/* Is it too slow with its body?  The error, or 0.  It is not its turn while it has no credit of
 * ours: other streams, whose applications are slow, may have used up the connection's. */
static int body_late(struct stream *s, bool credit, uint64_t now, uint64_t *next)
{
    const struct conf_gateway *g = conn_limits(s->conn);
    const struct pace_limit limit = {.debt_ms = (uint64_t)g->body_timeout_ms,
                                     .rate = (uint64_t)g->body_min_rate};
    uint64_t waited = s->in_waited_ms + (s->waits_for_body ? now - s->in_wait_at_ms : 0);
    uint64_t left;

    if (!s->waits_for_body && !s->in_pace.seen_ms)
        return 0;
    if (s->in_pace.seen_ms == 0) /* from where it began to wait */
        (void)pace_look(&s->in_pace, &limit, 0, 0, s->created_ms, &left);
    if (!credit || s->conn->read_paused) { /* begin again */
        s->in_pace = (struct pace){0};
        (void)pace_look(&s->in_pace, &limit, s->in_total, waited, now, &left);
        return 0;
    }
    if (pace_look(&s->in_pace, &limit, s->in_total, waited, now, &left)) {
        /* Looks are seldom; this is when the last byte came. */
        if (s->in_came_at_ms && now - s->in_came_at_ms > s->in_pace.silent_ms)
            s->in_pace.silent_ms = now - s->in_came_at_ms;
        return s->waits_for_body ? slow_err(&s->in_pace, &limit, GW_EBODY_TIME, GW_EBODY_SLOW)
                                 : 0;
    }
    if (s->waits_for_body && now + left < *next)
        *next = now + left;
    return 0;
}

/* *ret_starved is set if its response waits for the connection's credit alone. */
static void stream_check_times(struct stream *s, uint64_t now, uint64_t *next,
                               struct credit *ret_credit, bool *ret_starved)
{
    const struct conf_gateway *g = conn_limits(s->conn);
    const struct pace_limit limit = write_limit(g);
    uint64_t taken;

    if (s->pushed && !s->start_us)
        return; /* its promise waits to be sent */
    if (!s->start_us) {
        if (due(now, s->created_ms + (uint64_t)g->head_timeout_ms, next)) {
            stream_note_time(s, GW_EREQ_TIME, NULL);
            stream_on_bad_head(s, GW_EREQ_TIME);
        }
        return;
    }
    bool waits = waits_for_credit(s, ret_credit, &taken);
    if (s->tunnel) {
        tunnel_look(s, taken, now, next);
        return;
    }
    int err = s->finished || s->in_eof ? 0 : body_late(s, ret_credit->in, now, next);
    if (err < 0) {
        stream_time_out(s, err, &s->in_pace);
        return;
    }
    if (late(&s->out_pace, &limit, taken, waits && !ret_credit->out, now, next) && !s->over)
        stream_time_out(s, slow_reader(s->conn, &s->out_pace), &s->out_pace);
    else if (waits && ret_credit->out && !ret_credit->conn_out)
        *ret_starved = true;
}

/* All of them; the error if the connection gives too little credit for all. */
static int streams_check_times(struct conn *c, uint64_t now, uint64_t *next)
{
    const struct pace_limit limit = write_limit(conn_limits(c));
    struct credit credit = {.conn_taken = c->credit_pace.seen};
    bool starved = false;

    for (struct stream *s = c->streams, *after; s; s = after) {
        after = s->next;
        stream_check_times(s, now, next, &credit, &starved);
    }
    if (late(&c->credit_pace, &limit, credit.conn_taken, starved, now, next))
        return slow_reader(c, &c->credit_pace);
    return 0;
}

/* ---- the socket ---- */

/* What the client's end took of all that was sent: what TCP has seen acknowledged.  Elsewhere
 * only that it took something can be seen: the bytes that the kernel holds became fewer, or it
 * took more from us. */
static uint64_t socket_taken(struct conn *c, uint64_t progress, struct pace_limit *limit)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    int queued = 0;

    if (c->peer.sa.sa_family != AF_UNIX &&
        getsockopt(c->src.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
        len >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
        return info.tcpi_bytes_acked;
    limit->rate = 0;
    if (ioctl(c->src.fd, SIOCOUTQ, &queued) == 0 &&
        (queued < c->queued_seen || progress != c->progress_seen))
        c->n_moves++;
    c->queued_seen = queued;
    c->progress_seen = progress;
    return c->n_moves;
}

/* Is the client too slow for what waits for the socket? */
static bool socket_late(struct conn *c, uint64_t progress, uint64_t now, uint64_t *next)
{
    struct pace_limit limit = write_limit(conn_limits(c));
    uint64_t taken = progress ? socket_taken(c, progress, &limit) : c->socket_pace.seen;

    return late(&c->socket_pace, &limit, taken, progress != 0, now, next);
}

/* It goes when its requests are answered. */
static void conn_check_age(struct conn *c, uint64_t now, uint64_t *next)
{
    int64_t age = conn_limits(c)->connection_age_ms;

    if (!age || c->drains || c->state != CONN_OPEN ||
        !due(now, c->since_ms + (uint64_t)age, next))
        return;
    counter_add(COUNTER_CONNECTION_AGE);
    conn_log(c, CONF_LOG_INFO, GW_OK, "closing; connection_age=%" PRId64 "ms", age);
    conn_drain(c);
}

/* Is the connection over a time?  The error, or 0 with *next lowered. */
static int conn_check_times(struct conn *c, uint64_t now, uint64_t *next)
{
    const struct conf_gateway *g = conn_limits(c);
    uint64_t progress = atomic_load_explicit(&c->progress_ms, memory_order_relaxed);

    if (!c->is_tunnel && socket_late(c, progress, now, next))
        return slow_reader(c, &c->socket_pace);
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

/* ---- the timer ---- */

/* Nothing waits for the socket, so the client can be told. */
static void conn_tell(struct conn *c, int err)
{
    c->proto->shutdown(c, err); /* RFC 9110 15.5.9: 408, or GOAWAY */
    conn_end(c, err == GW_ECLIENT_IDLE ? 0 : err, false);
}

/* A reader that is cut off shall not be sent for hours what the kernel holds for it, nor the
 * kernel hold it: closing is a reset. */
static void conn_drop_queued(struct conn *c)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(c->src.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void conn_time_out(struct conn *c, int err, const struct pace *p)
{
    bool socket_slow =
        p == &c->socket_pace && (err == GW_ECLIENT_SLOW || err == GW_ECLIENT_RATE);
    char text[FIGURE_MAX];

    count_time(c, err, p, text);
    if (err != GW_ECLIENT_IDLE)
        conn_log(c, CONF_LOG_INFO, err, "closed; %s", text);
    if (c->proto && !c->ends && !socket_slow) {
        conn_tell(c, err);
    } else {
        c->end_err = err;
        if (socket_slow)
            conn_drop_queued(c);
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
        conn_check_age(c, now, &next);
        if (err < 0)
            conn_time_out(c, err, &c->socket_pace);
        else if ((err = streams_check_times(c, now, &next)) < 0)
            conn_time_out(c, err, &c->credit_pace);
    }
    timer_set(l, t, next > now ? next - now : 1);
}
