/*
 * HTTP/1.1 on a connection: one stream at a time.
 *
 * What came behind the request under way waits unparsed; it is looked at when that request's
 * response is complete and its body is over.  What the next byte of input is, is a state of the
 * worker's own (enum in_state); how far the response went is http1_out.c's, under the lock,
 * since whoever holds the lease moves it on.
 */
#include "conn.h"

#include <stdlib.h>

#include "h1chunk.h"
#include "http1_out.h"
#include "http1_request.h"
#include "worker.h"

enum {
    /* Input waiting behind the request under way, beyond which the socket is not read. */
    WAITING_HIGH = 64 * 1024,
    /* A body that nobody wanted is read to its end for the sake of the connection if no more
     * than this is left of it; RFC 9112 9.3 lets us choose. */
    REST_MAX = 64 * 1024,
};

enum in_state {
    IN_HEAD,    /* a request head, or silence */
    IN_LENGTH,  /* a body of body_left more bytes */
    IN_CHUNKED, /* a chunked body */
    IN_WAIT,    /* the request is complete: the next one waits for its response */
    IN_DROP,    /* nothing more is read from this client */
    N_IN_STATES
};

/* Field keys: o worker only   m under c->mu   om written by the worker under it, so that the
 * worker may read it without */
struct http1 {
    struct stream *s;          /* o   the request under way; NULL: none */
    struct h1_head head;       /* o   of the request under way or being received */
    struct h1_chunked chunked; /* o */
    uint64_t body_left;        /* o */
    struct buf in;             /* o   input not yet parsed: half a head, or later requests */
    enum in_state in_state;    /* o */
    int32_t last_id;           /* o */
    int reset_err;             /* o   why s was given up; 0 */
    bool keep;                 /* o   another request may follow this one */
    bool is_head;              /* o   asked by HEAD, whatever the method becomes on the way */
    bool continue_due;         /* o   the client may be waiting for leave to send the body */
    bool shutdown;             /* o   this request is the last */
    bool ended;                /* o   conn_end was called */
    bool eof;                  /* o   the client closed its side */
    bool paused;               /* o */

    bool half_head;       /* om  a head has begun: the connection is not idle */
    struct http1_out out; /* m */
};

static struct http1 *http1_of(const struct conn *c)
{
    return c->proto_state;
}

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

static void next_head(struct conn *c)
{
    struct http1 *h = http1_of(c);

    h1_head_init(&h->head, (uint64_t)conn_limits(c)->head_limit, conn_limits(c)->head_fields);
    h->in_state = IN_HEAD;
}

/* Is there more of the request's body than is worth reading just to get behind it?  A client
 * that waits for leave may never send it, and its next request would be taken for it. */
static bool rest_too_long(const struct http1 *h)
{
    return h->in_state == IN_CHUNKED ||
           (h->in_state == IN_LENGTH && (h->continue_due || h->body_left > REST_MAX));
}

/* ---- input ---- */

/* A stream for what the parser found; *ret_bytes is the head in its arena. */
static struct stream *request_new(struct conn *c, const uint8_t *p, struct slice *ret_bytes)
{
    struct http1 *h = http1_of(c);

    h->last_id = h->last_id == INT32_MAX ? 1 : h->last_id + 1;
    struct stream *s = stream_new(c, h->last_id);
    if (!s)
        return NULL;
    if (http1_request_line(s, &h->head, p, ret_bytes) < 0) {
        stream_on_close(s, GW_ENO_MEMORY);
        return NULL;
    }
    h->s = s;
    h->reset_err = 0;
    h->continue_due = false;
    h->is_head = slice_eq(s->req.method, SLICE("HEAD"));
    lock_take(&c->mu);
    http1_out_begin(&h->out, s);
    lock_drop(&c->mu);
    return s;
}

/* Where the body ends, RFC 9112 6.3. */
static void begin_body(struct http1 *h)
{
    h->chunked = (struct h1_chunked){0};
    h->body_left = h->head.content_length > 0 ? (uint64_t)h->head.content_length : 0;
    h->in_state = h->head.chunked ? IN_CHUNKED : h->body_left ? IN_LENGTH : IN_WAIT;
    h->continue_due = (h->head.expect_continue || h->head.expect_unknown) && !h->s->in_eof;
    h->keep = h->head.persistent && h->head.form != H1_AUTHORITY;
}

/* No message ends where we could say so: answer, and read no more (RFC 9112 2.2, 11.2). */
static int bad_head(struct conn *c, const uint8_t *p, int err)
{
    struct http1 *h = http1_of(c);
    struct slice bytes;
    struct stream *s = request_new(c, p, &bytes);

    if (!s)
        return GW_ENO_MEMORY;
    s->in_eof = true;
    h->keep = false;
    h->in_state = IN_DROP;
    stream_on_bad_head(s, err);
    return 0;
}

typedef ssize_t take_fn(struct conn *c, const uint8_t *p, size_t n);

static ssize_t take_head(struct conn *c, const uint8_t *p, size_t n)
{
    struct http1 *h = http1_of(c);
    struct slice bytes;
    ssize_t used = h1_head_parse(&h->head, p, n);

    if (used == 0)
        return 0;
    if (used < 0) {
        int rc = bad_head(c, p, (int)used);
        return rc < 0 ? rc : (ssize_t)n;
    }
    struct stream *s = request_new(c, p, &bytes);
    if (!s || http1_request_fill(s, &h->head, bytes) < 0)
        return GW_ENO_MEMORY;
    begin_body(h);
    int err = http1_request_refusal(s, &h->head);
    if (err)
        stream_on_bad_head(s, err);
    else
        stream_on_head(s);
    return used;
}

