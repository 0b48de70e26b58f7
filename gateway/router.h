/*
 * gateway/router.h - which site and route answers a request, and what the path means there.
 *
 * Threads  router_new/free: init.  The rest: worker; the tables are constant, so no lock
 * Source   RFC 3986 6.2.2, RFC 3875 4.1.5, 4.1.13
 */
#ifndef GATEWAY_ROUTER_H
#define GATEWAY_ROUTER_H

#include "open_file.h"
#include "stream.h"

struct router;
struct pool;
struct mime;
struct auth;
struct answer_cache;

/* Tables for conf; conf must outlive it.  pools[i] belongs to conf->pools[i] (opaque here,
 * handed to forward_start). Compiles auth_match; NULL with a line on errors_to if something
 * cannot be had. */
struct router *router_new(const struct conf *conf, struct pool *const *pools, FILE *errors_to);
void router_free(struct router *r);

/* What handlers share: media types (mime.h), passwords checked lately (auth.h), and what filters
 * made of files, and hints learned (answer_cache.h). */
const struct mime *router_mime(const struct router *r);
struct auth *router_auth(const struct router *r);
struct answer_cache *router_filter_cache(const struct router *r);
struct answer_cache *router_hints(const struct router *r);

/* Where a request's path led.  In the stream's arena. */
struct route_match {
    const struct conf_site *site;
    const struct conf_route *route;
    struct slice path; /* decoded once, dot segments settled; double slashes kept; starts with
                          '/'.  For a folder: with the name of its index */
    struct slice
        script_name; /* SCRIPT_NAME: decoded part of path that names the script; may be empty */
    struct slice path_info;       /* PATH_INFO: the rest, decoded */
    struct slice path_translated; /* PATH_TRANSLATED: path_info below the site's root; empty
                                     without one of them */
    struct slice document_root;   /* of the route, else the site; empty if neither */
    struct slice file;  /* absolute file name: SCRIPT_FILENAME for pools, the file for files;
                          empty if none */
    struct field *vars; /* what authorizers said: request variables */
    size_t n_vars, cap_vars;
    struct open_file *open; /* files: opened beneath the root, regular; or NULL.  The match's
                               user has the reference */
};

/*
 * stream_on_head()'s next step: pick the site (Host or :authority, port ignored, case ignored;
 * absent: the default site), settle the path, let the site's rewrites change it, pick the route
 * and let its own do the same, ask whether the client may come in (access, limits.h, auth.h,
 * authorizer.h), and hand s to its handler: files_start, filter_start, forward_start, a listing,
 * a redirect, or an error page.  Sets s->site, s->route, s->uri, s->body_limit.  A local redirect
 * (forward.c) sets a new target with stream_set_target, method GET, and calls it again.
 */
void router_handle(struct router *r, struct stream *s);

/*
 * Decode and settle a path (pure, exported for its tests and fuzz target): percent-decoding
 * once, "." and ".." segments removed as in RFC 3986 5.2.4 after decoding.  GW_EREQ_PATH for a
 * path that does not start with '/', an invalid escape, a NUL, or ".." above the root.  An
 * encoded '/' is decoded before the segments are settled and everything is decided on the
 * result, so it dodges nothing; applications see it in PATH_INFO (RFC 3875 4.1.5) and, as sent,
 * in REQUEST_URI.  For files router_handle refuses it: no file name has one.  *ret_path is raw
 * itself where there is nothing to change.
 */
int router_settle_path(struct arena *a, struct slice raw, struct slice *ret_path);

/* forward.c: run the request on pool.  m is in the stream's arena. */
void forward_start(struct stream *s, struct pool *pool, struct route_match *m);

/* files.c: answer with the file m->open (regular; the reference is taken over).  GET and
 * HEAD; others 405 with Allow. */
void files_start(struct stream *s, struct route_match *m);

#endif
