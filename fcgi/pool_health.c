/*
 * Which servers are in rotation.  See pool.h for the rules.
 *
 * What changed is noted under the lock and logged after it.
 */
#include <stdio.h>

#include "../gateway/log.h"
#include "pool_check.h"

enum {
    OUT_DELAY_MIN = 100, /* ms; doubles up to the maximum */
    OUT_DELAY_MAX = 5000,
    SOON_MS = 1000, /* who is back sooner is waited for */
    BAD_MAX = 3,    /* requests in a row that a server may let down */
};

/* ---- what is logged ---- */

struct news {
    char name[384]; /* empty: none */
    bool back;
    bool again; /* it was out before: not logged */
    unsigned delay_ms;
    const char *check; /* in front of the reason */
    const char *reason;
};

static void news_log(const struct pool *p, const struct news *n)
{
    if (!n->name[0] || n->again)
        return;
    if (n->back)
        log_line(CONF_LOG_NOTICE, "pool=%s server=%s back", p->conf->name, n->name);
    else
        log_line(CONF_LOG_WARN,
                 "pool=%s server=%s out of rotation: %s%s, tried again in %u.%u s",
                 p->conf->name, n->name, n->check, n->reason, n->delay_ms / 1000,
                 n->delay_ms % 1000 / 100);
}

/* ---- in and out ---- */

/* by_check: a check found it, and says so once. */
static void server_out_locked(struct pool *p, struct fcgi_server *sv, bool refused,
                              bool by_check, const char *reason, struct news *ret_news)
    REQUIRES(p->mu)
{
    unsigned d = sv->out_delay_ms * 2;
    bool was_out = sv->out;

    sv->out_delay_ms = d < OUT_DELAY_MIN   ? OUT_DELAY_MIN
                       : d > OUT_DELAY_MAX ? OUT_DELAY_MAX
                                           : d;
    sv->out = true;
    sv->out_refused = refused;
    sv->probing = false;
    sv->out_until_ms = clock_now_ms() + sv->out_delay_ms;
    sv->check_due_ms = sv->out_until_ms;
    checks_poke_locked(p);
    *ret_news = (struct news){.again = by_check && was_out,
                              .delay_ms = sv->out_delay_ms,
                              .check = by_check ? "health check: " : "",
                              .reason = reason};
    (void)snprintf(ret_news->name, sizeof(ret_news->name), "%s", sv->name);
}

static bool server_back_locked(struct fcgi_server *sv, struct news *ret_news)
{
    sv->n_bad = 0;
    if (!sv->out)
        return false;
    sv->out = sv->probing = false;
    sv->out_delay_ms = 0;
    *ret_news = (struct news){.back = true};
    (void)snprintf(ret_news->name, sizeof(ret_news->name), "%s", sv->name);
    return true;
}

/* Taking the only server that is left would help nobody, unless nothing gets through. */
static bool another_usable_locked(const struct pool *p, const struct fcgi_server *sv)
    REQUIRES(p->mu)
{
    for (unsigned i = 0; i < p->n_servers; i++) {
        if (p->servers[i] != sv && !p->servers[i]->out && server_usable_locked(p->servers[i]))
            return true;
    }
    return false;
}

static struct fcgi_server *server_find_locked(const struct pool *p, uint32_t serial)
    REQUIRES(p->mu)
{
    for (unsigned i = 0; i < p->n_servers; i++) {
        if (p->servers[i]->serial == serial)
            return p->servers[i];
    }
    return NULL;
}

void pool_server_health(struct pool *p, uint32_t serial, bool ok, const char *reason)
{
    struct news news = {0};
    bool back = false;

    lock_take(&p->mu);
    struct fcgi_server *sv = server_find_locked(p, serial);
    if (sv && ok)
        back = server_back_locked(sv, &news);
    else if (sv && (!sv->out || sv->out_until_ms <= clock_now_ms()))
        server_out_locked(p, sv, false, true, reason, &news);
    lock_drop(&p->mu);
    news_log(p, &news);
    if (back || !ok)
        pool_serve_waiters(p);
}

/* ---- what requests tell ---- */

