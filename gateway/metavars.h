/*
 * gateway/metavars.h - the CGI meta-variables of a request as FastCGI parameters.
 *
 * Threads  worker
 * Source   RFC 3875 4.1
 */
#ifndef GATEWAY_METAVARS_H
#define GATEWAY_METAVARS_H

#include "router.h"

/*
 * Append the name-value pairs for s as routed to m (route env last and overriding; no name
 * twice). content_length: what CONTENT_LENGTH shall say, -1: leave it out (no body, or unknown
 * length in stream mode). 0 or GW_ENO_MEMORY.
 */
int metavars_build(struct stream *s, const struct route_match *m, int64_t content_length,
                   struct buf *out);

#endif
