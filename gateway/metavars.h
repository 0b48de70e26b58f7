/*
 * gateway/metavars.h - the CGI meta-variables of a request as FastCGI parameters.
 *
 * Threads  worker
 * Source   RFC 3875 4.1; FastCGI 6.3, 6.4 for the other roles
 */
#ifndef GATEWAY_METAVARS_H
#define GATEWAY_METAVARS_H

#include "router.h"

/* What depends on who is asked. */
struct metavars_ask {
    uint16_t role; /* FCGI_RESPONDER ...; an authorizer is not told of a script (FastCGI 6.3) */
    int64_t content_length; /* CONTENT_LENGTH; -1: left out (no body, or unknown length in
                               stream mode) */
    int64_t data_length;    /* a filter's FCGI_DATA_LENGTH; -1: left out */
    int64_t data_last_mod;  /* FCGI_DATA_LAST_MOD, with data_length */
    bool websocket;         /* the client asks for a WebSocket, and may have one */
};

/* Append the name-value pairs for s as routed to m (what an authorizer said, then route env,
 * last and overriding; no name twice).  0 or GW_ENO_MEMORY. */
int metavars_build(struct stream *s, const struct route_match *m,
                   const struct metavars_ask *ask, struct buf *out);

/* Is it a variable that the gateway itself sets, for this or another request? */
bool metavars_is_own(struct slice name);

#endif
