/*
 * Connections that several requests may be on, and what servers say of that.
 *
 * FastCGI has no flow control: what one request does not read holds up all that come behind it
 * on the connection.  So a connection takes others only while none of its requests has a body
 * (an application that does not read one would not read their heads either), needs to be
 * held up itself (paused), or was asked to be alone.  A server that opens no more connections
 * (FCGI_MAX_CONNS) gets them all the same.
 */
#include <stdio.h>

#include "../gateway/log.h"
#include "pool_priv.h"

static bool share_has_room_locked(const struct fcgi_conn *fc)
{
    return fc->shares && fc->n_granted && fc->n_granted < fc->pool->conf->multiplex_requests &&
           atomic_load_explicit(&fc->server->multiplexes, memory_order_relaxed);
}

void share_update_locked(struct fcgi_conn *fc)
{
    struct fcgi_conn **list = &fc->server->shared[fc->worker];
    bool listed = share_has_room_locked(fc) && !fc->n_closing;

    if (listed == fc->listed)
        return;
    fc->listed = listed;
    if (listed) {
        fc->prev = NULL;
        fc->next = *list;
        if (fc->next)
            fc->next->prev = fc;
        *list = fc;
        return;
    }
    if (fc->next)
        fc->next->prev = fc->prev;
    if (fc->prev)
        fc->prev->next = fc->next;
    else
        *list = fc->next;
    fc->next = fc->prev = NULL;
}

/* Does a request keep others away by what it is, not by what it carries? */
static bool conn_is_held_locked(const struct fcgi_conn *fc)
{
    for (const struct fcgi_request *r = fc->granted; r; r = r->next) {
        if (r->closes && !r->has_body)
            return true;
    }
    return false;
}

struct fcgi_conn *share_take_locked(struct pool *p, struct fcgi_server *sv,
                                    const struct fcgi_request *r, bool crowded)
{
    if (!p->conf->multiplex || r->alone)
        return NULL;
    struct fcgi_conn *first;
    while ((first = sv->shared[r->worker]) && !share_has_room_locked(first))
        share_update_locked(first); /* the server said something else meanwhile */
    if (first || !crowded)
        return first;
    for (unsigned i = 0; i < p->n_all; i++) {
        struct fcgi_conn *fc = p->all_conns[i];
        if (fc->server == sv && fc->worker == r->worker && share_has_room_locked(fc) &&
            !conn_is_held_locked(fc))
            return fc;
    }
    return NULL;
}

static void request_close_locked(struct fcgi_request *r, bool closes)
{
    if (r->closes == closes)
        return;
    r->closes = closes;
    r->conn->n_closing += closes ? 1 : -1u;
    share_update_locked(r->conn);
}

void pool_conn_share(struct fcgi_conn *fc, bool shares)
{
    struct pool *p = fc->pool;

    lock_take(&p->mu);
    for (struct fcgi_request *r = fc->granted; r && shares; r = r->next)
        request_close_locked(r, r->alone || r->has_body || r->paused);
    fc->shares = shares;
    share_update_locked(fc);
    lock_drop(&p->mu);
}

void pool_request_close(struct fcgi_request *r, bool closes)
{
    lock_take(&r->pool->mu);
    request_close_locked(r, closes);
    lock_drop(&r->pool->mu);
}

bool pool_request_try_close(struct fcgi_request *r)
{
    lock_take(&r->pool->mu);
    bool only = r->conn->n_granted == 1;
    if (only)
        request_close_locked(r, true);
    lock_drop(&r->pool->mu);
    return only;
}

/* ---- what servers say ---- */

/* " NAME=value" for what was said. */
static int say_value(char *to, size_t room, const char *name, unsigned value)
{
    if (value == 0)
        return 0;
    int n = snprintf(to, room, " %s=%u", name, value);
    return n < 0 || (size_t)n >= room ? 0 : n;
}

static void log_values(const struct fcgi_server *sv, const struct fcgi_values *v)
{
    const struct pool *p = sv->pool;
    char said[128] = "";
    size_t n = (size_t)say_value(said, sizeof(said), "FCGI_MAX_CONNS", v->max_conns);

    (void)say_value(said + n, sizeof(said) - n, "FCGI_MAX_REQS", v->max_reqs);
    log_line(CONF_LOG_INFO, "pool=%s server=%s answers GET_VALUES:%s FCGI_MPXS_CONNS=%d%s",
             p->conf->name, sv->name, said, v->mpxs,
             !p->conf->multiplex ? ""
             : v->mpxs           ? ", its connections are shared"
                                 : ", a connection for each request");
}

void pool_server_says(struct fcgi_server *sv, const struct fcgi_values *values)
{
    struct pool *p = sv->pool;
    bool shares = values && values->mpxs && p->conf->multiplex;

    if (!values) {
        log_line(CONF_LOG_INFO, "pool=%s server=%s knows no GET_VALUES", p->conf->name,
                 sv->name);
        return;
    }
    lock_take(&p->mu);
    bool news = !atomic_load_explicit(&sv->has_answered, memory_order_relaxed);
    atomic_store_explicit(&sv->has_answered, true, memory_order_relaxed);
    atomic_store_explicit(&sv->multiplexes, shares, memory_order_relaxed);
    /* libfcgi says 1 and 1, whatever is true; it says, too, that it does not multiplex. */
    sv->max_conns = shares ? values->max_conns : 0;
    if (shares && values->max_reqs && values->max_reqs < sv->max)
        sv->max = values->max_reqs;
    lock_drop(&p->mu);
    if (news)
        log_values(sv, values);
}

void pool_server_forget_values(struct fcgi_server *sv)
{
    atomic_store_explicit(&sv->n_asked, 0, memory_order_relaxed);
    atomic_store_explicit(&sv->has_answered, false, memory_order_relaxed);
    atomic_store_explicit(&sv->multiplexes, false, memory_order_relaxed);
}

void pool_server_cannot_share(struct fcgi_server *sv)
{
    atomic_store_explicit(&sv->multiplexes, false, memory_order_relaxed);
    log_line(CONF_LOG_WARN,
             "pool=%s server=%s said FCGI_MPXS_CONNS=1, but answers FCGI_CANT_MPX_CONN: "
             "a connection for each request",
             sv->pool->conf->name, sv->name);
}
