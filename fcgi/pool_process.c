/*
 * A pool's servers as processes: what pool_procs.c decides becomes their state and the orders to
 * the spawner; what happens to the servers is what it decides by.
 *
 * The decisions are the main thread's alone.  Workers only poke it, under the pool's lock and at
 * most once at a time: when a request waits that a new process might take, when a process that
 * ends has given its last answer, when one has served its number.
 */
#include "../gateway/log.h"
#include "pool_priv.h"
#include "pool_procs.h"

bool pool_processes_init(struct pool *p)
{
    p->procs = procs_new(p->conf, clock_now_ms());
    if (!p->procs)
        return false;
    for (unsigned i = 0; i < p->n_servers; i++)
        p->servers[i]->state =
            p->procs->slots[i].state == PROCS_OFF ? SERVER_OFF : SERVER_STARTING;
    return true;
}

void pool_processes_fini(struct pool *p)
{
    procs_free(p->procs);
    p->procs = NULL;
}

void pool_processes_watch(struct pool *p, struct loop *loop, struct loop_msg *msg)
{
    lock_take(&p->mu);
    p->poke_loop = loop;
    p->poke = msg;
    lock_drop(&p->mu);
}

void pool_processes_poked(struct pool *p)
{
    lock_take(&p->mu);
    p->poked = false;
    lock_drop(&p->mu);
}

static void poke_locked(struct pool *p) REQUIRES(p->mu)
{
    if (p->poked || !p->poke)
        return;
    p->poked = true;
    loop_post(p->poke_loop, p->poke);
}

/* ---- what workers see ---- */

void process_wanted_locked(struct pool *p)
{
    if (p->procs)
        poke_locked(p);
}

void process_granted_locked(struct pool *p, struct fcgi_server *sv, struct fcgi_request *r)
{
    uint64_t limit = p->conf->max_requests_per_process;

    sv->n_requests++;
    r->starts = sv->state == SERVER_STARTING;
    if (sv->usage)
        r->usage_n = script_usage_n(sv->usage);
    if (limit && sv->n_requests >= sv->due_at) {
        sv->due_at = sv->n_requests + limit;
        poke_locked(p);
    }
}

void process_released_locked(struct pool *p, const struct fcgi_server *sv)
{
    if (sv->state == SERVER_DRAINING && sv->n_in_flight == 0)
        poke_locked(p);
}

void pool_process_answers(struct pool *p, struct fcgi_request *r)
{
    r->starts = false;
    lock_take(&p->mu);
    /* Kept where nobody waits for it, it would be taken for the next process's. */
    if (r->conn->server->state == SERVER_STARTING) {
        r->conn->server->answers = true;
        poke_locked(p);
    }
    lock_drop(&p->mu);
}

/* ---- the main thread ---- */

/* A slot without a process is there for a request that waits if one would be started for it. */
static enum server_state server_state_of(const struct procs *ps, const struct procs_slot *s)
{
    switch (s->state) {
    case PROCS_STARTING:
        return SERVER_STARTING;
    case PROCS_UP:
        return SERVER_UP;
    case PROCS_DRAINING:
        return SERVER_DRAINING;
    case PROCS_DOWN:
        return SERVER_DOWN;
    case PROCS_OFF:
    case PROCS_STOPPING:
        break;
    }
    return ps->startable ? SERVER_OFF : SERVER_DOWN;
}

static bool takes_requests(enum server_state state)
{
    return state == SERVER_UP || state == SERVER_STARTING;
}

/* The servers take the states that were decided on.  Whether any of them changed. */
static bool apply_locked(struct pool *p) REQUIRES(p->mu)
{
    bool changed = false;

    p->n_up = 0;
    for (unsigned i = 0; i < p->procs->n && i < p->n_servers; i++) {
        struct fcgi_server *sv = p->servers[i];
        enum server_state before = sv->state;

        bool doubtful = procs_doubtful(&p->procs->slots[i]);

        sv->state = server_state_of(p->procs, &p->procs->slots[i]);
        p->n_up += sv->state == SERVER_UP;
        changed |= sv->state != before || sv->doubtful != doubtful;
        sv->doubtful = doubtful;
        if (takes_requests(before) && !takes_requests(sv->state))
            server_shut_idle_locked(p, sv);
        if (sv->state != SERVER_STARTING)
            sv->answers = false;
        if (!takes_requests(sv->state))
            sv->out = sv->probing = false; /* its next process is another */
    }
    return changed;
}

void pool_process(struct pool *p, const struct spawner_msg *m)
{
    if (!p->procs)
        return;
    lock_take(&p->mu);
    if (m->slot < p->procs->n && m->slot < p->n_servers) {
        p->procs->slots[m->slot].took = p->servers[m->slot]->took;
        p->servers[m->slot]->took = false;
    }
    procs_news(p->procs, m, clock_now_ms());
    bool changed = apply_locked(p);
    lock_drop(&p->mu);
    if (changed)
        pool_serve_waiters(p);
}

void pool_processes_reset(struct pool *p)
{
    if (p->procs)
        procs_reset(p->procs, clock_now_ms());
}

static void look_at_servers_locked(struct pool *p, struct procs_demand *ret_demand,
                                   uint64_t now) REQUIRES(p->mu)
{
    for (unsigned i = 0; i < p->procs->n && i < p->n_servers; i++) {
        struct fcgi_server *sv = p->servers[i];
        p->procs->slots[i].n_in_flight = sv->n_in_flight;
        p->procs->slots[i].n_requests = sv->n_requests;
        if (sv->answers)
            procs_answers(p->procs, i, now);
        sv->answers = false;
    }
    ret_demand->n_waiting = p->n_waiting;
    ret_demand->room = p->n_in_flight < p->max ? p->max - p->n_in_flight : 0;
}

static void set_due_locked(struct pool *p) REQUIRES(p->mu)
{
    uint64_t limit = p->conf->max_requests_per_process;

    for (unsigned i = 0; limit && i < p->procs->n && i < p->n_servers; i++) {
        struct fcgi_server *sv = p->servers[i];
        if (!p->procs->slots[i].due)
            sv->due_at = p->procs->slots[i].born_served + limit;
    }
}

static void log_order(const struct pool *p, unsigned slot, const struct procs_slot *s)
{
    if (s->order == SPAWNER_START)
        log_line(CONF_LOG_INFO, "pool=%s process wanted in slot %u: %s", p->conf->name, slot,
                 s->why);
    else if (s->order == SPAWNER_STOP)
        log_line(CONF_LOG_INFO, "pool=%s process %ld to end: %s", p->conf->name, (long)s->pid,
                 s->why);
}

uint64_t pool_processes_step(struct pool *p, pool_order_fn *send, void *user)
{
    uint64_t now = clock_now_ms();
    struct procs_demand demand;

    if (!p->procs)
        return UINT64_MAX;
    lock_take(&p->mu);
    look_at_servers_locked(p, &demand, now);
    uint64_t next = procs_step(p->procs, &demand, now);
    bool changed = apply_locked(p);
    set_due_locked(p);
    lock_drop(&p->mu);
    for (unsigned i = 0; i < p->procs->n; i++) {
        struct procs_slot *s = &p->procs->slots[i];
        if (s->order == 0)
            continue;
        if (!send(user, i, s->order))
            break; /* kept, and tried again in the next step */
        log_order(p, i, s);
        s->order = 0;
    }
    if (changed)
        pool_serve_waiters(p);
    return next;
}
