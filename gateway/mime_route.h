/*
 * gateway/mime_route.h - the media type of a file as its route has it: type.EXT before the
 * tables of all, and charset.
 *
 * Threads  any
 * Memory   the type is the configuration's or the table's, or in the arena
 * Source   RFC 9110 8.3.1, 8.3.2
 */
#ifndef GATEWAY_MIME_ROUTE_H
#define GATEWAY_MIME_ROUTE_H

#include "../conf/conf.h"
#include "mime.h"

/* route may be NULL: the tables of all.  Where memory is out, without a charset. */
struct slice mime_route(const struct mime *m, struct arena *a, const struct conf_route *route,
                        struct slice file);

#endif
