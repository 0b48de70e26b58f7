/*
 * fcgi/ids.h - the request ids of one connection.  Pure.
 *
 * Shape    n places for requests at once.  A place's id is used for one request after the
 *          other, until one of them was aborted, or ended before all of it was sent: its id is
 *          retired, for applications go on answering under it (net/http/fcgi sends a second
 *          END_REQUEST, and what its handler still writes, after the one that answers an
 *          abort), and the place goes on with its id plus n.  So late records are told from
 *          those of another request, and from ids that were never opened
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
    uint32_t n_retired;           /* ids of this place */
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

/* So many places.  GW_ENO_MEMORY, or an id was retired before: nothing changed. */
int fcgi_ids_grow(struct fcgi_ids *ids, unsigned n);

/* An id for r; 0: none is free. */
uint16_t fcgi_ids_take(struct fcgi_ids *ids, struct fcgi_request *r);

/* id's request is over.  false: its place has no ids left; the connection should take no more
 * requests. */
bool fcgi_ids_give(struct fcgi_ids *ids, uint16_t id, bool retire);

/* The request of an id, or NULL; then *ret_retired says whether it once had one. */
struct fcgi_request *fcgi_ids_find(const struct fcgi_ids *ids, uint16_t id, bool *ret_retired);

/* The requests, from at on (0 first): the next one, *at behind it, or NULL.  Requests may come
 * and go meanwhile. */
struct fcgi_request *fcgi_ids_next(const struct fcgi_ids *ids, unsigned *at);

#endif
