#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "pool_priv.h"

enum {
    OWN_STREAK = 8,       /* slots a worker keeps to itself while others wait */
    FAIL_DELAY_MIN = 100, /* ms; doubles to the maximum while connects fail */
    FAIL_DELAY_MAX = 5000,
    DOWN_DELAY_MS = 1000, /* a process that will be back sooner is waited for in its backlog */
};

/* ---- made and freed ---- */

static unsigned pool_server_count(const struct conf_pool *c)
{
    return c->n_connect ? c->n_connect : c->slots;
}

static int pool_init_servers(struct pool *p, const struct conf *conf, FILE *errors_to)
{
    const struct conf_pool *c = p->conf;

    for (unsigned i = 0; i < p->n_servers; i++) {
        struct fcgi_server *sv = &p->servers[i];
        char what[160];

        sv->pool = p;
        sv->index = i;
        sv->max = c->n_connect ? p->max : c->requests_per_process;
        if (!c->n_connect &&
            !spawner_address(what, sizeof(what), conf->gateway.runtime_dir, c, i)) {
            fprintf(errors_to, "pool %s: runtime_dir is too long for a socket's path\n",
                    c->name);
            return -1;
        }
        sv->name = strdup(c->n_connect ? c->connect[i].text : what);
        if (!sv->name || address_parse(sv->name, &sv->addr.storage, &sv->addr_len) < 0) {
            fprintf(errors_to, "pool %s: address %s cannot be resolved\n", c->name,
                    sv->name ? sv->name : "?");
            return -1;
        }
    }
    return 0;
}

static uint64_t pool_tick_ms(const struct conf_pool *c)
{
    const int64_t all[] = {c->connect_timeout_ms, c->send_timeout_ms, c->first_byte_timeout_ms,
                           c->read_timeout_ms, c->abort_timeout_ms};
    int64_t least = all[0];

    for (size_t i = 1; i < sizeof(all) / sizeof(all[0]); i++)
        least = all[i] < least ? all[i] : least;
    return least > 0 ? (uint64_t)least : 1;
}

struct pool *pool_new(const struct conf *conf, unsigned index, unsigned n_workers,
                      FILE *errors_to)
{
    struct pool *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    lock_init(&p->mu);
    p->conf = &conf->pools[index];
    p->n_workers = n_workers;
    p->max = p->conf->max_requests;
    p->keepalive = p->conf->keepalive;
    p->tick_ms = pool_tick_ms(p->conf);
    p->n_servers = p->n_up = pool_server_count(p->conf);
    p->servers = calloc(p->n_servers, sizeof(*p->servers));
    p->waiters = calloc(n_workers, sizeof(*p->waiters));
    p->idle = calloc(n_workers, sizeof(struct fcgi_conn *));
    if (!p->servers || !p->waiters || !p->idle || pool_init_servers(p, conf, errors_to) < 0) {
        pool_free(p);
        return NULL;
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n_all; i++) {
        struct fcgi_conn *fc = p->all_conns[i];
        fcgi_conn_close_fd(fc);
        buf_fini(&fc->out);
        buf_fini(&fc->end_body);
        if (fc->request)
            free(fc->request);
        free(fc);
    }
    for (unsigned i = 0; p->servers && i < p->n_servers; i++)
        free((void *)(uintptr_t)p->servers[i].name);
    free(p->all_conns);
    free(p->servers);
    free(p->waiters);
    free((void *)p->idle);
    lock_fini(&p->mu);
    free(p);
}

const struct conf_pool *pool_conf(const struct pool *p)
{
    return p->conf;
}

/* ---- connections as things to be had ---- */

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
    fc->pool = p;
    p->all_conns[p->n_all++] = fc;
    return fc;
}

static void idle_remove_locked(struct pool *p, struct fcgi_conn *fc) REQUIRES(p->mu)
{
    if (fc->next)
        fc->next->prev = fc->prev;
    if (fc->prev)
        fc->prev->next = fc->next;
    else
        p->idle[fc->worker] = fc->next;
    fc->next = fc->prev = NULL;
    p->n_idle--;
}

