#include "pool.h"

#include <stdlib.h>
#include <sys/random.h>

#include "address.h"
#include "pool_check.h"

/* ---- made and freed ---- */

static int pool_add_server(struct pool *p, const char *name, struct server_spec *spec,
                           FILE *errors_to)
{
    struct sockaddr_storage addr;

    spec->name = name;
    spec->addr = &addr;
    if (address_parse(name, &addr, &spec->addr_len) < 0 || !pool_server_add(p, spec)) {
        fprintf(errors_to, "pool %s: address %s cannot be resolved\n", p->conf->name, name);
        return -1;
    }
    return 0;
}

static int pool_add_addresses(struct pool *p, FILE *errors_to)
{
    for (unsigned i = 0; i < p->conf->n_connect; i++) {
        const struct conf_address *a = &p->conf->connect[i];
        struct server_spec spec = {
            .weight = a->weight, .max = a->max, .backup = a->backup, .slot = SERVER_NO_SLOT};
        if (address_is_name(a->text))
            continue; /* pool_names.c */
        if (pool_add_server(p, a->text, &spec, errors_to) < 0)
            return -1;
    }
    return 0;
}

static int pool_add_processes(struct pool *p, const char *runtime_dir, FILE *errors_to)
{
    char name[160];

    for (unsigned i = 0; i < p->conf->slots; i++) {
        struct server_spec spec = {.slot = i, .max = p->conf->requests_per_process};
        if (!spawner_address(name, sizeof(name), runtime_dir, p->conf, i)) {
            fprintf(errors_to, "pool %s: runtime_dir is too long for a socket's path\n",
                    p->conf->name);
            return -1;
        }
        if (pool_add_server(p, name, &spec, errors_to) < 0)
            return -1;
    }
    return pool_processes_init(p) ? 0 : -1;
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

static bool pool_init_queue(struct pool *p, FILE *errors_to)
{
    struct siphash_key key;

    if (getrandom(&key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
        fprintf(errors_to, "pool %s: no random numbers: %s\n", p->conf->name, strerror(errno));
        return false;
    }
    turns_init(&p->turns, key);
    return true;
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
    p->wakes = calloc(n_workers, sizeof(*p->wakes));
    if (!p->wakes || !pool_init_queue(p, errors_to) || pool_peers_init(p, errors_to) < 0 ||
        (p->conf->n_connect
             ? pool_add_addresses(p, errors_to)
             : pool_add_processes(p, conf->gateway.runtime_dir, errors_to)) < 0) {
        pool_free(p);
        return NULL;
    }
    for (unsigned w = 0; w < n_workers; w++) {
        p->wakes[w].timer.fn = pool_wake_fn;
        p->wakes[w].sweep.fn = pool_sweep_fn;
        p->wakes[w].pool = p;
        p->wakes[w].worker = w;
    }
    pool_peers_look(p);
    return p;
}

static void servers_free(struct fcgi_server *list)
{
    while (list) {
        struct fcgi_server *sv = list;
        list = sv->next;
        free(sv->name);
        free(sv);
    }
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n_all; i++) {
        struct fcgi_conn *fc = p->all_conns[i];
        fcgi_conn_close_fd(fc);
        buf_fini(&fc->out);
        fcgi_values_fini(&fc->values);
        fcgi_ids_fini(&fc->ids);
        for (struct fcgi_request *r; (r = fc->granted);) {
            fc->granted = r->next;
            fcgi_request_tell(r);
            free(r);
        }
        free(fc);
    }
    for (unsigned i = 0; i < p->n_servers; i++)
        servers_free(p->servers[i]);
    pool_checks_free(p);
    pool_processes_fini(p);
    servers_free(p->retired);
    servers_free(p->free_servers);
    free((void *)p->servers);
    free((void *)p->candidates);
    free(p->all_conns);
    turns_fini(&p->turns);
    free(p->wakes);
    lock_fini(&p->mu);
    free(p);
}

const struct conf_pool *pool_conf(const struct pool *p)
{
    return p->conf;
}

/* ---- slots ---- */

/* A connection for r, or NULL: no server has room. */
static struct fcgi_conn *pick_locked(struct pool *p, const struct fcgi_request *r)
    REQUIRES(p->mu)
{
    struct fcgi_server *sv = balance_choose_locked(p, r);

    return sv ? conn_take_locked(p, sv, r) : NULL;
}

void pool_grant_locked(struct pool *p, struct fcgi_request *r, struct fcgi_conn *fc)
{
    r->conn = fc;
    r->prev = NULL;
    r->next = fc->granted;
    if (r->next)
        r->next->prev = r;
    fc->granted = r;
    fc->n_granted++;
    fc->worker = r->worker;
    r->closes = r->alone;
    fc->n_closing += r->closes;
    share_update_locked(fc);
    r->state = REQ_GRANTED;
    /* Release: a worker that meets its idle connection granted by another looks at its
     * requests. */
    atomic_store_explicit(&fc->state, FC_ACTIVE, memory_order_release);
    fc->server->n_in_flight++;
    if (r->asker && r->asker->n_tried < FCGI_TRIES_MAX)
        r->asker->tried[r->asker->n_tried++] = fc->server->serial;
    r->asker = NULL;
    health_granted_locked(fc->server, r);
    process_granted_locked(p, fc->server, r);
    p->n_in_flight++;
    p->stats.n_requests += !r->check;
}

static void ungrant_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu)
{
    struct fcgi_conn *fc = r->conn;

    health_released_locked(fc->server, r);
    if (r->next)
        r->next->prev = r->prev;
    if (r->prev)
        r->prev->next = r->next;
    else
        fc->granted = r->next;
    r->next = r->prev = NULL;
    fc->n_granted--;
    fc->n_closing -= r->closes;
    fc->server->n_in_flight--;
    process_released_locked(p, fc->server);
    p->n_in_flight--;
}