void pool_request_connected(struct pool *p, struct fcgi_request *r)
{
    struct fcgi_server *sv = r->conn->server;
    struct news news = {0};
    bool back = false;

    lock_take(&p->mu);
    /* A check with a path wants to see more than that. */
    if (r->probe && sv->out_refused && (!r->check || r->asks_values)) {
        r->probe = false;
        back = server_back_locked(sv, &news);
    }
    lock_drop(&p->mu);
    news_log(p, &news);
    if (back)
        pool_serve_waiters(p);
}

void pool_request_answers(struct pool *p, struct fcgi_request *r)
{
    if (r->starts)
        pool_process_answers(p, r);
    if (r->stuck)
        pool_mark_stuck(p, r, false);
    if (!r->probe || (r->check && !r->asks_values))
        return;
    struct news news = {0};
    lock_take(&p->mu);
    r->probe = false;
    bool back = server_back_locked(r->conn->server, &news);
    lock_drop(&p->mu);
    news_log(p, &news);
    if (back)
        pool_serve_waiters(p);
}

enum verdict {
    NOT_ITS_FAULT, /* or that of the script only */
    REFUSES,       /* out of rotation at once */
    LETS_DOWN,     /* after some in a row */
};

static enum verdict verdict_of(const struct fcgi_request *r, int err)
{
    if (r->aborted) /* it may close the connection for that; what came before was counted */
        return NOT_ITS_FAULT;
    switch (err) {
    case GW_EBACKEND_CONNECT:
    case GW_EBACKEND_CONNECT_TIME:
    case GW_EBACKEND_PEER:
        return REFUSES;
    case GW_EBACKEND_CLOSED:
        /* A kept connection may be closed at any time. */
        return r->any_input || r->conn->reused ? NOT_ITS_FAULT : LETS_DOWN;
    case GW_EBACKEND_FIRST_TIME:
    case GW_EBACKEND_SEND_TIME:
    case GW_EFCGI_PROTO:
        return LETS_DOWN;
    default:
        return NOT_ITS_FAULT;
    }
}

void pool_request_failed(struct pool *p, struct fcgi_request *r, int err)
{
    enum verdict verdict = verdict_of(r, err);
    struct fcgi_server *sv = r->conn->server;
    struct news news = {0};

    /* Who never answered GET_VALUES may do anything with one but refuse the connection. */
    if (verdict == LETS_DOWN && r->asks_values && !fcgi_check_is_owed(r))
        verdict = NOT_ITS_FAULT;
    if (verdict == NOT_ITS_FAULT)
        return;
    lock_take(&p->mu);
    if (verdict == REFUSES)
        p->stats.n_failed++;
    sv->n_bad++;
    /* A request that kills its process is no reason to think that others would not come up. */
    if (err == GW_EBACKEND_CLOSED && sv->state == SERVER_STARTING)
        sv->took = true;
    /* Of several that were under way when it went out, one counts. */
    if (r->probe || (!sv->out && (verdict == REFUSES || r->check ||
                                  (sv->n_bad >= BAD_MAX && another_usable_locked(p, sv)))))
        server_out_locked(p, sv, verdict == REFUSES, r->check, gw_err_text(err), &news);
    if (news.name[0])
        r->probe = false;
    lock_drop(&p->mu);
    news_log(p, &news);
    if (news.name[0])
        pool_serve_waiters(p);
    if (news.name[0])
        pool_wake_later(p, r->loop, r->worker);
}

void health_granted_locked(struct fcgi_server *sv, struct fcgi_request *r)
{
    r->probe = sv->out;
    if (sv->out)
        sv->probing = true;
    if (r->check)
        sv->checking = true;
}

void health_released_locked(struct fcgi_server *sv, struct fcgi_request *r)
{
    if (r->answered)
        sv->n_bad = 0;
    if (r->probe) /* it ended without an answer to the question: the next one asks again */
        sv->probing = false;
    r->probe = false;
    if (r->check)
        sv->checking = false;
}

/* ---- checks ---- */

bool server_is_checked_locked(const struct fcgi_server *sv)
{
    const struct pool *p = sv->pool;

    return p->checks && !pool_drains(p) &&
           (p->conf->health_path || sv->out_refused ||
            atomic_load_explicit(&sv->has_answered, memory_order_relaxed));
}