static void idle_add_locked(struct pool *p, struct fcgi_conn *fc, unsigned worker)
    REQUIRES(p->mu)
{
    fc->worker = worker;
    fc->prev = NULL;
    fc->next = p->idle[worker];
    if (fc->next)
        fc->next->prev = fc;
    p->idle[worker] = fc;
    p->n_idle++;
    atomic_store_explicit(&fc->state, FC_IDLE,
                          memory_order_relaxed); /* readers check it under mu */
}

static struct fcgi_conn *idle_of_locked(struct pool *p, unsigned worker) REQUIRES(p->mu)
{
    struct fcgi_conn *fc = p->idle[worker];

    while (fc && fc->server->down)
        fc = fc->next;
    return fc;
}

static bool server_failed_locked(struct fcgi_server *sv)
{
    if (sv->failed_until_ms && sv->failed_until_ms <= clock_now_ms())
        sv->failed_until_ms = 0;
    return sv->failed_until_ms != 0;
}

/* The server with the fewest in flight that has room for one more connection; ties in turn. */
static struct fcgi_server *server_with_room_locked(struct pool *p, bool failed_too)
    REQUIRES(p->mu)
{
    struct fcgi_server *best = NULL;

    for (unsigned i = 0; i < p->n_servers; i++) {
        struct fcgi_server *sv = &p->servers[(p->cursor + i) % p->n_servers];
        if (sv->down || sv->n_conns >= sv->max || (!failed_too && server_failed_locked(sv)))
            continue;
        if (!best || sv->n_in_flight < best->n_in_flight)
            best = sv;
        if (best->n_in_flight == 0)
            break;
    }
    if (best)
        p->cursor = best->index + 1;
    return best;
}

static struct fcgi_conn *fresh_locked(struct pool *p, struct fcgi_server *sv, struct loop *loop)
    REQUIRES(p->mu)
{
    struct fcgi_conn *fc = sv ? conn_struct_locked(p) : NULL;

    if (!fc)
        return NULL;
    fc->server = sv;
    sv->n_conns++;
    atomic_store_explicit(&fc->owner, loop, memory_order_relaxed);
    return fc;
}

static struct fcgi_conn *steal_locked(struct pool *p, struct loop *loop) REQUIRES(p->mu)
{
    for (unsigned w = 0; w < p->n_workers; w++) {
        struct fcgi_conn *fc = idle_of_locked(p, w);
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

/* A connection for r, or NULL: no server has room. */
static struct fcgi_conn *pick_locked(struct pool *p, const struct fcgi_request *r)
    REQUIRES(p->mu)
{
    struct fcgi_conn *fc = idle_of_locked(p, r->worker);

    if (fc)
        idle_remove_locked(p, fc);
    if (!fc)
        fc = fresh_locked(p, server_with_room_locked(p, false), r->loop);
    if (!fc)
        fc = steal_locked(p, r->loop);
    if (!fc)
        fc = fresh_locked(p, server_with_room_locked(p, true), r->loop);
    return fc;
}

static void grant_locked(struct pool *p, struct fcgi_request *r, struct fcgi_conn *fc)
    REQUIRES(p->mu)
{
    r->conn = fc;
    fc->request = r;
    r->state = REQ_GRANTED;
    /* Release: a worker that meets its idle connection granted by another looks at
     * fc->request. */
    atomic_store_explicit(&fc->state, FC_ACTIVE, memory_order_release);
    fc->server->n_in_flight++;
    p->n_in_flight++;
    p->waiters[r->worker].n_in_flight++;
    p->stats.n_requests++;
}

static void ungrant_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu)
{
    r->conn->server->n_in_flight--;
    p->n_in_flight--;
    p->waiters[r->worker].n_in_flight--;
}

/* ---- the queue ---- */

static void queue_add_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu)
{
    struct waiters *q = &p->waiters[r->worker];

    r->state = REQ_WAITING;
    r->seq = ++p->seq;
    r->next = NULL;
    r->prev = q->tail;
    if (q->tail)
        q->tail->next = r;
    else
        q->head = r;
    q->tail = r;
    p->n_waiting++;
    p->stats.n_queued++;
}

static void queue_remove_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu)
{
    struct waiters *q = &p->waiters[r->worker];

    if (r->prev)
        r->prev->next = r->next;
    else
        q->head = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        q->tail = r->prev;
    r->next = r->prev = NULL;
    p->n_waiting--;
}