/* No slot now: into the queue, unless it is full or no server will come. */
static int queue_up_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu)
{
    if (pool_outlook_locked(p) == OUTLOOK_NONE) {
        p->stats.n_down++;
        return GW_EPOOL_DOWN;
    }
    int rc = queue_add_locked(p, r);
    if (rc == 0)
        process_wanted_locked(p);
    return rc;
}

int pool_ask(struct pool *p, struct fcgi_request *r)
{
    struct fcgi_conn *fc = NULL;
    int rc = 1;

    lock_take(&p->mu);
    if (p->n_in_flight < p->max && p->n_waiting == 0)
        fc = pick_locked(p, r);
    if (fc)
        pool_grant_locked(p, r, fc);
    else
        rc = queue_up_locked(p, r);
    if (rc < 0) { /* the word is on its way */
        r->state = REQ_GRANTED;
        r->refused = rc;
    }
    lock_drop(&p->mu);
    if (rc == 0)
        pool_wake_later(p, r->loop, r->worker);
    return rc;
}

bool pool_leave(struct pool *p, struct fcgi_request *r, enum pool_leaving why)
{
    lock_take(&p->mu);
    bool waiting = r->state == REQ_WAITING;
    if (waiting)
        queue_leave_locked(p, r);
    else if (why == POOL_CLIENT_GONE)
        r->state = REQ_GONE;
    r->asker = NULL;
    if (waiting && why == POOL_TIMED_OUT)
        p->stats.n_timed_out++;
    lock_drop(&p->mu);
    return waiting;
}

void pool_count_late(struct pool *p)
{
    lock_take(&p->mu);
    p->stats.n_timed_out++;
    lock_drop(&p->mu);
}

static void post_grant(struct fcgi_request *next)
{
    next->msg.fn = fcgi_request_granted_msg;
    loop_post(next->loop, &next->msg);
}

/* Who waits gets the slot that worker has freed, if there is a connection for it. */
static struct fcgi_request *serve_next_locked(struct pool *p, unsigned worker) REQUIRES(p->mu)
{
    struct fcgi_request *next = NULL;

