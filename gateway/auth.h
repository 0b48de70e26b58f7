/*
 * gateway/auth.h - HTTP Basic authentication against htpasswd files (RFC 7617).
 *
 * A verification takes up to seconds, so it runs as a job (auth_verify.h), and its successes are
 * remembered for a minute per file, user and password, as a keyed hash.  A file that was changed
 * or replaced is noticed within a second (auth_file.h).  Comparison takes constant time; an
 * unknown user costs as much as a wrong password.  What wrong ones cost is auth_guess.h's.
 *
 * Refused  401 with a challenge: no credentials, of another scheme, malformed or of a user who is
 *          not there: whoever sends them is told what would do, and no more.  A user of the file
 *          who is not among auth_users and auth_groups likewise, as in Apache: the client asks for
 *          another
 * Threads  auth_new, _free: init.  The rest: worker
 * Memory   passwords live in the request's head and, while one is being verified, in the job;
 *          the latter is wiped
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include "stream.h"

struct auth;

/* What all workers share, the files of conf, which are read, among it.  NULL: no memory, or no
 * random bytes for its keys. */
struct auth *auth_new(const struct conf *conf);
void auth_free(struct auth *a); /* no check is under way */

struct auth_result {
    int err;           /* 0: go on; GW_EUNAUTHORIZED, GW_EAUTH_FILE, GW_EAUTH_GUESSES,
                          GW_EAUTH_BUSY, GW_ENO_MEMORY */
    struct slice user; /* in the stream's arena when err is 0 */
    unsigned retry_s;  /* for Retry-After; 0: none */
};
typedef void auth_done_fn(struct stream *s, void *arg, const struct auth_result *res);

/*
 * Check s's Authorization field by conf.  Calls done exactly once, perhaps before returning;
 * never after the stream is over: a stream that ends meanwhile is told by its handler's
 * closed() (auth installs its own handler), and done is then not called.  s has no handler when
 * done runs.  Whether a route asks for credentials at all is routes.h's business.
 */
void auth_check(struct stream *s, const struct conf_auth *conf, auth_done_fn *done, void *arg);

/* The value of WWW-Authenticate for realm (RFC 7617 2); p is NULL when memory is out. */
struct slice auth_challenge(struct arena *a, const char *realm);

/* user and password, NUL-terminated in a, from the value of an Authorization field.  false: not
 * Basic, or malformed. */
bool auth_parse_basic(struct arena *a, struct slice value, struct slice *ret_user,
                      struct slice *ret_password);

#endif
