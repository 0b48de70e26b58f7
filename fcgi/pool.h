/*
 * fcgi/pool.h - a pool: its servers, its slots, who waits for one, and which connections are
 * idle.
 *
 * Shape    a server is an address (connect) or one process (spawn, cgi) with a socket of its
 *          own.  A slot is the right to have one request in flight; a pool has max_requests, a
 *          server its share.  Connections, in flight and idle together, never outnumber a
 *          server's slots, over all workers: an idle one pins a thread of a libfcgi
 *          application or a child of php-fpm, so counting per worker would hang them.
 * Servers  a pool's servers may be added and retired while it runs (pool_priv.h): each address
 *          of a name is one.  One that refuses a connection, or lets three requests in a row
 *          down (silent, no FastCGI, closed before a byte) while another could take them, is out
 *          of rotation for 100 ms, doubled each time up to 5 s; then one request, the probe, is
 *          sent there: it is back when that one is connected (if it refused) or has a first
 *          byte, and out for longer when not.  A pool none of whose servers will be back within a second is down, and
 *          refuses at once; else requests wait in the queue
 *          With health_interval checks find that out instead, and take servers out that fail
 *          one (pool_check.c)
 * Balance  first the servers that are no backups, in rotation, up, and below their max; only
 *          when there is none of them the backups.  Among those: least, the fewest requests at
 *          work for the weight, and in turn by weight among equals; round-robin, in turn by
 *          weight; hash, the key's own (rendezvous hashing by the servers' names, so that the
 *          same key has the same server after a restart).  A server is chosen first, then a
 *          connection to it: a kept one of the worker, a fresh one, a kept one of another
 *          worker.  So kept connections never bend the distribution.  Processes are all alike:
 *          among equals one that the worker has a kept connection to, else the first.
 *          A request that is sent again goes where it was not yet, unless nobody else could
 *          take it now
 * Kept     a connection is kept idle for keepalive_time at most, which each worker looks after
 *          with one timer, set when there is an idle connection and it is not: so keeping one
 *          costs nothing.  The last of keepalive_requests goes without FCGI_KEEP_CONN; a
 *          shared connection takes no other then, and is closed behind those it has
 * Queue    a waiter is WAITING, GRANTED or GONE under the pool's lock.  Tenants take turns, and
 *          within a tenant its clients, and each client's requests are in order (turns.h).  A
 *          freed slot goes, where that delays nobody by more than a round, to a waiter of the
 *          worker that freed it (no wake-up): to one of the first 8 clients that have a turn in
 *          this round, one of its first 8 requests; and every fifth, and every one that worker
 *          does not want, to the first in line.  When the queue is full, who has most waiting
 *          gives way to one who would have fewer even with one more: the newest request of that
 *          tenant's client who has most is refused, or, within the newcomer's tenant, that of the
 *          client who has most; else the newcomer.  No request is begun that waited for longer
 *          than queue_timeout, all its tries together
 * Threads  any worker; everything is under pool->mu, a leaf but for loop_post
 * Source   THREADS.md, rules 6 and 7
 */
#ifndef FCGI_POOL_H
#define FCGI_POOL_H

#include "../conf/conf.h"
#include "../gateway/lock.h"
#include "../gateway/loop.h"
#include "spawner.h"

struct dns;
struct fcgi_conn;
struct fcgi_request;
struct pool;

/* The pool conf->pools[index], of n_workers.  Servers by address and processes are there at once,
 * those by name (connect) when they are resolved.  NULL with a line on errors_to. */
struct pool *pool_new(const struct conf *conf, unsigned index, unsigned n_workers,
                      FILE *errors_to);
void pool_free(struct pool *p); /* all workers have ended */

const struct conf_pool *pool_conf(const struct pool *p);

/* The gateway is going to end: idle connections are closed at once, others behind their requests,
 * which are sent without FCGI_KEEP_CONN.  Any thread, once. */
void pool_drain(struct pool *p);

/* ---- processes (spawn, cgi); the main thread's.  pool_process.c ---- */

/* A message of the spawner about a process of this pool. */
void pool_process(struct pool *p, const struct spawner_msg *m);

/* Decide about processes: the orders that the spawner is to have now go to fn, which says
 * whether it could send that one.  When to be called again unless poked before, in ms of
 * clock_now_ms(); UINT64_MAX: never. */
typedef bool pool_order_fn(void *user, unsigned slot, enum spawner_verb verb);
uint64_t pool_processes_step(struct pool *p, pool_order_fn *fn, void *user);

/* msg is posted to loop when there is a reason to decide again; not again before it came and
 * pool_processes_poked() said so: it is in the loop's list until then, whoever steps meanwhile. */
void pool_processes_watch(struct pool *p, struct loop *loop, struct loop_msg *msg);
void pool_processes_poked(struct pool *p);

/* There is a new spawner, and nothing runs. */
void pool_processes_reset(struct pool *p);

/* Where the runners of a cgi pool say what scripts used; before threads start. */
void pool_use_usage(struct pool *p, unsigned slot, const struct script_usage *usage);

/* ---- checks (health_interval); pool_check.c ---- */

/* Check its servers on that worker's loop, from now on until the pool drains.  Before workers
 * start.  0 or GW_ENO_MEMORY. */
int pool_checks_start(struct pool *p, struct loop *loop, unsigned worker);

/* ---- names (connect = HOST:PORT or srv:NAME); the main thread's.  pool_names.c ---- */

bool pool_has_names(const struct pool *p);

/* Resolve them, at once and from now on.  Requests wait until each name had its first answer.
 * 0 or GW_ENO_MEMORY. */
int pool_names_start(struct pool *p, struct loop *loop, struct dns *dns);
/* When dns is freed, and before the loop is. */
void pool_names_stop(struct pool *p);

struct pool_stats {
    unsigned in_flight, waiting, idle, connections; /* now */
    uint64_t n_requests;                            /* that had a slot */
    uint64_t n_queued;
    uint64_t n_full, n_timed_out, n_down; /* refused: queue full, queue timeout, pool down */
    uint64_t n_failed;                    /* connections that servers refused */
};
void pool_stats(struct pool *p, struct pool_stats *ret);

/* Seconds a client should wait before it tries again (Retry-After): retry_after, or, auto, 1..60:
 * how long the queue takes now, or until a server is tried again if all are out. */
unsigned pool_retry_after(struct pool *p);

#endif
