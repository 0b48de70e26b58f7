/*
 * HTTP/1.1 on a connection: one stream at a time.
 *
 * What came behind the request under way waits unparsed; it is looked at when that request's
 * response is complete and its body is over.  What the next byte of input is, is a state of the
 * worker's own (http1_in.c); how far the response went is http1_out.c's, under the lock, since
 * whoever holds the lease moves it on.
 */
#include "http1_in.h"

#include <stdlib.h>

#include "worker.h"

/* Input waiting behind the request under way, beyond which the socket is not read. */
enum { WAITING_HIGH = 64 * 1024 };

/* ---- the connection's course ---- */

/* Stop reading while the handler does not keep up, or while later requests pile up. */
static void pace(struct conn *c)
{
    struct http1 *h = http1_of(c);
    bool full = h->s && (h->s->in.n > STREAM_IN_HIGH || buf_len(&h->in) > WAITING_HIGH);

    if (full == h->paused)
        return;
    h->paused = full;
    if (full)
        conn_pause_read(c);
    else
        conn_resume_read(c);
}

static void end(struct conn *c, int err, bool linger)
{
    struct http1 *h = http1_of(c);

    h->ended = true;
    h->in_state = IN_DROP;
    buf_fini(&h->in);
    pace(c);
    conn_end(c, err, linger && !h->eof);
}

/* ---- from one request to the next ---- */

/* Has a head begun?  Its time runs from its first byte, an empty line in front of it apart. */
static void note_half_head(struct conn *c)
{
    struct http1 *h = http1_of(c);
    bool half = !h->s && h->in_state == IN_HEAD && h->head.begun;

    if (!half)
        c->head_since_ms = 0;
    else if (!c->head_since_ms)
        c->head_since_ms = loop_now_ms(c->loop);
    if (half != h->half_head) {
        lock_take(&c->mu);
        h->half_head = half;
        lock_drop(&c->mu);
    }
}

/* The response is complete: read the rest of the request's body, then the next one; or end. */
static void next_request(struct conn *c)
{
    struct http1 *h = http1_of(c);

    if (h->ended)
        return;
    if (!h->keep || h->shutdown || conn_draining(c) || http1_in_rest_too_long(h)) {
        /* Who said it would close and left nothing unread gets no linger. */
        bool over = h->in_state == IN_WAIT && buf_len(&h->in) == 0 && !h->head.persistent;
        end(c, 0, !over);
        return;
    }
    if (h->in_state == IN_WAIT)
        http1_in_next_head(c);
    int rc = http1_in_take_waiting(c);
    if (rc < 0)
        end(c, rc, false);
    else if (h->eof && !h->s)
        end(c, 0, false);
    note_half_head(c);
    pace(c);
}

static void finish(struct conn *c, struct stream *s)
{
    struct http1 *h = http1_of(c);

    lock_take(&c->mu);
    http1_out_end(&h->out);
    lock_drop(&c->mu);
    h->s = NULL;
    stream_on_close(s, h->reset_err);
    next_request(c);
}

/* What the client had sent when the tunnel was opened. */
static void begin_raw(struct conn *c, struct stream *s)
{
    struct http1 *h = http1_of(c);
    int rc = http1_in_take_waiting(c);

    if (rc == 0 && h->eof && !s->in_eof) {
        s->in_eof = true;
        stream_on_body(s);
    }
    if (rc < 0)
        end(c, rc, false);
    else
        pace(c);
}

static void http1_events(struct conn *c)
{
    struct stream *s;
    unsigned events;

    loop_assert_owner(c->loop);
    while ((s = conn_event_next(c, &events))) {
        if (events & STREAM_EV_BODY && !(events & STREAM_EV_CLOSED))
            begin_raw(c, s);
        if (events & STREAM_EV_CLOSED)
            finish(c, s);
        else if (events & STREAM_EV_WRITABLE)
            stream_on_writable(s);
    }
}

