#include "stream_out.h"

#include <stdlib.h>

#include "conn.h"
#include "encode.h"
#include "stream_error.h"
#include "worker.h"

/* ---- marks ---- */

/* How much of its body is kept for the client before the producer is to wait. */
static size_t stream_high(const struct stream *s)
{
    bool pressed = worker_is_pressed(s->conn->worker);

    return pressed       ? STREAM_PRESSED_HIGH
           : s->out.slow ? STREAM_SLOW_HIGH
           : s->encoder  ? STREAM_ENCODED_HIGH
                         : STREAM_OUT_HIGH;
}

static void stream_full_locked(struct stream *s, size_t high)
{
    lock_assert_held(&s->conn->mu);
    s->out.want_writable = true;
    s->out.low = high / 2;
}

/* ---- what goes to the protocol ---- */

int stream_pass_head(struct stream *s, const struct response *r)
{
    lock_take(&s->conn->mu);
    s->out.head_sent = true;
    lock_drop(&s->conn->mu);
    int rc = s->conn->proto->send_head(s, r);
    if (rc == 0)
        conn_dirty(s->conn);
    return rc;
}

/* k, which is taken over, or a copy of p[0..n) goes behind what waits for the client.  What
 * nobody will take is dropped. */
static int stream_add_locked(struct stream *s, struct chunk *k, const void *p, size_t n)
{
    int rc = 0;

    lock_assert_held(&s->conn->mu);
    if (s->out.closed || s->out.no_body || n == 0) {
        chunk_free(k);
        return 0;
    }
    if (k)
        chain_append_chunk(&s->out.body, k);
    else
        rc = chain_append(&s->out.body, p, n);
    if (rc < 0)
        return rc;
    worker_out_held(s->conn->worker, n); /* before some of it is taken */
    s->conn->proto->body_ready(s);
    return 0;
}

int stream_pass_body(struct stream *s, const void *p, size_t n)
{
    lock_take(&s->conn->mu);
    int rc = stream_add_locked(s, NULL, p, n);
    lock_drop(&s->conn->mu);
    conn_dirty(s->conn);
    return rc;
}

void stream_pass_end(struct stream *s)
{
    struct conn *c = s->conn;

    lock_take(&c->mu);
    s->out.eof = true;
    if (!s->out.closed)
        c->proto->body_ready(s);
    lock_drop(&c->mu);
    conn_dirty(c);
}

void stream_pass_room(struct stream *s)
{
    lock_take(&s->conn->mu);
    bool full = s->out.body.n >= s->out.high;
    if (full)
        stream_full_locked(s, s->out.high);
    else
        s->out.want_writable = false;
    lock_drop(&s->conn->mu);
    if (!full)
        stream_on_writable(s);
}

/* ---- what handlers hand in ---- */

/* Cut n to what the announced Content-Length leaves (RFC 9110 8.6: never more than said). */
static size_t stream_cut(struct stream *s, size_t n)
{
    if (s->out.left < 0)
        return n;
    if ((uint64_t)n > (uint64_t)s->out.left)
        n = (size_t)s->out.left;
    s->out.left -= (int64_t)n;
    return n;
}

/* p[0..n) goes through the encoder.  While some of it waits for its turn no mark of the buffer
 * says when there is room: the encoder does. */
static ssize_t stream_encode(struct stream *s, const void *p, size_t n)
{
    size_t high = s->out.high;
    int rc = n ? encode_put(s, p, n) : 0;

    if (rc < 0) {
        stream_fail(s, rc);
        return rc;
    }
    size_t waiting = encode_waiting(s);
    if (waiting)
        encode_hold_up(s);
    lock_take(&s->conn->mu);
    size_t buffered = s->out.body.n + waiting;
    if (buffered >= high || waiting)
        stream_full_locked(s, waiting ? 0 : high);
    lock_drop(&s->conn->mu);
    return (ssize_t)(waiting && buffered < high ? high : buffered);
}

