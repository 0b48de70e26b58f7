/*
 * gateway/authorizer.h - ask a FastCGI authorizer whether a request may go on.
 *
 * Asked      with the variables that a responder would have, but CONTENT_LENGTH, PATH_INFO,
 *            PATH_TRANSLATED and SCRIPT_NAME, and without the body, which waits (a client that
 *            expects 100 Continue is not told to send it)
 * Allowed    status 200, and the application ended well.  Its Variable- fields become variables
 *            of the request; all else it said is dropped
 * Refused    any other status: its head and body are the answer, without Variable- fields.  A
 *            Location without a Status is a redirect for the client, never a local one
 * Failed     the request fails as it would for a pool that fails: 502, 503, 504
 *
 * Threads  worker
 * Source   FastCGI 6.3
 */
#ifndef GATEWAY_AUTHORIZER_H
#define GATEWAY_AUTHORIZER_H

#include "router.h"

typedef void authorizer_done_fn(struct stream *s, void *arg);

/*
 * Ask pool.  done is called once the request is allowed, perhaps never: the answer has been
 * given, or the stream is over.  s has no handler when it runs.  m->vars and s->remote_user,
 * s->auth_type then have what was said; m->open is m's again, and given back if it never runs.
 */
void authorizer_start(struct stream *s, struct pool *pool, struct route_match *m,
                      authorizer_done_fn *done, void *arg);

#endif
