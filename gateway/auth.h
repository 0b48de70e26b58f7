/*
 * gateway/auth.h - HTTP Basic authentication against an htpasswd file (RFC 7617).
 *
 * crypt() of a password takes up to a second, so it runs as a job (writer.h) and its successes
 * are remembered for a minute per user and password, as a keyed hash.  Comparison takes
 * constant time; an unknown user costs as much as a wrong password.
 *
 * Threads  worker
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "stream.h"

struct auth_result {
    int err;           /* 0: go on; GW_EUNAUTHORIZED, GW_EAUTH_FILE */
    struct slice user; /* in the stream's arena when err is 0 */
};
typedef void auth_done_fn(struct stream *s, void *arg, const struct auth_result *res);

/*
 * Check s's Authorization field for route.  Calls done exactly once, perhaps before returning;
 * never after the stream is over: a stream that ends meanwhile is told by its handler's
 * closed() (auth installs its own handler), and done is then not called.
 */
void auth_check(struct stream *s, const struct conf_route *route, auth_done_fn *done,
                void *arg);

/* Does auth apply to this request: route->auth_basic, and auth_match (compiled by the router)
 * matches path?query? */

#endif
