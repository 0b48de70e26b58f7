#include "conn_send.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tls.h"
#include "worker.h"

enum {
    SEND_PRESSED = 32 * 1024, /* the least that produce() is given */
    WIRE_ROOM = SEND_BATCH + 4096
}; /* TLS adds 22 bytes per record of up to 16 KiB, more for small ones */

int send_scratch_init(struct send_scratch *x)
{
    *x = (struct send_scratch){.plain = malloc(SEND_BATCH)};
    if (!x->plain || !buf_reserve(&x->wire, WIRE_ROOM)) {
        send_scratch_fini(x);
        return GW_ENO_MEMORY;
    }
    return 0;
}

void send_scratch_fini(struct send_scratch *x)
{
    free(x->plain);
    buf_fini(&x->wire);
    *x = (struct send_scratch){0};
}

bool conn_pending_locked(struct conn *c)
{
    lock_assert_held(&c->mu);
    if (c->dead)
        return false;
    return buf_len(&c->tls_out) || (c->proto && !c->tls_failed && c->proto->want_write(c));
}

bool conn_drained_locked(struct conn *c)
{
    return c->lease == LEASE_WORKER && buf_len(&c->out) == 0 && !conn_pending_locked(c);
}

/* Some of what waits was taken. */
static void note_progress(struct conn *c)
{
    if (atomic_load_explicit(&c->progress_ms, memory_order_relaxed))
        atomic_store_explicit(&c->progress_ms, clock_now_ms(), memory_order_relaxed);
}

/* send() until b is empty.  false: the socket takes no more (*ret_err 0) or failed. */
static bool send_buf(struct conn *c, struct buf *b, int flags, int *ret_err)
{
    *ret_err = 0;
    while (buf_len(b)) {
        ssize_t n = send(c->src.fd, buf_at(b), buf_len(b), MSG_NOSIGNAL | MSG_DONTWAIT | flags);
        if (n > 0) {
            buf_drop(b, (size_t)n);
            note_progress(c);
        } else if (errno != EINTR) {
            if (errno != EAGAIN)
                *ret_err = errno;
            return false;
        }
    }
    return true;
}

/* Fill x->wire with up to a batch.  < 0: broken.  *ret_more: the batch was not all. */
static int conn_fill_locked(struct conn *c, struct send_scratch *x, bool *ret_more)
{
    /* What the socket does not take is kept in c->out. */
    size_t batch = worker_is_pressed(c->worker) ? SEND_PRESSED : SEND_BATCH;
    ssize_t n = 0;

    lock_assert_held(&c->mu);
    *ret_more = false;
    if (c->dead)
        return 0;
    if (buf_len(&c->tls_out)) { /* encrypted earlier than what comes now */
        if (buf_append(&x->wire, buf_at(&c->tls_out), buf_len(&c->tls_out)) < 0)
            return GW_ENO_MEMORY;
        buf_fini(&c->tls_out);
    }
    if (!c->proto || c->tls_failed)
        return 0;
    if (!c->tls) {
        uint8_t *dst = buf_reserve(&x->wire, batch);
        if (!dst)
            return GW_ENO_MEMORY;
        n = c->proto->produce(c, dst, batch);
        if (n > 0)
            buf_commit(&x->wire, (size_t)n);
    } else {
        if (!x->plain)
            x->plain = malloc(SEND_BATCH);
        if (!x->plain)
            return GW_ENO_MEMORY;
        n = c->proto->produce(c, x->plain, batch);
        if (n > 0 && tls_output(c->tls, x->plain, (size_t)n, &x->wire) != TLS_OK) {
            c->tls_failed = true;
            return GW_ECLIENT_TLS;
        }
    }
    *ret_more = n > 0 && c->proto->want_write(c);
    return n < 0 ? (int)n : 0;
}

static enum sent conn_broken(struct conn *c)
{
    lock_take(&c->mu);
    c->broken = true;
    lock_drop(&c->mu);
    return SENT_BROKEN;
}

static enum sent conn_blocked(struct conn *c)
{
    if (!atomic_load_explicit(&c->progress_ms, memory_order_relaxed))
        atomic_store_explicit(&c->progress_ms, clock_now_ms(), memory_order_relaxed);
    return SENT_BLOCKED;
}