/* Who gets the slot that worker frees (see the header). */
static struct fcgi_request *queue_pick_locked(struct pool *p, unsigned worker) REQUIRES(p->mu)
{
    struct waiters *own = &p->waiters[worker];
    struct fcgi_request *oldest = NULL;

    for (unsigned w = 0; w < p->n_workers; w++) {
        struct waiters *q = &p->waiters[w];
        if (!q->head)
            continue;
        if (w != worker &&
            q->n_in_flight == 0) { /* it has nothing that would free a slot for it */
            own->streak = 0;
            return q->head;
        }
        if (!oldest || q->head->seq < oldest->seq)
            oldest = q->head;
    }
    if (own->head && own->streak < OWN_STREAK) {
        own->streak++;
        return own->head;
    }
    own->streak = 0;
    return oldest;
}

int pool_ask(struct pool *p, struct fcgi_request *r)
{
    int rc = 0;

    lock_take(&p->mu);
    struct fcgi_conn *fc = NULL;
    if (p->n_up == 0)
        rc = GW_EPOOL_DOWN;
    else if (p->n_in_flight < p->max && p->n_waiting == 0)
        fc = pick_locked(p, r);
    if (fc) {
        grant_locked(p, r, fc);
        rc = 1;
    } else if (rc == 0 && p->n_waiting >= p->conf->queue) {
        rc = GW_EPOOL_FULL;
        p->stats.n_full++;
    } else if (rc == 0) {
        queue_add_locked(p, r);
    }
    lock_drop(&p->mu);
    return rc;
}

bool pool_leave(struct pool *p, struct fcgi_request *r, enum pool_leaving why)
{
    lock_take(&p->mu);
    bool waiting = r->state == REQ_WAITING;
    if (waiting)
        queue_remove_locked(p, r);
    else if (why == POOL_CLIENT_GONE)
        r->state = REQ_GONE;
    if (waiting && why == POOL_TIMED_OUT)
        p->stats.n_timed_out++;
    lock_drop(&p->mu);
    return waiting;
}

/* Grant next the slot that was just freed, with fc if it is to be kept (taken from loop's
 * epoll by the caller when next is another worker's). */
static void pass_on_locked(struct pool *p, struct fcgi_request *next, struct fcgi_conn *fc)
    REQUIRES(p->mu)
{
    queue_remove_locked(p, next);
    p->last_wait_ms = clock_now_ms() - next->asked_ms;
    atomic_store_explicit(&fc->owner, next->loop, memory_order_release);
    grant_locked(p, next, fc);
}

static void post_grant(struct fcgi_request *next)
{
    next->msg.fn = fcgi_request_granted_msg;
    loop_post(next->loop, &next->msg);
}

/* The freed connection fc (NULL: it was closed and its struct is free) serves next, or
 * another one is picked for it. */
static struct fcgi_request *serve_next_locked(struct pool *p, unsigned worker,
                                              struct fcgi_conn *fc, bool *ret_kept)
    REQUIRES(p->mu)
{
    struct fcgi_request *next = p->n_in_flight < p->max ? queue_pick_locked(p, worker) : NULL;

    *ret_kept = false;
    if (!next)
        return NULL;
    if (fc && next->worker == worker && !fc->server->down) {
        *ret_kept = true;
        pass_on_locked(p, next, fc);
        return next;
    }
    struct fcgi_conn *other = pick_locked(p, next);
    if (!other)
        return NULL;
    pass_on_locked(p, next, other);
    return next;
}

struct fcgi_request *pool_release(struct pool *p, struct fcgi_request *r, bool keep,
                                  bool *ret_close)
{
    struct fcgi_conn *fc = r->conn;
    struct fcgi_server *sv = fc->server;
    bool kept = false;

    lock_take(&p->mu);
    ungrant_locked(p, r);
    if (r->stuck)
        sv->n_stuck--;
    r->stuck = false;
    r->conn = NULL;
    if (!keep)
        pool_conn_free_locked(p, fc);
    struct fcgi_request *next = NULL;
    if (keep) {
        next = serve_next_locked(p, r->worker, fc, &kept);
        if (!kept && p->n_idle < p->keepalive && !sv->n_stuck && !sv->down) {
            idle_add_locked(p, fc, r->worker);
            kept = true;
            /* Its server's share is taken by an idle connection now: a waiter of another
             * worker takes it over. */
            if (!next)
                next = serve_next_locked(p, r->worker, NULL, &(bool){false});
        } else if (!kept) {
            atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
        }
    } else {
        next = serve_next_locked(p, r->worker, NULL, &(bool){false});
    }
    lock_drop(&p->mu);
    *ret_close = keep && !kept;
    if (next && next->worker != r->worker) {
        post_grant(next);
        next = NULL;
    }
    return next;
}

