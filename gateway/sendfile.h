/*
 * gateway/sendfile.h - an application that has the gateway answer in its place: with a file
 * (X-Sendfile: /path/of/file), or with what the site has at a path (X-Accel-Redirect: /path?query).
 *
 * Allowed    where the application's route says so: sendfile_root, accel_redirect.  Elsewhere
 *            the field means nothing.  No client ever sees either
 * Answered   for a client that asked with GET, or HEAD.  The application's status, if it is not
 *            200, and its fields go on the answer (head_override.h); its body is dropped
 * Refused    403 for what is outside of what the route allows, 404 for a file that is not there;
 *            with a line in the log
 *
 * Threads  worker
 */
#ifndef GATEWAY_SENDFILE_H
#define GATEWAY_SENDFILE_H

#include "../fcgi/response.h"
#include "router.h"

enum sendfile_kind { SENDFILE_NONE, SENDFILE_FILE, SENDFILE_PATH };

struct sendfile {
    enum sendfile_kind kind;
    struct slice what; /* in the stream's arena */
};

/* Take the fields out of h; *ret is what is to be sent in its place. */
void sendfile_take(struct stream *s, struct response_head *h, struct sendfile *ret);

/* The application, which said h, is through, and s has no handler.  sf: as taken out of h. */
void sendfile_start(struct stream *s, struct route_match *m, const struct sendfile *sf,
                    const struct response_head *h);

#endif
