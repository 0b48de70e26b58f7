/*
 * gateway/resolve.h - what a path means on a route: which program or file, and where
 * SCRIPT_NAME ends and PATH_INFO begins.
 *
 * With script   one program for everything below the pattern
 * With suffix   the first component that is a regular file ending so is the script
 * With root     pools: the first component below the pattern that is a file is the script;
 *               files: the path is a file, or a folder with an index
 * Neither       pools: the application is everything below the pattern; no system call at all
 *
 * SCRIPT_NAME + PATH_INFO is always the settled path.  Files are looked at beneath the root
 * only (beneath.h).
 *
 * Threads  worker
 * Source   RFC 3875 4.1.5, 4.1.6, 4.1.13
 */
#ifndef GATEWAY_RESOLVE_H
#define GATEWAY_RESOLVE_H

#include "router.h"
#include "routes.h"

enum resolved {
    RESOLVED = 0,  /* m is filled */
    RESOLVE_NEXT,  /* the route does not apply after all: try the next best */
    RESOLVE_SLASH, /* a folder without its slash: redirect */
    RESOLVE_INDEX, /* route again with the path in *ret_index */
};

/* An enum resolved, or a negative gw_err.  m->site, route and path are set by the caller; the
 * rest is filled when RESOLVED. */
int resolve(struct arena *a, const struct route_hit *hit, struct route_match *m,
            struct slice *ret_index);

#endif