/* Body bytes for the request under way; its response may be long complete. */
static int give_body(struct http1 *h, struct slice data)
{
    struct stream *s = h->s;

    h->continue_due = false;
    if (!s)
        return 0;
    s->in_total += data.n;
    return s->in_discard ? 0 : chain_append(&s->in, data.p, data.n);
}

/* Some of the body came, perhaps the end of it. */
static void body_came(struct conn *c, bool end_of_body)
{
    struct http1 *h = http1_of(c);

    if (end_of_body && h->s)
        h->in_state = IN_WAIT;
    else if (end_of_body)
        next_head(c);
    if (h->s) {
        h->s->in_eof = end_of_body;
        stream_on_body(h->s);
    }
}

static ssize_t take_length(struct conn *c, const uint8_t *p, size_t n)
{
    struct http1 *h = http1_of(c);

    if (n > h->body_left)
        n = (size_t)h->body_left;
    int rc = give_body(h, slice_of(p, n));
    if (rc < 0)
        return rc;
    h->body_left -= n;
    body_came(c, h->body_left == 0);
    return (ssize_t)n;
}

/* A body that is broken in its middle: its handler is let go, and the client told if it can be.
 */
static void bad_body(struct conn *c, int err)
{
    struct http1 *h = http1_of(c);
    struct stream *s = h->s;

    h->keep = false;
    h->in_state = IN_DROP;
    stream_give_up(s, err);
}

/* All the chunks there are, then one word to the stream: clients send small ones. */
static ssize_t take_chunked(struct conn *c, const uint8_t *p, size_t n)
{
    struct http1 *h = http1_of(c);
    size_t at = 0;

    while (at < n && !h1_chunked_done(&h->chunked)) {
        struct slice data;
        ssize_t used = h1_chunked_next(&h->chunked, p + at, n - at, &data);
        if (used < 0) {
            bad_body(c, (int)used);
            return (ssize_t)n;
        }
        int rc = give_body(h, data);
        if (rc < 0)
            return rc;
        at += (size_t)used;
    }
    body_came(c, h1_chunked_done(&h->chunked));
    return (ssize_t)at;
}

static ssize_t take_nothing(struct conn *c, const uint8_t *p, size_t n)
{
    (void)c;
    (void)p;
    (void)n;
    return 0;
}

static ssize_t take_and_drop(struct conn *c, const uint8_t *p, size_t n)
{
    (void)c;
    (void)p;
    return (ssize_t)n;
}

static take_fn *const take_steps[N_IN_STATES] = {
    [IN_HEAD] = take_head,    [IN_LENGTH] = take_length, [IN_CHUNKED] = take_chunked,
    [IN_WAIT] = take_nothing, [IN_DROP] = take_and_drop,
};

/* As much of p[0..n) as can be taken now.  0 or gw_err. */
static int take(struct conn *c, const uint8_t *p, size_t n, size_t *ret_used)
{
    struct http1 *h = http1_of(c);
    size_t at = 0;

    while (at < n) {
        ssize_t used = take_steps[h->in_state](c, p + at, n - at);
        if (used < 0)
            return (int)used;
        if (used == 0)
            break;
        at += (size_t)used;
    }
    *ret_used = at;
    return 0;
}

static int take_waiting(struct conn *c)
{
    struct http1 *h = http1_of(c);
    size_t used = 0;

    if (buf_len(&h->in) == 0)
        return 0;
    int rc = take(c, buf_at(&h->in), buf_len(&h->in), &used);
    buf_drop(&h->in, used);
    if (buf_len(&h->in) == 0)
        buf_fini(&h->in);
    return rc;
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
    if (!h->keep || h->shutdown || conn_draining(c) || rest_too_long(h)) {
        /* Who said it would close and left nothing unread gets no linger. */
        bool over = h->in_state == IN_WAIT && buf_len(&h->in) == 0 && !h->head.persistent;
        end(c, 0, !over);
        return;
    }
    if (h->in_state == IN_WAIT)
        next_head(c);
    int rc = take_waiting(c);
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

static void http1_events(struct conn *c)
{
    struct stream *s;
    unsigned events;

    loop_assert_owner(c->loop);
    while ((s = conn_event_next(c, &events))) {
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
            rc = take_waiting(c);
    } else { /* the common case: a head is parsed where it was received */
        rc = take(c, p, n, &used);
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
    if (gw_err_status(err) == 0 || bad_head(c, buf_at(&h->in), err) < 0)
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
    if (s->err == GW_EBODY_TIME)
        return false; /* its rest is not waited for either */
    /* RFC 9110 10.1.1: nobody can tell whether a body follows that was never asked for. */
    if (h->continue_due)
        return false;
    return !rest_too_long(h) || (!s->in_discard && r->status < 400);
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
        .date = worker_date(c->worker),
    };

    loop_assert_owner(c->loop);
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
    h->in_state = IN_DROP; /* not end(): perhaps inside take_waiting(), which reads h->in */
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
    next_head(c);
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
    .done = http1_done,
    .shutdown = http1_shutdown,
    .send_head = http1_send_head,
    .send_interim = http1_send_interim,
    .body_ready = http1_body_ready,
    .reset = http1_reset,
    .consumed = http1_consumed,
    .close = http1_close,
};
