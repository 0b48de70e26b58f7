/*
 * Connections as things to be had: a kept one of the worker, a fresh one, a kept one of another
 * worker; and how long they are kept.
 */
#include <stddef.h>
#include <stdlib.h>

#include "pool_priv.h"

static struct fcgi_conn *conn_struct_locked(struct pool *p) REQUIRES(p->mu)
{
    struct fcgi_conn *fc = p->free_conns;

    if (fc) {
        p->free_conns = fc->next;
        fc->next = NULL;
        return fc;
    }
    if (p->n_all == p->cap_all) {
        unsigned cap = p->cap_all ? p->cap_all * 2 : 16;
        struct fcgi_conn **all =
            realloc((void *)p->all_conns, cap * sizeof(struct fcgi_conn *));
        if (!all)
            return NULL;
        p->all_conns = all;
        p->cap_all = cap;
    }
    fc = calloc(1, sizeof(*fc));
    if (!fc)
        return NULL;
    fc->src.fd = -1;
    fc->src.fn = fcgi_conn_event;
    fc->timer.fn = fcgi_conn_timer;
    fc->flush.fn = fcgi_conn_flush_task;
    fcgi_values_init(&fc->values);
    fc->pool = p;
    p->all_conns[p->n_all++] = fc;
    return fc;
}

void conn_free_locked(struct pool *p, struct fcgi_conn *fc)
{
    struct fcgi_server *sv = fc->server;

    sv->n_conns--;
    fc->shares = false;
    fc->server = NULL;
    atomic_store_explicit(&fc->state, FC_FREE, memory_order_relaxed);
    atomic_store_explicit(&fc->owner, NULL, memory_order_relaxed);
    fc->next = p->free_conns;
    p->free_conns = fc;
    server_forget_locked(p, sv);
}

void idle_remove_locked(struct pool *p, struct fcgi_conn *fc)
{
    struct fcgi_server *sv = fc->server;

    if (fc->next)
        fc->next->prev = fc->prev;
    if (fc->prev)
        fc->prev->next = fc->next;
    else
        sv->idle[fc->worker] = fc->next;
    fc->next = fc->prev = NULL;
    sv->n_idle--;
    p->n_idle--;
}

void idle_add_locked(struct pool *p, struct fcgi_conn *fc, const struct fcgi_request *after)
{
    struct fcgi_server *sv = fc->server;
    unsigned worker = after->worker;

    fc->worker = worker;
    fc->idle_ms = loop_now_ms(after->loop);
    fc->prev = NULL;
    fc->next = sv->idle[worker];
    if (fc->next)
        fc->next->prev = fc;
    sv->idle[worker] = fc;
    sv->n_idle++;
    p->n_idle++;
    atomic_store_explicit(&fc->state, FC_IDLE,
                          memory_order_relaxed); /* readers check it under mu */
}

static struct fcgi_conn *conn_fresh_locked(struct pool *p, struct fcgi_server *sv,
                                           struct loop *loop) REQUIRES(p->mu)
{
    unsigned most = sv->max_conns && sv->max_conns < sv->max ? sv->max_conns : sv->max;
    struct fcgi_conn *fc = sv->n_conns < most ? conn_struct_locked(p) : NULL;

    if (!fc)
        return NULL;
    fc->server = sv;
    sv->n_conns++;
    atomic_store_explicit(&fc->owner, loop, memory_order_relaxed);
    return fc;
}

static struct fcgi_conn *conn_steal_locked(struct pool *p, struct fcgi_server *sv,
                                           struct loop *loop) REQUIRES(p->mu)
{
    for (unsigned w = 0; w < p->n_workers; w++) {
        struct fcgi_conn *fc = sv->idle[w];
        if (!fc)
            continue;
        idle_remove_locked(p, fc);
        fc->stolen_from = atomic_load_explicit(&fc->owner, memory_order_relaxed);
        /* Release: the old owner's last stores to fc are seen through mu; its stale events
         * see the new owner. */
        atomic_store_explicit(&fc->owner, loop, memory_order_release);
        return fc;
    }
    return NULL;
}

struct fcgi_conn *conn_take_locked(struct pool *p, struct fcgi_server *sv,
                                   const struct fcgi_request *r)
{
    struct fcgi_conn *fc = share_take_locked(p, sv, r, false);

    if (fc)
        return fc;
    fc = sv->idle[r->worker];
    if (fc)
        idle_remove_locked(p, fc);
    if (!fc)
        fc = conn_fresh_locked(p, sv, r->loop);
    if (!fc)
        fc = conn_steal_locked(p, sv, r->loop);
    if (!fc)
        fc = share_take_locked(p, sv, r, true);
    return fc;
}

bool pool_take_idle(struct pool *p, struct fcgi_conn *fc, struct loop *loop)
{
    lock_take(&p->mu);
    bool mine = atomic_load_explicit(&fc->owner, memory_order_relaxed) == loop &&
                atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_IDLE;
    if (mine) {
        idle_remove_locked(p, fc);
        atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
    }
    lock_drop(&p->mu);
    return mine;
}

void pool_mark_stuck(struct pool *p, struct fcgi_request *r, bool stuck)
{
    struct fcgi_server *sv = r->conn->server;

    lock_take(&p->mu);
    if (r->stuck != stuck) {
        r->stuck = stuck;
        sv->n_stuck += stuck ? 1 : -1u;
    }
    if (stuck)
        server_shut_idle_locked(p, sv);
    lock_drop(&p->mu);
}

/* ---- age ---- */

/* Idle connections of worker that were kept for keepalive_time, off their lists, by next.
 * *ret_next_ms: when the next one will have been; UINT64_MAX: there is no other. */
static struct fcgi_conn *expired_locked(struct pool *p, unsigned worker, uint64_t now_ms,
                                        uint64_t *ret_next_ms) REQUIRES(p->mu)
{
    uint64_t keep_ms = (uint64_t)p->conf->keepalive_time_ms;
    struct fcgi_conn *expired = NULL, *next;

    *ret_next_ms = UINT64_MAX;
    for (unsigned i = 0; i < p->n_servers; i++) {
        for (struct fcgi_conn *fc = p->servers[i]->idle[worker]; fc; fc = next) {
            next = fc->next;
            if (fc->idle_ms + keep_ms > now_ms) {
                if (fc->idle_ms + keep_ms < *ret_next_ms)
                    *ret_next_ms = fc->idle_ms + keep_ms;
                continue;
            }
            idle_remove_locked(p, fc);
            atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
            fc->next = expired;
            expired = fc;
        }
    }
    return expired;
}

void pool_sweep_later(struct pool *p, struct loop *loop, unsigned worker)
{
    struct timer *t = &p->wakes[worker].sweep;

    if (!timer_armed(t))
        timer_set(loop, t, (uint64_t)p->conf->keepalive_time_ms);
}

void pool_sweep_fn(struct loop *l, struct timer *t)
{
    struct pool_wake *w =
        (struct pool_wake *)(void *)((char *)t - offsetof(struct pool_wake, sweep));
    struct pool *p = w->pool;
    uint64_t now = loop_now_ms(l), next_ms;

    lock_take(&p->mu);
    struct fcgi_conn *expired = expired_locked(p, w->worker, now, &next_ms);
    lock_drop(&p->mu);
    if (next_ms != UINT64_MAX)
        timer_set(l, t, next_ms - now);
    for (struct fcgi_conn *fc; (fc = expired);) {
        expired = fc->next;
        fc->next = NULL;
        fcgi_conn_drop(fc);
        fcgi_conn_give_back(fc, w->worker);
    }
}