static int http1_input(struct conn *c, const uint8_t *p, size_t n)
{
    struct http1 *h = http1_of(c);
    size_t used = 0;
    int rc;

    loop_assert_owner(c->loop);
    if (buf_len(&h->in)) {
        rc = buf_append(&h->in, p, n);
        if (rc == 0)
            rc = http1_in_take_waiting(c);
    } else { /* the common case: a head is parsed where it was received */
        rc = http1_in_take(c, p, n, &used);
        if (rc == 0 && used < n)
            rc = buf_append(&h->in, p + used, n - used);
    }
    note_half_head(c);
    pace(c);
    return rc;
}

/* RFC 9112 9.6: a client may close its side and wait for the answers to what it sent in full.
 */
static int http1_input_eof(struct conn *c)
{
    struct http1 *h = http1_of(c);

    loop_assert_owner(c->loop);
    h->eof = true;
    if (h->s && h->in_state == IN_RAW) {
        h->s->in_eof = true;
        stream_on_body(h->s);
        return 0;
    }
    if (h->s)
        return h->in_state == IN_LENGTH || h->in_state == IN_CHUNKED ? GW_ECLIENT_GONE : 0;
    if (!h->ended)
        end(c, 0, false);
    return 0;
}

static void http1_shutdown(struct conn *c, int err)
{
    struct http1 *h = http1_of(c);

    loop_assert_owner(c->loop);
    h->shutdown = true;
    if (h->s || h->ended)
        return; /* Connection: close on its response, or the end behind it */
    if (h->in_state != IN_HEAD || !h->head.begun) {
        end(c, err, h->in_state != IN_HEAD);
        return;
    }
    if (err == 0)
        return; /* half a head: the rest may still be answered */
    /* RFC 9110 15.5.9: the client hears that its head did not come in time. */
    if (gw_err_status(err) == 0 || http1_in_bad_head(c, buf_at(&h->in), err) < 0)
        end(c, err, false);
    buf_fini(&h->in);
}

/* ---- the response ---- */

/* May the connection go on behind this response?  What it says is kept by next_request(). */
static bool stays_open(const struct stream *s, const struct response *r)
{
    const struct http1 *h = http1_of(s->conn);

    if (!h->keep || h->shutdown || conn_draining(s->conn))
        return false;
    if (s->err == GW_EBODY_TIME || s->err == GW_EBODY_SLOW)
        return false; /* its rest is not waited for either */
    /* RFC 9110 10.1.1: nobody can tell whether a body follows that was never asked for. */
    if (h->continue_due)
        return false;
    return !http1_in_rest_too_long(h) || (!s->in_discard && r->status < 400);
}

/* RFC 9110 7.8: behind this head the connection is the tunnel's alone. */
static int switch_protocols(struct stream *s, const struct response *r)
{
    struct conn *c = s->conn;
    struct http1 *h = http1_of(c);
    const struct http1_framing f = {
        .content_length = -1, .upgrade = true, .date = worker_date(c->worker)};

    h->keep = false;
    h->in_state = IN_RAW;
    s->in_eof = false;
    c->is_tunnel = true;
    lock_take(&c->mu);
    int rc = http1_out_head(&h->out, r, &f);
    if (buf_len(&h->in) || h->eof)
        stream_event_locked(s, STREAM_EV_BODY);
    lock_drop(&c->mu);
    conn_dirty(c);
    return rc;
}

static int http1_send_head(struct stream *s, const struct response *r)
{
    struct conn *c = s->conn;
    struct http1 *h = http1_of(c);
    bool old = s->req.version < HTTP_1_1;
    bool no_content = r->status == 204 || r->status == 304;
    struct http1_framing f = {
        /* RFC 9110 8.6: 204 must not have it, with 304 it would speak of another response. */
        .content_length = no_content ? -1 : r->content_length,
        .bodyless = h->is_head || no_content,
        .upgrade = s->err == GW_EWEBSOCKET_VERSION, /* RFC 9110 15.5.22 */
        .date = worker_date(c->worker),
    };

    loop_assert_owner(c->loop);
    if (r->status == 101)
        return switch_protocols(s, r);
    if (!f.bodyless && r->content_length < 0) {
        f.chunked = !old;
        h->keep = h->keep && !old; /* HTTP/1.0: the end of the connection ends it */
    }
    h->keep = stays_open(s, r);
    f.close = !h->keep;
    f.keep_alive = h->keep && old;
    lock_take(&c->mu);
    int rc = http1_out_head(&h->out, r, &f);
    lock_drop(&c->mu);
    conn_dirty(c);
    return rc;
}

