/*
 * gateway/limits.h - rate and requests_at_once of sites and routes.
 *
 * Whose    a limit counts for all routes that have it: those of a site that have none of their
 *          own share the site's
 * When     by address, field and for all: when the route is found, before credentials are looked
 *          at, so that guessing them is limited too.  By user: when it is known.  Each limit once
 *          a request, also where an index, a local redirect or a file sent in its place lead
 *          through several routes
 * Refused  429 with Retry-After; of what else the route has nothing is taken then
 * Exact    over workers and connections: an account is atomics (rate.h).  Not over a reload,
 *          which begins anew
 * Threads  worker
 */
#ifndef GATEWAY_LIMITS_H
#define GATEWAY_LIMITS_H

#include "stream.h"

struct limits;
struct limit_taken;

struct limits *limits_new(const struct conf *conf); /* NULL: out of memory */
void limits_free(struct limits *ls);

enum limits_when { LIMITS_ROUTED, LIMITS_USER_KNOWN };

/* Is there room for s, whose route is set?  false: it was answered. */
bool limits_admit(struct limits *ls, struct stream *s, enum limits_when when);

/* s is over. */
void limits_leave(struct stream *s);

#endif
