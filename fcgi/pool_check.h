/*
 * fcgi/pool_check.h - what checks of servers' health are to the files of a pool.
 *
 * Threads  fcgi_check_...: the request's worker, as client.h; the rest: any, _locked under pool->mu
 */
#ifndef FCGI_POOL_CHECK_H
#define FCGI_POOL_CHECK_H

#include "pool_priv.h"

/* ---- pool_health.c ---- */

/* Out of rotation: do checks find out whether it is back?  Else a request does. */
bool server_is_checked_locked(const struct fcgi_server *sv);

/* Grant r, a check, a connection to the next server that is due for one.  false: none is, or
 * those that are have all their slots at work. */
bool pool_grant_check(struct pool *p, struct fcgi_request *r);

/* When the next one is due, clock_now_ms(). */
uint64_t pool_check_due_ms(struct pool *p);

/* ---- pool_check.c ---- */

/* A server is out of rotation, or new: its check may be due earlier than thought. */
void checks_poke_locked(struct pool *p) REQUIRES(p->mu);
void pool_checks_free(struct pool *p);

/* ---- client_check.c ---- */

/* A check of the next server that is due, which is granted later in this turn; *ret_serial is
 * the server's.  NULL: none is due, or memory is out. */
struct fcgi_request *fcgi_check_new(struct pool *pool, struct loop *loop, unsigned worker,
                                    const struct fcgi_request_ops *ops, void *arg,
                                    uint32_t *ret_serial);

/* Without health_path, instead of fcgi_request_begin(): end comes with the answer, or, where
 * there is nothing to ask, with the connection. */
void fcgi_check_begin(struct fcgi_request *r);

/* A GET_VALUES to a server that answered one before. */
bool fcgi_check_is_owed(const struct fcgi_request *r);

/* fc is open, and what was to be sent is on its way. */
void fcgi_check_connected(struct fcgi_conn *fc);

#endif
