/*
 * Requests that were answered before they had come in whole.
 *
 * RFC 9113 8.1 lets a server send RST_STREAM(NO_ERROR) behind such an answer, and says that no
 * client may drop the answer for it.  curl 7.88 does, when both arrive together; httpx waits
 * for ever to send the rest.  So the rest is taken and dropped for a while, as HTTP/1.1 servers
 * do before they close (RFC 9112 9.6), and only who goes on for long, or says nothing more and
 * does not end, gets the reset.
 */
#include "http2_session.h"

#include <stddef.h>

#include "stream.h"

enum {
    TICK_MS = 1000,
    SILENT_TICKS = 5, /* times and bytes as nginx lingers: 5 s without a byte, */
    ALL_TICKS = 30,   /* 30 s in all */
    BYTES_MAX = 16 * 1024 * 1024
};

void h2_linger_begin_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    h2_stream_of(s)->lingers = true;
    h->n_lingering++;
    h->conn->note = true; /* the worker has to set the timer */
}

static void give_up_locked(struct http2 *h, struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);

    hs->lingers = false;
    h->n_lingering--;
    h2_note_failure(
        h, nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR));
}

void h2_linger_data_locked(struct http2 *h, struct stream *s, size_t n)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    hs->linger_silent = 0;
    hs->linger_bytes += n;
    if (hs->linger_bytes > BYTES_MAX)
        give_up_locked(h, s);
}

void h2_linger_end_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    if (h2_stream_of(s)->lingers)
        h->n_lingering--;
    h2_stream_of(s)->lingers = false;
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
        if (++hs->linger_silent >= SILENT_TICKS || ++hs->linger_ticks >= ALL_TICKS)
            give_up_locked(h, s);
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
