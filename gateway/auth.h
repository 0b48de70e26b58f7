/*
 * gateway/auth.h - HTTP Basic authentication against an htpasswd file (RFC 7617).
 *
 * crypt() of a password takes up to a second, so it runs as a job (writer.h), never more at
 * once than there are cores, and its successes are remembered for a minute per file, user and
 * password, as a keyed hash.  A file that was changed or replaced is noticed at the next
 * request.  Comparison takes constant time; an unknown user costs as much as a wrong password.
 *
 * Threads  auth_new, _free: init.  The rest: worker
 * Memory   passwords live in the request's head and, while one is being verified, in the job;
 *          the latter is wiped
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "stream.h"

struct auth;

/* What all workers share: the successes, under a lock of its own.  NULL: no memory, or no
 * random bytes for its key. */
struct auth *auth_new(void);
void auth_free(struct auth *a); /* no check is under way */

struct auth_result {
    int err;           /* 0: go on; GW_EUNAUTHORIZED, GW_EAUTH_FILE, GW_EPOOL_FULL (too many
                          wait to be verified), GW_ENO_MEMORY */
    struct slice user; /* in the stream's arena when err is 0 */
};
typedef void auth_done_fn(struct stream *s, void *arg, const struct auth_result *res);

/*
 * Check s's Authorization field for route.  Calls done exactly once, perhaps before returning;
 * never after the stream is over: a stream that ends meanwhile is told by its handler's
 * closed() (auth installs its own handler), and done is then not called.  s has no handler when
 * done runs.  Whether a route asks for credentials at all is routes.h's business.
 */
void auth_check(struct stream *s, const struct conf_route *route, auth_done_fn *done,
                void *arg);

/* The value of WWW-Authenticate for realm (RFC 7617 2); p is NULL when memory is out. */
struct slice auth_challenge(struct arena *a, const char *realm);

/* user and password, NUL-terminated in a, from the value of an Authorization field.  false: not
 * Basic, or malformed. */
bool auth_parse_basic(struct arena *a, struct slice value, struct slice *ret_user,
                      struct slice *ret_password);

#endif
