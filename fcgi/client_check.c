/*
 * A health check as a request: on one server, alone on its connection, and where nothing is to be
 * read from an application, a GET_VALUES or a connection that says nothing.
 */
#include <stdlib.h>

#include "pool_check.h"

enum { ASKED_MAX = 3 /* a server that does not answer GET_VALUES is asked so often */ };

struct fcgi_request *fcgi_check_new(struct pool *pool, struct loop *loop, unsigned worker,
                                    const struct fcgi_request_ops *ops, void *arg,
                                    uint32_t *ret_serial)
{
    struct fcgi_request *r = fcgi_request_make(pool, loop, worker, ops, arg);

    if (!r)
        return NULL;
    r->check = r->alone = true;
    r->asks_values = !pool->conf->health_path;
    if (!pool_grant_check(pool, r)) {
        free(r);
        return NULL;
    }
    *ret_serial = r->conn->server->serial;
    loop_defer(loop, &r->task);
    return r;
}

bool fcgi_check_is_owed(const struct fcgi_request *r)
{
    return r->asks_values &&
           atomic_load_explicit(&r->conn->server->has_answered, memory_order_relaxed);
}

void fcgi_check_begin(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;
    struct fcgi_server *sv = fc->server;

    if (fc->ids.n_used == 0)
        fcgi_conn_prepare(fc);
    r->phase = PHASE_RUNNING;
    r->id = fcgi_ids_take(&fc->ids, r);
    r->moved_ms = loop_now_ms(r->loop);
    fcgi_values_clear(&fc->values);
    fc->asked = fcgi_check_is_owed(r) ||
                atomic_fetch_add_explicit(&sv->n_asked, 1, memory_order_relaxed) < ASKED_MAX;
    if (fc->asked && fcgi_values_ask(&fc->out) < 0) {
        fcgi_request_fail(r, GW_ENO_MEMORY, FCGI_RETRY_NO);
        return;
    }
    fcgi_conn_start(fc, false);
}

void fcgi_check_connected(struct fcgi_conn *fc)
{
    unsigned at = 0;
    struct fcgi_request *r = fcgi_ids_next(&fc->ids, &at);

    if (r && r->asks_values && !fc->asked)
        fcgi_request_values(r); /* there is nothing to ask */
}
