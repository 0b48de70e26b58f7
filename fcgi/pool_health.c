/*
 * Which servers are in rotation.  See pool.h for the rules.
 *
 * What changed is noted under the lock and logged after it.
 */
#include <stdio.h>

#include "../gateway/log.h"
#include "pool_priv.h"

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
    unsigned delay_ms;
    const char *reason;
};

static void news_log(const struct pool *p, const struct news *n)
{
    if (!n->name[0])
        return;
    if (n->back)
        log_line(CONF_LOG_NOTICE, "pool=%s server=%s back", p->conf->name, n->name);
    else
        log_line(CONF_LOG_WARN, "pool=%s server=%s out of rotation: %s, tried again in %u.%u s",
                 p->conf->name, n->name, n->reason, n->delay_ms / 1000,
                 n->delay_ms % 1000 / 100);
}

/* ---- in and out ---- */

static void server_out_locked(struct fcgi_server *sv, bool refused, const char *reason,
                              struct news *ret_news)
{
    unsigned d = sv->out_delay_ms * 2;

    sv->out_delay_ms = d < OUT_DELAY_MIN   ? OUT_DELAY_MIN
                       : d > OUT_DELAY_MAX ? OUT_DELAY_MAX
                                           : d;
    sv->out = true;
    sv->out_refused = refused;
    sv->probing = false;
    sv->out_until_ms = clock_now_ms() + sv->out_delay_ms;
    *ret_news = (struct news){.delay_ms = sv->out_delay_ms, .reason = reason};
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

void pool_server_health(struct pool *p, struct fcgi_server *sv, bool ok, const char *reason)
{
    struct news news = {0};
    bool back = false;

    lock_take(&p->mu);
    if (ok)
        back = server_back_locked(sv, &news);
    else if (!sv->out || sv->out_until_ms <= clock_now_ms())
        server_out_locked(sv, false, reason, &news);
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
    if (r->probe && sv->out_refused) {
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
    if (!r->probe)
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
    if (r->probe || (!sv->out && (verdict == REFUSES ||
                                  (sv->n_bad >= BAD_MAX && another_usable_locked(p, sv)))))
        server_out_locked(sv, verdict == REFUSES, gw_err_text(err), &news);
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
}

void health_released_locked(struct fcgi_server *sv, struct fcgi_request *r)
{
    if (r->answered)
        sv->n_bad = 0;
    if (r->probe) /* it ended without an answer to the question: the next one asks again */
        sv->probing = false;
    r->probe = false;
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
            (due == 0 || sv->out_until_ms < due))
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