/* RFC 9110 15.2: never to HTTP/1.0, which takes it for the answer. */
static int http1_send_interim(struct stream *s, int status, const struct field *fields,
                              size_t n_fields)
{
    struct conn *c = s->conn;
    struct http1 *h = http1_of(c);

    loop_assert_owner(c->loop);
    if (s->req.version < HTTP_1_1)
        return 0;
    if (status == 100)
        h->continue_due = false;
    lock_take(&c->mu);
    int rc = http1_out_interim(&h->out, status, fields, n_fields);
    lock_drop(&c->mu);
    conn_dirty(c);
    return rc;
}

static void http1_body_ready(struct stream *s)
{
    lock_assert_held(&s->conn->mu);
    http1_out_body_ready(&http1_of(s->conn)->out);
}

static ssize_t http1_produce(struct conn *c, uint8_t *dst, size_t cap)
{
    lock_assert_held(&c->mu);
    return (ssize_t)http1_out_produce(&http1_of(c)->out, dst, cap);
}

static bool http1_want_write(struct conn *c)
{
    lock_assert_held(&c->mu);
    return http1_out_wants(&http1_of(c)->out);
}

static bool http1_done(struct conn *c)
{
    lock_assert_held(&c->mu);
    return http1_of(c)->out.state == HTTP1_IDLE && !http1_of(c)->half_head;
}

static bool http1_takes_file(const struct stream *s)
{
    return !http1_of(s->conn)->out.chunks;
}

static bool http1_file_next(struct conn *c, struct file_piece *ret_piece)
{
    lock_assert_held(&c->mu);
    return http1_out_file(&http1_of(c)->out, ret_piece);
}

static void http1_file_sent(struct conn *c, const struct open_file *f, size_t n, int err)
{
    lock_assert_held(&c->mu);
    http1_out_file_sent(&http1_of(c)->out, f, n, err);
}

/* The client learns that its response is not complete by the connection's end alone. */
static void http1_reset(struct stream *s, int err)
{
    struct conn *c = s->conn;
    struct http1 *h = http1_of(c);

    loop_assert_owner(c->loop);
    lock_take(&c->mu);
    bool cut = http1_out_cut(&h->out);
    lock_drop(&c->mu);
    if (!cut)
        return; /* all of it went out before */
    h->reset_err = err;
    h->ended = true;
    h->in_state = IN_DROP; /* not end(): perhaps inside http1_in_take(), which reads h->in */
    conn_end(c, err, false);
}

static void http1_consumed(struct stream *s, size_t n)
{
    (void)n;
    pace(s->conn);
}

static int http1_open(struct conn *c)
{
    c->proto_state = calloc(1, sizeof(struct http1));
    if (!c->proto_state)
        return GW_ENO_MEMORY;
    http1_of(c)->out.reads = c->is_tls;
    http1_in_next_head(c);
    return 0;
}

static void http1_close(struct conn *c)
{
    struct http1 *h = http1_of(c);

    buf_fini(&h->in);
    buf_fini(&h->out.wire);
    free(h);
    c->proto_state = NULL;
}

const struct proto http1_proto = {
    .name = "HTTP/1.1",
    .open = http1_open,
    .input = http1_input,
    .input_eof = http1_input_eof,
    .events = http1_events,
    .produce = http1_produce,
    .want_write = http1_want_write,
    .file_next = http1_file_next,
    .file_sent = http1_file_sent,
    .takes_file = http1_takes_file,
    .done = http1_done,
    .shutdown = http1_shutdown,
    .send_head = http1_send_head,
    .send_interim = http1_send_interim,
    .body_ready = http1_body_ready,
    .reset = http1_reset,
    .consumed = http1_consumed,
    .close = http1_close,
};
