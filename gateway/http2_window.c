/*
 * How far ahead a client may send a request's body: its stream's window.
 *
 * A stream begins with h2_stream_window, which is enough for small bodies and for applications that
 * are slower than clients.  Over a path with a delay it is not: a client sends a window, then waits
 * for a round trip.  So a window is grown, by GROWTH at a time, when
 *
 *   - half of it and more is used up in every round trip, so that it, and not the client, is what
 *     limits the speed; and
 *   - whoever takes the body had all of it but the last window, so that it would take more; from
 *     16 MiB on all but half of it: a window that large may have been filled by a machine that is
 *     merely busy.
 *
 * It is never larger than FASTEST fills in a round trip, from which it would not gain any more.
 *
 * An application that does not read, or reads slowly, leaves the window small; where it stops later
 * what is under way waits in memory, which is why all grown windows come out of one budget
 * (window.h).  A body that goes to a spool is taken as fast as it comes: it has a large window from
 * the beginning, also because some clients (git with curl 7.88) stand still for ever if they are
 * held up at the end of a body.  All of a connection's grown windows are at most half of
 * h2_connection_window, so that a stream whose application stopped does not stop the others.
 *
 * The round trip is measured once, by a PING, for the first body that uses half of its window; what
 * TCP knows of it ends at the nearest proxy.  Where the answer takes longer than LOOK_MS the path is
 * long, and the first step does not wait for it: it is made by what the TLS handshake took.  Who does
 * not answer at all gets no second one.
 *
 * When the last of a window comes, the application has mostly not read it yet, and what comes next
 * is a round trip away: so whoever is refused for that is looked at once more, LOOK_MS later.
 *
 * Credit goes out for half a window at a time, as the library has it; for large ones in sixteenths,
 * so that the client has almost all of its window under way instead of half.
 */
#include "http2_session.h"

#include <stdlib.h>

#include "counters.h"
#include "stream.h"
#include "window.h"
#include "worker.h"

enum {
    GROWTH = 256, /* each step costs a round trip */
    LOOK_MS = 10, /* an application that reads has read by then */
    LARGE = 1024 * 1024,
    VERY_LARGE = 16 * LARGE,
    FASTEST = LARGE, /* bytes a millisecond: 8 Gbit/s */
};

/* One stream of a connection at a time is looked at again.  All is the worker's. */
struct h2_look {
    struct timer timer;
    struct conn *conn;
    int32_t id;
    uint64_t rtt_ms; /* as it was known then */
};

const uint8_t h2_rtt_ping[8] = {'h', '2', 'c', 'g', 'i', ' ', 'r', 't'};

void h2_window_open(struct http2 *h, struct stream *s)
{
    h2_stream_of(s)->window = (uint64_t)conn_limits(h->conn)->h2_stream_window;
    h2_stream_of(s)->used_since_ms = loop_now_ms(h->conn->loop);
}

void h2_window_credit_locked(struct http2 *h, struct stream *s, size_t n)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    if (s->in_eof) { /* its own window will not be used again */
        h2_note_failure(h, nghttp2_session_consume_connection(h->session, n));
        return;
    }
    h2_note_failure(h, nghttp2_session_consume(h->session, s->id, n));
    if (hs->window <= LARGE)
        return;
    int64_t came = nghttp2_session_get_stream_effective_recv_data_length(h->session, s->id);
    int64_t due = came - (int64_t)hs->unconsumed; /* padding, too */
    if (due >= (int64_t)hs->window / 16)
        h2_note_failure(h, nghttp2_submit_window_update(h->session, NGHTTP2_FLAG_NONE, s->id,
                                                        (int32_t)due));
}

/* ---- how large it may be ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What s has use for. */
static uint64_t most_of(const struct stream *s)
{
    uint64_t most = (uint64_t)conn_limits(s->conn)->h2_stream_window_max;

    if (s->req.content_length >= 0)
        most = least(most, (uint64_t)s->req.content_length);
    return most;
}

/* Of what this connection has for grown windows half of what is left, as of the whole budget. */
static uint64_t most_of_connection(const struct http2 *h)
{
    uint64_t most = (uint64_t)conn_limits(h->conn)->h2_connection_window / 2;

    return h->grown < most ? (most - h->grown) / 2 : 0;
}

