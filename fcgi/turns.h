/*
 * fcgi/turns.h - who waits, and whose turn it is: tenants take turns, within a tenant its
 * clients, within a client its requests.  Pure but for memory.
 *
 * Shape    a tenant waits in a round, each of its clients in a round of the tenant's: who has had
 *          a turn, or comes new, is in the next round, behind those who are there.  So however
 *          many requests a client has, everybody else has a turn before it has another
 * Workers  among a tenant's clients of this round, and among a client's requests, the next may be
 *          one of the worker that asks, which costs no wake-up: out of the first 8, and at most 4
 *          times in a row before the one who is first in line.  So nobody waits for more than a
 *          round, and no worker for more than 4 others
 * Full     who has most waiting gives way to who would have fewer even with one more: first
 *          tenants, then clients of one tenant; the newest request goes
 * Units    keys are the caller's, and opaque
 * Errors   GW_ENO_MEMORY
 * Threads  one at a time
 * Memory   a struct turn is its caller's, and embedded; what is kept of a tenant or a client is
 *          gone with its last request
 * Cost     adding, taking and leaving: a look-up, and a heap's log n on two levels
 */
#ifndef FCGI_TURNS_H
#define FCGI_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "../gateway/siphash.h"

struct turns_party; /* a tenant or a client that waits */

struct turns_link {
    struct turns_link *next, *prev;
};

/* One that waits.  To be zeroed before it is added. */
struct turn {
    struct turns_link link;     /* of its client, oldest first */
    struct turns_party *client; /* NULL: it does not wait */
    unsigned worker;            /* whose it is; set before it is added */
};

struct turns {
    struct siphash_key key;
    struct turns_party *root;   /* the tenants' parent; NULL: nobody ever waited */
    struct turns_party **table; /* by parent and key, chained; a power of two of places */
    unsigned n_parties, cap;
};

/* key: random, so that nobody can choose clients that are slow to look up. */
void turns_init(struct turns *ts, struct siphash_key key);
void turns_fini(struct turns *ts); /* nobody waits */

/* 0, or GW_ENO_MEMORY: nothing changed. */
int turns_add(struct turns *ts, struct turn *t, uint64_t tenant, uint64_t client);

/* t leaves without having had its turn. */
void turns_leave(struct turns *ts, struct turn *t);

/* Whose turn it is, if worker asks; NULL: nobody waits.  It goes on waiting. */
struct turn *turns_next(struct turns *ts, unsigned worker);

/* t, which turns_next said, has its turn now: it waits no longer. */
void turns_take(struct turns *ts, struct turn *t);

/* Who gives way, so that a request of client may wait; NULL: nobody, it is refused itself. */
struct turn *turns_victim(const struct turns *ts, uint64_t tenant, uint64_t client);

/* Anyone, to let all leave; NULL: nobody waits. */
struct turn *turns_any(const struct turns *ts);

#endif