static bool conn_file_next_locked(struct conn *c, struct file_piece *ret_piece)
{
    lock_assert_held(&c->mu);
    return !c->dead && !c->tls && c->proto && c->proto->file_next &&
           c->proto->file_next(c, ret_piece);
}

/* n bytes of p went out; what is left to send? */
static enum sent conn_sent_file(struct conn *c, struct file_piece *p, size_t n, int err)
{
    lock_take(&c->mu);
    if (!c->dead)
        c->proto->file_sent(c, p->file, n, err);
    bool more = conn_pending_locked(c);
    lock_drop(&c->mu);
    if (!more && atomic_load_explicit(&c->progress_ms, memory_order_relaxed))
        atomic_store_explicit(&c->progress_ms, 0, memory_order_relaxed);
    return more ? SENT_BATCH : SENT_ALL;
}

/* What waits in the socket is short (acceptor.c) so that priorities decide late.  Where one file
 * goes out there is nothing to decide, and filling the socket by 128 KiB at a time costs three times
 * the CPU: 6.5 instead of 2.3 ms for 10 MiB. */
static void fill_socket(struct conn *c)
{
    int none = 0;

    if (c->sends_files)
        return;
    c->sends_files = true;
    setsockopt(c->src.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &none, sizeof(none));
}

/* What is in front of a piece, then the piece: the head and the first bytes in one segment.
 * Drops p's reference, but hands it to c->cold with SENT_COLD. */
static enum sent conn_send_file(struct conn *c, struct send_scratch *x, struct file_piece *p)
{
    enum sent sent = SENT_BROKEN;
    size_t n;
    int err = 0;

    bool cold = !x->may_wait && !c->warmed && !file_piece_is_warm(p, loop_now_ms(c->loop));
    c->warmed = false;
    if (!send_buf(c, &x->wire, cold ? 0 : MSG_MORE, &err)) {
        if (!err && buf_append(&c->out, buf_at(&x->wire), buf_len(&x->wire)) == 0) {
            worker_out_held(c->worker, buf_len(&c->out));
            sent = conn_blocked(c);
        }
    } else if (cold) {
        c->cold = *p;
        return SENT_COLD;
    } else {
        fill_socket(c);
        enum piece_sent piece = file_piece_send(c->src.fd, p, &n, &err);
        if (n)
            note_progress(c);
        sent = conn_sent_file(c, p, n, err); /* also what went out before the socket broke */
        if (piece == PIECE_BLOCKED)
            sent = conn_blocked(c);
        else if (piece == PIECE_BROKEN)
            sent = SENT_BROKEN;
    }
    open_file_unref(p->file);
    return sent == SENT_BROKEN ? conn_broken(c) : sent;
}

enum sent conn_send(struct conn *c, struct send_scratch *x)
{
    struct file_piece piece;
    bool more;
    int err;

    size_t held = buf_len(&c->out);
    if (held) {
        bool all = send_buf(c, &c->out, 0, &err);
        worker_out_held(c->worker, buf_len(&c->out) - held);
        if (!all)
            return err ? conn_broken(c) : conn_blocked(c);
        buf_fini(&c->out);
    }
    buf_clear(&x->wire);
    lock_take(&c->mu);
    int rc = conn_fill_locked(c, x, &more);
    bool file = rc == 0 && conn_file_next_locked(c, &piece);
    lock_drop(&c->mu);
    c->out_is_file = file;
    if (file)
        return conn_send_file(c, x, &piece);
    if (!send_buf(c, &x->wire, 0, &err)) {
        if (err || rc < 0 || buf_append(&c->out, buf_at(&x->wire), buf_len(&x->wire)) < 0)
            return conn_broken(c);
        worker_out_held(c->worker, buf_len(&c->out));
        return conn_blocked(c);
    }
    if (rc < 0)
        return conn_broken(c);
    if (atomic_load_explicit(&c->progress_ms, memory_order_relaxed))
        atomic_store_explicit(&c->progress_ms, 0, memory_order_relaxed);
    return more ? SENT_BATCH : SENT_ALL;
}
