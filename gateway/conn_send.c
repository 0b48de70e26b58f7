#include "conn_send.h"

#include <errno.h>
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

/* send() until b is empty.  false: the socket takes no more (*ret_err 0) or failed. */
static bool send_buf(struct conn *c, struct buf *b, int *ret_err)
{
    *ret_err = 0;
    while (buf_len(b)) {
        ssize_t n = send(c->src.fd, buf_at(b), buf_len(b), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            buf_drop(b, (size_t)n);
            if (atomic_load_explicit(&c->progress_ms, memory_order_relaxed))
                atomic_store_explicit(&c->progress_ms, clock_now_ms(), memory_order_relaxed);
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

enum sent conn_send(struct conn *c, struct send_scratch *x)
{
    bool more;
    int err;

    size_t held = buf_len(&c->out);
    if (held) {
        bool all = send_buf(c, &c->out, &err);
        worker_out_held(c->worker, buf_len(&c->out) - held);
        if (!all)
            return err ? conn_broken(c) : conn_blocked(c);
        buf_fini(&c->out);
    }
    buf_clear(&x->wire);
    lock_take(&c->mu);
    int rc = conn_fill_locked(c, x, &more);
    lock_drop(&c->mu);
    if (!send_buf(c, &x->wire, &err)) {
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
