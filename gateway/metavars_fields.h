/*
 * gateway/metavars_fields.h - the part of metavars.c that turns request fields into HTTP_NAME
 * variables.
 *
 * Threads  worker
 * Source   RFC 3875 4.1.18
 */
#ifndef GATEWAY_METAVARS_FIELDS_H
#define GATEWAY_METAVARS_FIELDS_H

#include "router.h"

/*
 * Append HTTP_NAME pairs for the fields of s that an application may see: those of one name
 * joined to one, those that an authorizer or the route's env sets left out.  0 or GW_ENO_MEMORY.
 */
int metavars_put_fields(struct stream *s, const struct route_match *m, struct buf *out);

/* Does the route set this variable itself? */
bool metavars_env_has(const struct conf_route *route, struct slice name);

#endif