    if (p->n_waiting && p->n_in_flight < p->max)
        next = queue_next_locked(p, worker);
    struct fcgi_conn *fc = next ? pick_locked(p, next) : NULL;
    if (!fc)
        return NULL;
    queue_take_locked(p, next);
    pool_grant_locked(p, next, fc);
    return next;
}

/* The grant of a request of worker is its caller's to pass on; another's is a message. */
static struct fcgi_request *own_grant(struct fcgi_request *next, unsigned worker)
{
    if (!next || next->worker == worker)
        return next;
    post_grant(next);
    return NULL;
}

struct fcgi_request *pool_release(struct pool *p, struct fcgi_request *r, bool keep,
                                  bool *ret_close)
{
    struct fcgi_conn *fc = r->conn;
    struct fcgi_server *sv = fc->server;

    lock_take(&p->mu);
    ungrant_locked(p, r);
    if (r->stuck)
        sv->n_stuck--;
    r->stuck = false;
    r->conn = NULL;
    if (!keep)
        fc->shares = false;
    share_update_locked(fc);
    if (fc->n_granted == 0 && keep)
        idle_add_locked(p, fc, r);
    else if (fc->n_granted == 0)
        conn_free_locked(p, fc);
    struct fcgi_request *next = serve_next_locked(p, r->worker);
    *ret_close = keep && atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_IDLE &&
                 (p->n_idle > p->keepalive || sv->n_stuck || pool_drains(p) ||
                  (sv->state != SERVER_UP && sv->state != SERVER_STARTING));
    if (*ret_close) {
        idle_remove_locked(p, fc);
        atomic_store_explicit(&fc->state, FC_CONNECTING, memory_order_relaxed);
    }
    lock_drop(&p->mu);
    return own_grant(next, r->worker);
}

struct fcgi_request *pool_conn_closed(struct pool *p, struct fcgi_conn *fc, unsigned worker)
{
    lock_take(&p->mu);
    conn_free_locked(p, fc);
    struct fcgi_request *next = serve_next_locked(p, worker);
    lock_drop(&p->mu);
    return own_grant(next, worker);
}

void pool_serve_waiters(struct pool *p)
{
    struct fcgi_request *next;

    do {
        lock_take(&p->mu);
        next = serve_next_locked(p, p->n_workers); /* nobody's: strictly in turn */
        if (!next && p->n_waiting && pool_outlook_locked(p) == OUTLOOK_NONE)
            queue_refuse_all_locked(p);
        lock_drop(&p->mu);
        if (next)
            post_grant(next);
    } while (next);
}

void pool_use_usage(struct pool *p, unsigned slot, const struct script_usage *usage)
{
    if (slot < p->n_servers)
        p->servers[slot]->usage = usage;
}

void pool_drain(struct pool *p)
{
    lock_take(&p->mu);
    atomic_store_explicit(&p->draining, true, memory_order_relaxed);
    server_shut_idle_locked(p, NULL);
    lock_drop(&p->mu);
}

/* ---- figures ---- */

void pool_stats(struct pool *p, struct pool_stats *ret)
{
    lock_take(&p->mu);
    *ret = p->stats;
    ret->in_flight = p->n_in_flight;
    ret->waiting = p->n_waiting;
    ret->idle = p->n_idle;
    ret->connections = 0;
    for (unsigned i = 0; i < p->n_servers; i++)
        ret->connections += p->servers[i]->n_conns;
    for (const struct fcgi_server *sv = p->retired; sv; sv = sv->next)
        ret->connections += sv->n_conns;
    lock_drop(&p->mu);
}

unsigned pool_retry_after(struct pool *p)
{
    if (p->conf->retry_after_ms)
        return (unsigned)((p->conf->retry_after_ms + 999) / 1000);
    lock_take(&p->mu);
    uint64_t ms = queue_wait_ms_locked(p), now = clock_now_ms();
    uint64_t due = pool_outlook_locked(p) == OUTLOOK_NOW ? 0 : pool_due_ms_locked(p);
    lock_drop(&p->mu);
    if (due > now + ms)
        ms = due - now;
    return ms < 1000 ? 1 : ms > 60000 ? 60 : (unsigned)((ms + 999) / 1000);
}