void h2_window_grow(struct stream *s, uint64_t to)
{
    struct conn *c = s->conn;
    struct http2 *h = c->proto_state;
    struct h2_stream *hs = h2_stream_of(s);

    to = least(to, most_of(s));
    if (s->in_eof || to <= hs->window)
        return;
    lock_take(&c->mu);
    uint64_t wanted = hs->closed ? 0 : least(to - hs->window, most_of_connection(h));
    lock_drop(&c->mu);
    uint64_t got = wanted ? window_take(c->worker->windows, wanted) : 0;
    if (got < wanted && !hs->window_short) {
        hs->window_short = true;
        counter_add(COUNTER_H2_WINDOW_MEMORY);
    }
    if (got == 0)
        return;
    lock_take(&c->mu);
    if (!hs->closed) {
        hs->window += got;
        hs->grown += got;
        h->grown += got;
        /* It cannot fail but for memory; then the window stays as it is. */
        (void)nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, s->id,
                                                    (int32_t)hs->window);
    }
    lock_drop(&c->mu);
    s->window_extra += got;
    conn_dirty(c);
}

void h2_window_end_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    h->grown -= h2_stream_of(s)->grown;
    h2_stream_of(s)->grown = 0;
}

/* ---- whether it is too small ---- */

static void measure(struct http2 *h)
{
    struct conn *c = h->conn;

    if (h->rtt_asked_ms)
        return;
    h->rtt_asked_ms = loop_now_ms(c->loop);
    lock_take(&c->mu);
    h2_note_failure(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, h2_rtt_ping));
    lock_drop(&c->mu);
    conn_dirty(c);
}

void h2_window_pong(struct http2 *h)
{
    if (h->rtt_asked_ms && !h->rtt_ms) /* a millisecond more: the loop's clock is no finer */
        h->rtt_ms = loop_now_ms(h->conn->loop) - h->rtt_asked_ms + 1;
}

/* Does whoever the body is for take it as it comes?  The last window's bytes may be on their way
 * to it, but some were read: else a socket's room would look like an application that reads.  On
 * TCP what the server's kernel holds cannot be told from that. */
static bool is_taken(struct stream *s)
{
    uint64_t window = h2_stream_of(s)->window;
    size_t behind =
        s->handler && s->handler->body_behind ? s->handler->body_behind(s) : SIZE_MAX;

    return behind <= (window < VERY_LARGE ? window : window / 2) &&
           s->in_total >= behind + window / 2;
}

/* How long a round trip takes, as far as is known by now. */
static uint64_t path_ms(const struct http2 *h)
{
    if (h->rtt_ms)
        return h->rtt_ms;
    return h->conn->handshake_rtt_ms > LOOK_MS ? h->conn->handshake_rtt_ms : LOOK_MS;
}

/* What comes within the new window comes a round trip later, and its time runs from then on. */
static void grow(const struct http2 *h, struct stream *s)
{
    uint64_t window = h2_stream_of(s)->window;
    uint64_t most = path_ms(h) * FASTEST;

    h2_window_grow(
        s, least(most, window < VERY_LARGE ? least(GROWTH * window, VERY_LARGE) : 4 * window));
    h2_stream_of(s)->used_since_ms = loop_now_ms(s->loop) + path_ms(h);
}

static void look_again(struct loop *l, struct timer *t)
{
    struct h2_look *k = (struct h2_look *)(void *)t;
    struct conn *c = k->conn;
    struct http2 *h = c->proto_state;

    (void)l;
    lock_take(&c->mu);
    /* Of a dead one the session still knows streams that are gone, until its lease is back. */
    struct stream *s = c->dead ? NULL : h2_find_locked(h, k->id);
    lock_drop(&c->mu);
    if (s && h->rtt_ms == k->rtt_ms && is_taken(s))
        grow(h, s);
}

static void look_later(struct http2 *h, const struct stream *s)
{
    if (!h->look)
        h->look = calloc(1, sizeof(*h->look));
    if (!h->look || timer_armed(&h->look->timer))
        return;
    h->look->timer.fn = look_again;
    h->look->conn = h->conn;
    h->look->id = s->id;
    h->look->rtt_ms = h->rtt_ms;
    timer_set(h->conn->loop, &h->look->timer, LOOK_MS);
}

void h2_window_close(struct http2 *h)
{
    if (h->look)
        timer_clear(&h->look->timer);
    free(h->look);
}

void h2_window_consumed(struct stream *s, size_t n)
{
    struct h2_stream *hs = h2_stream_of(s);
    struct http2 *h = s->conn->proto_state;

    hs->used += n;
    if (hs->used < hs->window / 2 || hs->window >= most_of(s))
        return;
    uint64_t now = loop_now_ms(s->loop);
    uint64_t took = now > hs->used_since_ms ? now - hs->used_since_ms : 0;
    hs->used = 0;
    hs->used_since_ms = now;
    if (!h->rtt_ms)
        measure(h);
    else if (2 * took > 3 * h->rtt_ms)
        return;
    if (h->rtt_ms && is_taken(s))
        grow(h, s);
    else if (!h->rtt_ms || h->rtt_ms > LOOK_MS)
        look_later(h, s);
}