/* k is a filled chunk, or p[0..n) is copied. */
static ssize_t stream_put(struct stream *s, struct chunk *k, const void *p, size_t n)
{
    struct conn *c = s->conn;
    size_t high = stream_high(s);

    loop_assert_owner(s->loop);
    if (s->over || s->finished) {
        chunk_free(k);
        return 0;
    }
    s->out.high = high;
    loop_scratch_small(s->loop, high == STREAM_PRESSED_HIGH);
    n = stream_cut(s, n);
    if (k)
        k->len = k->off + (uint32_t)n;
    if (s->encoder) {
        ssize_t buffered = stream_encode(s, k ? k->data + k->off : p, n);
        chunk_free(k);
        return buffered;
    }
    lock_take(&c->mu);
    int rc = stream_add_locked(s, k, p, n);
    size_t buffered = s->out.body.n;
    if (buffered >= high) /* until the low mark, though less may be added meanwhile */
        stream_full_locked(s, high);
    lock_drop(&c->mu);
    if (rc < 0) {
        stream_abort(s, rc);
        return rc;
    }
    conn_dirty(c);
    return (ssize_t)buffered;
}

ssize_t stream_send_body(struct stream *s, const void *p, size_t n)
{
    return stream_put(s, NULL, p, n);
}

ssize_t stream_send_chunk(struct stream *s, struct chunk *k)
{
    return stream_put(s, k, NULL, k->len - k->off);
}

bool stream_send_file(struct stream *s, struct open_file *f, int64_t at, int64_t n)
{
    struct conn *c = s->conn;

    loop_assert_owner(s->loop);
    if (s->over || s->finished || s->out.no_body || s->encoder || !c->proto->takes_file ||
        !c->proto->takes_file(s))
        return false;
    n = (int64_t)stream_cut(s, (size_t)n);
    lock_take(&c->mu);
    s->out.file = open_file_ref(f);
    s->out.file_at = at;
    s->out.file_left = s->out.closed ? 0 : n;
    c->proto->body_ready(s);
    lock_drop(&c->mu);
    conn_dirty(c);
    return true;
}

int stream_file_result(struct stream *s, struct file_piece *ret_rest)
{
    struct stream_out *out = &s->out;

    lock_take(&s->conn->mu);
    int err = out->file_err;
    *ret_rest = (struct file_piece){out->file, out->file_at, (size_t)out->file_cold};
    out->file_cold = 0;
    lock_drop(&s->conn->mu);
    if (out->left >= 0)
        out->left += (int64_t)ret_rest->n; /* it will be counted again */
    return err;
}

void stream_slow(struct stream *s, struct chain *ret_back)
{
    struct stream_out *out = &s->out;

    out->slow = true;
    if (s->encoder)
        return; /* an encoder cannot take back what it made */
    size_t high = stream_high(s);
    struct chunk *kept = chunk_new(high);
    lock_take(&s->conn->mu);
    if (kept && out->body.n > high) {
        kept->len = (uint32_t)chain_take(&out->body, kept->data, high);
        chain_move(ret_back, &out->body);
        worker_out_held(s->conn->worker, -ret_back->n);
        chain_append_chunk(&out->body, kept);
        kept = NULL;
        stream_full_locked(s, high);
    }
    lock_drop(&s->conn->mu);
    chunk_free(kept);
    if (out->left >= 0)
        out->left += (int64_t)ret_back->n; /* it will be counted again */
}

void stream_caught_up(struct stream *s)
{
    s->out.slow = false;
}

/* ---- what protocols take ---- */

void stream_out_took_locked(struct stream *s, size_t n)
{
    lock_assert_held(&s->conn->mu);
    s->out.n_body += n;
    worker_out_held(s->conn->worker, -n);
    if (s->out.want_writable && s->out.body.n < s->out.low) {
        s->out.want_writable = false;
        stream_event_locked(s, STREAM_EV_WRITABLE);
    }
}