/* ---- connections that ended ---- */

void pool_conn_free_locked(struct pool *p, struct fcgi_conn *fc)
{
    fc->server->n_conns--;
    atomic_store_explicit(&fc->state, FC_FREE, memory_order_relaxed);
    atomic_store_explicit(&fc->owner, NULL, memory_order_relaxed);
    fc->next = p->free_conns;
    p->free_conns = fc;
}

struct fcgi_request *pool_conn_closed(struct pool *p, struct fcgi_conn *fc, unsigned worker)
{
    lock_take(&p->mu);
    pool_conn_free_locked(p, fc);
    struct fcgi_request *next = serve_next_locked(p, worker, NULL, &(bool){false});
    lock_drop(&p->mu);
    if (next && next->worker != worker) {
        post_grant(next);
        next = NULL;
    }
    return next;
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

void pool_connected(struct pool *p, struct fcgi_server *sv, bool ok, uint64_t now_ms)
{
    lock_take(&p->mu);
    if (ok) {
        sv->fail_delay_ms = 0;
        sv->failed_until_ms = 0;
    } else {
        unsigned d = sv->fail_delay_ms * 2;
        sv->fail_delay_ms = d < FAIL_DELAY_MIN   ? FAIL_DELAY_MIN
                            : d > FAIL_DELAY_MAX ? FAIL_DELAY_MAX
                                                 : d;
        sv->failed_until_ms = now_ms + sv->fail_delay_ms;
        p->stats.n_failed++;
    }
    lock_drop(&p->mu);
}

void pool_mark_stuck(struct pool *p, struct fcgi_request *r, bool stuck)
{
    struct fcgi_server *sv = r->conn->server;

    lock_take(&p->mu);
    if (r->stuck != stuck) {
        r->stuck = stuck;
        sv->n_stuck += stuck ? 1 : -1u;
    }
    /* Their owners see the end of file and close them; a descriptor is closed by its owner
     * only. */
    for (unsigned w = 0; stuck && w < p->n_workers; w++) {
        for (struct fcgi_conn *fc = p->idle[w]; fc; fc = fc->next) {
            if (fc->server == sv)
                shutdown(fc->src.fd, SHUT_RDWR);
        }
    }
    lock_drop(&p->mu);
}

/* ---- the spawner's news, and figures ---- */

void pool_process(struct pool *p, const struct spawner_msg *m)
{
    struct fcgi_request *next;

    if (m->slot >= p->n_servers || p->conf->n_connect)
        return;
    lock_take(&p->mu);
    struct fcgi_server *sv = &p->servers[m->slot];
    bool down =
        m->verb == SPAWNER_FAILED || (m->verb == SPAWNER_ENDED && m->delay_ms >= DOWN_DELAY_MS);
    if (down != sv->down) {
        sv->down = down;
        p->n_up += down ? -1u : 1;
    }
    lock_drop(&p->mu);
    /* A server that is back serves who waited for it. */
    do {
        lock_take(&p->mu);
        next = down ? NULL : serve_next_locked(p, 0, NULL, &(bool){false});
        lock_drop(&p->mu);
        if (next)
            post_grant(next);
    } while (next);
}

void pool_stats(struct pool *p, struct pool_stats *ret)
{
    lock_take(&p->mu);
    *ret = p->stats;
    ret->in_flight = p->n_in_flight;
    ret->waiting = p->n_waiting;
    ret->idle = p->n_idle;
    ret->connections = 0;
    for (unsigned i = 0; i < p->n_servers; i++)
        ret->connections += p->servers[i].n_conns;
    lock_drop(&p->mu);
}

unsigned pool_retry_after(struct pool *p)
{
    lock_take(&p->mu);
    uint64_t s = (p->last_wait_ms + 999) / 1000;
    lock_drop(&p->mu);
    return s < 1 ? 1 : s > 60 ? 60 : (unsigned)s;
}