/* A connection to sv for a check, or NULL: not now, for it is busy, and so it works. */
static struct fcgi_conn *take_for_check_locked(struct pool *p, struct fcgi_server *sv,
                                               const struct fcgi_request *r) REQUIRES(p->mu)
{
    if (p->n_in_flight >= p->max || !server_has_room_locked(sv) || (!sv->out && p->n_waiting))
        return NULL;
    return conn_take_locked(p, sv, r);
}

bool pool_grant_check(struct pool *p, struct fcgi_request *r)
{
    uint64_t now = clock_now_ms();
    struct fcgi_conn *fc = NULL;

    lock_take(&p->mu);
    for (unsigned i = 0; i < p->n_servers && !fc; i++) {
        struct fcgi_server *sv = p->servers[i];
        if (sv->checking || sv->check_due_ms > now ||
            (sv->out && !server_is_checked_locked(sv)))
            continue;
        sv->check_due_ms = now + (uint64_t)p->conf->health_interval_ms;
        fc = take_for_check_locked(p, sv, r);
    }
    if (fc)
        pool_grant_locked(p, r, fc);
    lock_drop(&p->mu);
    return fc;
}

uint64_t pool_check_due_ms(struct pool *p)
{
    uint64_t now = clock_now_ms(), due = now + (uint64_t)p->conf->health_interval_ms;

    lock_take(&p->mu);
    for (unsigned i = 0; i < p->n_servers; i++) {
        const struct fcgi_server *sv = p->servers[i];
        if (!sv->checking && sv->check_due_ms > now && sv->check_due_ms < due)
            due = sv->check_due_ms;
    }
    lock_drop(&p->mu);
    return due;
}

/* ---- what is to come ---- */

static enum pool_outlook server_outlook_locked(const struct fcgi_server *sv, uint64_t now_ms)
{
    switch (sv->state) {
    case SERVER_OFF:
        return OUTLOOK_SOON;
    case SERVER_STARTING:
        /* It is tried on whether requests wait or not. */
        return sv->doubtful ? OUTLOOK_NONE : OUTLOOK_SOON;
    case SERVER_UP:
        if (!sv->out)
            return OUTLOOK_NOW;
        if (sv->probing || sv->out_until_ms <= now_ms + SOON_MS)
            return OUTLOOK_SOON;
        return OUTLOOK_NONE;
    case SERVER_DRAINING:
    case SERVER_DOWN:
    case SERVER_RETIRED:
        break;
    }
    return OUTLOOK_NONE;
}

enum pool_outlook pool_outlook_locked(const struct pool *p)
{
    enum pool_outlook best = p->n_unresolved ? OUTLOOK_SOON : OUTLOOK_NONE;
    uint64_t now_ms = clock_now_ms();

    for (unsigned i = 0; i < p->n_servers && best != OUTLOOK_NOW; i++) {
        enum pool_outlook one = server_outlook_locked(p->servers[i], now_ms);
        best = one > best ? one : best;
    }
    return best;
}

uint64_t pool_due_ms_locked(const struct pool *p)
{
    uint64_t due = 0;

    for (unsigned i = 0; i < p->n_servers; i++) {
        const struct fcgi_server *sv = p->servers[i];
        if (sv->state == SERVER_UP && sv->out && !sv->probing &&
            !server_is_checked_locked(sv) && (due == 0 || sv->out_until_ms < due))
            due = sv->out_until_ms;
    }
    return due;
}

void pool_wake_later(struct pool *p, struct loop *loop, unsigned worker)
{
    struct timer *t = &p->wakes[worker].timer;
    uint64_t now = clock_now_ms();

    lock_take(&p->mu);
    uint64_t due = p->n_waiting ? pool_due_ms_locked(p) : 0;
    lock_drop(&p->mu);
    if (due && (!timer_armed(t) || due < t->deadline_ms))
        timer_set(loop, t, due > now ? due - now : 0);
}

void pool_wake_fn(struct loop *l, struct timer *t)
{
    struct pool_wake *w = (struct pool_wake *)(void *)t;

    pool_serve_waiters(w->pool);
    pool_wake_later(w->pool, l, w->worker);
}
