/*
 * Requests that were answered before they had come in whole.
 *
 * RFC 9113 8.1 lets a server end such an answer at once, send RST_STREAM(NO_ERROR) behind it, and
 * says that no client may drop the answer for it.  Clients do otherwise.  curl 7.88 drops an answer
 * whose end and reset arrive together; if the answer ends while it is still sending, it never
 * notices and waits for ever; httpx waits for ever to send the rest.  All of them do well with an
 * answer that ends behind their request.  So the answer goes out, all but its END_STREAM, the rest
 * of the request is taken and dropped, as HTTP/1.1 servers do before they close (RFC 9112 9.6), and
 * END_STREAM follows the client's.  Who goes on for long, or says nothing more and does not end,
 * gets it without, and the reset some time behind it.  So does at once who was told to calm down.
 */
#include "http2_session.h"

#include <stddef.h>

#include "stream.h"

enum {
    TICK_MS = 1000,
    SILENT_TICKS = 2, /* who waits for the end before he goes on shall not wait for long */
    ALL_TICKS = 30,   /* time and bytes as nginx lingers */
    RESET_TICKS = 2,  /* from END_STREAM to the reset: never in one packet */
    BYTES_MAX = 16 * 1024 * 1024
};

static bool request_is_open(struct http2 *h, const struct stream *s)
{
    return nghttp2_session_get_stream_remote_close(h->session, s->id) == 0;
}

static void begin_locked(struct http2 *h, struct stream *s)
{
    if (h2_stream_of(s)->lingers)
        return;
    h2_stream_of(s)->lingers = true;
    h->n_lingering++;
    h->conn->note = true; /* the worker has to set the timer */
}

bool h2_linger_holds_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    if (h2_stream_of(s)->let_go || h->calmed || !request_is_open(h, s))
        return false;
    begin_locked(h, s);
    return true;
}

static void reset_locked(struct http2 *h, struct stream *s)
{
    h2_linger_end_locked(h, s);
    h2_note_failure(
        h, nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR));
}

void h2_linger_let_go_locked(struct http2 *h, struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    hs->let_go = true;
    if (hs->end_sent)
        reset_locked(h, s);
    else
        http2_proto.body_ready(s);
}

void h2_linger_data_locked(struct http2 *h, struct stream *s, size_t n)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    hs->linger_silent = 0;
    hs->linger_bytes += n;
    if (hs->linger_bytes > BYTES_MAX && !hs->let_go)
        h2_linger_let_go_locked(h, s);
}

void h2_linger_request_ended_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    if (!h2_stream_of(s)->lingers)
        return;
    h2_linger_end_locked(h, s);
    h2_stream_of(s)->let_go = true;
    http2_proto.body_ready(s);
}

void h2_linger_answer_ended_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    if (!request_is_open(h, s))
        return;
    begin_locked(h, s);
    h2_stream_of(s)->linger_ticks = 0;
    if (h->client_eof)
        reset_locked(h, s); /* nobody is there to be confused */
}

void h2_linger_end_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    if (h2_stream_of(s)->lingers)
        h->n_lingering--;
    h2_stream_of(s)->lingers = false;
}

/* One more second is over: is it enough? */
static bool tick_is_last(struct h2_stream *hs)
{
    hs->linger_ticks++;
    if (hs->end_sent)
        return hs->linger_ticks >= RESET_TICKS;
    return !hs->let_go &&
           (++hs->linger_silent >= SILENT_TICKS || hs->linger_ticks >= ALL_TICKS);
}

static void linger_tick(struct loop *l, struct timer *t)
{
    struct http2 *h = (struct http2 *)(void *)((char *)t - offsetof(struct http2, linger));
    struct conn *c = h->conn;

    (void)l;
    lock_take(&c->mu);
    for (struct stream *s = c->streams; s && h->n_lingering; s = s->next) {
        struct h2_stream *hs = h2_stream_of(s);
        if (!hs || !hs->lingers)
            continue;
        if (tick_is_last(hs))
            h2_linger_let_go_locked(h, s);
    }
    lock_drop(&c->mu);
    conn_dirty(c); /* events() sets the timer again */
}

void h2_linger_watch(struct http2 *h)
{
    if (timer_armed(&h->linger))
        return;
    h->linger.fn = linger_tick;
    timer_set(h->conn->loop, &h->linger, TICK_MS);
}

void h2_linger_close(struct http2 *h)
{
    timer_clear(&h->linger);
}
