/*
 * fcgi/ids.h - the request ids of one connection.  Pure.
 *
 * Shape    n places for requests at once.  Each request of a place has an id of its own, n more
 *          than that of the one before; when there are no more the place begins anew.  So what
 *          an application still says of a request that is over (a second END_REQUEST, output
 *          behind it; net/http/fcgi sends both after the END_REQUEST that answers an abort) is
 *          told from what it says of the next, and from ids that were never opened
 * Units    ids 1..65535; one place, which has id 1, until _grow
 * Threads  one at a time
 * Memory   a zeroed struct is an empty one; requests are borrowed
 * Source   FastCGI 1.0, 3.3
 */
#ifndef FCGI_IDS_H
#define FCGI_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct fcgi_request;

struct fcgi_id_place {
    struct fcgi_request *request; /* NULL: free */
    uint16_t round;               /* ids of this place before the one it has, or has next */
    bool again;                   /* it began anew: all its ids were used */
};

struct fcgi_ids {
    struct fcgi_id_place one;   /* the place of a connection that has only that */
    struct fcgi_id_place *many; /* [cap], kept over _reset */
    unsigned n, cap;            /* n: places, if more than one; else 0 */
    unsigned n_used;
};

void fcgi_ids_fini(struct fcgi_ids *ids);

/* A new connection, with one place. */
void fcgi_ids_reset(struct fcgi_ids *ids);

/* So many places.  GW_ENO_MEMORY: nothing changed. */
int fcgi_ids_grow(struct fcgi_ids *ids, unsigned n);

/* An id for r; 0: none is free. */
uint16_t fcgi_ids_take(struct fcgi_ids *ids, struct fcgi_request *r);

/* id's request is over. */
void fcgi_ids_give(struct fcgi_ids *ids, uint16_t id);

/* The request of an id, or NULL; then *ret_late says whether it once had one. */
struct fcgi_request *fcgi_ids_find(const struct fcgi_ids *ids, uint16_t id, bool *ret_late);

/* The requests, from at on (0 first): the next one, *at behind it, or NULL.  Requests may come
 * and go meanwhile. */
struct fcgi_request *fcgi_ids_next(const struct fcgi_ids *ids, unsigned *at);

#endif
