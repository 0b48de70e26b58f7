/*
 * The times of connections and of the requests on them.  A connection's timer fires at least
 * once in the shortest of them.
 */
#include <stddef.h>

#include "pool_check.h"

/* at is over: err; else 0 and *next lowered to it. */
static int check(uint64_t at, int err, uint64_t now, uint64_t *next)
{
    if (at <= now)
        return err;
    if (at < *next)
        *next = at;
    return 0;
}

/* The error if a time of r is over. */
static int check_request(const struct fcgi_request *r, uint64_t now, uint64_t *next)
{
    const struct fcgi_conn *fc = r->conn;
    const struct conf_pool *c = fc->pool->conf;
    /* On a connection of its own what moves is its. */
    uint64_t moved_ms = fc->ids.n ? r->moved_ms : fc->moved_ms;

    if (r->aborted)
        return check(r->moved_ms + (uint64_t)c->abort_timeout_ms, GW_EBACKEND_TIME, now, next);
    if (r->upgraded)
        return 0;
    if (r->stdin_blocked || (buf_len(&fc->out) && (!fc->ids.n || !r->any_input)))
        return check(fc->moved_ms + (uint64_t)c->send_timeout_ms, GW_EBACKEND_SEND_TIME, now,
                     next);
    if (r->paused || (fcgi_request_speaks(r) && !r->any_input && !r->upgrades))
        return 0; /* it waits for the client, who has times of its own */
    if (!r->any_input)
        return check(moved_ms + (uint64_t)c->first_byte_timeout_ms, GW_EBACKEND_FIRST_TIME, now,
                     next);
    return check(moved_ms + (uint64_t)c->read_timeout_ms, GW_EBACKEND_READ_TIME, now, next);
}

/* false: the connection is no longer ours. */
static bool check_requests(struct fcgi_conn *fc, uint64_t now, uint64_t *next)
{
    struct fcgi_request *r;
    unsigned at = 0, tenure = fcgi_conn_tenure(fc);

    while ((r = fcgi_ids_next(&fc->ids, &at))) {
        int err = check_request(r, now, next);
        if (err == 0)
            continue;
        if (r->aborted)
            fcgi_request_give_up(r);
        else
            fcgi_request_time_over(r, err);
        if (fcgi_conn_tenure(fc) != tenure)
            return false;
    }
    return true;
}

bool fcgi_conn_may_be_stuck(const struct fcgi_conn *fc)
{
    unsigned at = 0;
    const struct fcgi_request *r = fcgi_ids_next(&fc->ids, &at);

    return r && !fc->reused && !fc->heard && !r->stuck && !fcgi_request_speaks(r) &&
           (!r->asks_values || fcgi_check_is_owed(r));
}

/* While other fresh connections get their first bytes the server accepts, and this one has its
 * turn: a busy machine is no pinned thread, and keeping nothing would make it busier. */
static uint64_t stuck_at(const struct fcgi_conn *fc)
{
    uint64_t heard_ms = atomic_load_explicit(&fc->server->heard_ms, memory_order_relaxed),
             most_ms = fc->moved_ms + STUCK_MOST_MS;

    if (heard_ms <= fc->moved_ms)
        return fc->moved_ms + STUCK_MS;
    return heard_ms + STUCK_MS < most_ms ? heard_ms + STUCK_MS : most_ms;
}

static void check_stuck(struct fcgi_conn *fc, uint64_t now, uint64_t *next)
{
    unsigned at = 0;

    if (!fcgi_conn_may_be_stuck(fc))
        return;
    if (check(stuck_at(fc), GW_EBACKEND_FIRST_TIME, now, next) < 0)
        pool_mark_stuck(fc->pool, fcgi_ids_next(&fc->ids, &at), true);
}

void fcgi_conn_timer(struct loop *l, struct timer *t)
{
    struct fcgi_conn *fc =
        (struct fcgi_conn *)(void *)((char *)t - offsetof(struct fcgi_conn, timer));
    uint64_t now = loop_now_ms(l), next = now + fc->pool->tick_ms;
    const struct conf_pool *c = fc->pool->conf;

    if (!fc->ids.n_used)
        return;
    if (fcgi_conn_is(fc, FC_CONNECTING)) {
        if (check(fc->since_ms + (uint64_t)c->connect_timeout_ms, GW_EBACKEND_CONNECT_TIME, now,
                  &next) < 0) {
            fcgi_conn_unopened(fc, GW_EBACKEND_CONNECT_TIME);
            return;
        }
        if (!fc->watched) { /* the backlog was full */
            timer_set(l, t, next - now);
            fcgi_conn_try(fc);
            return;
        }
    } else {
        if (!check_requests(fc, now, &next))
            return;
        check_stuck(fc, now, &next);
    }
    timer_set(l, t, next - now);
}
