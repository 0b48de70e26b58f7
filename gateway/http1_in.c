#include "http1_in.h"

#include "http1_request.h"

/* A body that nobody wanted is read to its end for the sake of the connection if no more than
 * this is left of it; RFC 9112 9.3 lets us choose. */
enum { REST_MAX = 64 * 1024 };

void http1_in_next_head(struct conn *c)
{
    struct http1 *h = http1_of(c);

    h1_head_init(&h->head, (uint64_t)conn_limits(c)->head_limit, conn_limits(c)->head_fields);
    h->in_state = IN_HEAD;
}

bool http1_in_rest_too_long(const struct http1 *h)
{
    return h->in_state == IN_CHUNKED ||
           (h->in_state == IN_LENGTH && (h->continue_due || h->body_left > REST_MAX));
}

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

int http1_in_bad_head(struct conn *c, const uint8_t *p, int err)
{
    struct http1 *h = http1_of(c);
    struct slice bytes;
    struct stream *s = request_new(c, p, &bytes);

    if (!s)
        return GW_ENO_MEMORY;
    s->in_eof = true;
    h->keep = false;
    h->in_state = IN_DROP;
    if (err == GW_EREQ_HEAD_LARGE && h->head.n_fields >= h->head.max_fields)
        stream_head_large(s, "head_fields", h->head.max_fields);
    else if (err == GW_EREQ_HEAD_LARGE)
        stream_head_large(s, "head_limit", h->head.max_bytes);
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
        int rc = http1_in_bad_head(c, p, (int)used);
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
        http1_in_next_head(c);
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
    if (err == GW_EREQ_HEAD_LARGE && h->chunked.n_trailers > H1_CHUNK_TRAILER_FIELDS)
        stream_head_large(s, "trailers", H1_CHUNK_TRAILER_FIELDS);
    else if (err == GW_EREQ_HEAD_LARGE)
        stream_head_large(s, "trailer bytes", H1_CHUNK_TRAILERS);
    stream_give_up(s, err);
}

/* Does a chunk whose data is still to come take the body over its limit?  RFC 9110 15.5.14 */
static bool chunk_too_large(const struct http1 *h)
{
    const struct stream *s = h->s;

    return s && s->body_limit && !s->in_discard && h->chunked.total > s->body_limit;
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
        if (chunk_too_large(h)) {
            bad_body(c, GW_EBODY_LARGE);
            return (ssize_t)n;
        }
    }
    body_came(c, h1_chunked_done(&h->chunked));
    return (ssize_t)at;
}

static ssize_t take_raw(struct conn *c, const uint8_t *p, size_t n)
{
    struct http1 *h = http1_of(c);
    int rc = give_body(h, slice_of(p, n));

    if (rc < 0)
        return rc;
    if (h->s)
        stream_on_body(h->s);
    return (ssize_t)n;
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
    [IN_HEAD] = take_head, [IN_LENGTH] = take_length, [IN_CHUNKED] = take_chunked,
    [IN_RAW] = take_raw,   [IN_WAIT] = take_nothing,  [IN_DROP] = take_and_drop,
};

int http1_in_take(struct conn *c, const uint8_t *p, size_t n, size_t *ret_used)
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

int http1_in_take_waiting(struct conn *c)
{
    struct http1 *h = http1_of(c);
    size_t used = 0;

    if (buf_len(&h->in) == 0)
        return 0;
    int rc = http1_in_take(c, buf_at(&h->in), buf_len(&h->in), &used);
    buf_drop(&h->in, used);
    if (buf_len(&h->in) == 0)
        buf_fini(&h->in);
    return rc;
}
