/*
 * gateway/try.h - try = $uri $uri/ /index.php: what a path leads to that names no file.
 *
 *     $uri         the path as it is, if it is a file
 *     $uri/        the path, if it is a folder with an index, or one that is listed
 *     $uri.html    another path, if it is a file where the route has its files
 *     last         a path, with a query or without, that is routed in place of the request's;
 *                  or =404.  A route to a pool needs none: there the pool has what is no file
 *
 * What is not there, and what may not be read, is passed over.  REQUEST_URI stays what the client
 * sent, so that a front controller finds it.
 *
 * Threads  worker
 * Memory   in the stream's arena
 */
#ifndef GATEWAY_TRY_H
#define GATEWAY_TRY_H

#include "resolve.h"

/* Beside enum resolved. */
enum {
    TRY_ELSE = RESOLVE_INDEX + 100,
    TRY_NOTHING, /* no word is it */
};

struct try_else {
    struct slice path; /* settled */
    bool has_query;    /* query takes the place of the request's */
    struct slice query;
    bool internal; /* the last word: internal routes may have it */
};

/*
 * Go through the tries of hit's route, which is to files (or, of one to a pool, its files).
 * TRY_ELSE: route again with *ret_else; RESOLVED, with m filled, RESOLVE_SLASH, or RESOLVE_LISTING
 * with what is to be listed in ret_else->path: it is what the path says; TRY_NOTHING; or a
 * negative gw_err.  may_be_file: the path can be a file's at all.
 */
int try_resolve(struct stream *s, const struct route_hit *hit, struct route_match *m,
                bool may_be_file, struct try_else *ret_else);

#endif
