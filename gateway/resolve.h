/*
 * gateway/resolve.h - what a path means on a route: which program or file, and where
 * SCRIPT_NAME ends and PATH_INFO begins.
 *
 * With script   one program for everything below the pattern
 * With suffix   the first component that is a regular file ending so is the script
 * With root     pools: the first component below the pattern that is a file is the script;
 *               files: the path is a file, or a folder with an index; a program's text is
 *               GW_ESOURCE (unsent.h)
 *               Either: GW_ELINK, GW_EUNREADABLE, GW_ENOT_EXECUTABLE, which are its owner's to mend
 * Neither       pools: the application is everything below the pattern; no system call at all.
 *               With a try root is of its files, and this is what the pool has of the rest
 *
 * SCRIPT_NAME + PATH_INFO is always the settled path.  Files are looked at beneath the root
 * only (beneath.h).
 *
 * Threads  worker
 * Source   RFC 3875 4.1.5, 4.1.6, 4.1.13
 */
#ifndef GATEWAY_RESOLVE_H
#define GATEWAY_RESOLVE_H

#include "file_cache.h"
#include "router.h"
#include "routes.h"

enum resolved {
    RESOLVED = 0,    /* m is filled */
    RESOLVE_NEXT,    /* the route does not apply after all: try the next best */
    RESOLVE_SLASH,   /* a folder without its slash: redirect */
    RESOLVE_INDEX,   /* route again with the path in *ret_index */
    RESOLVE_LISTING, /* a folder without an index, to be listed: *ret_index is below the root */
};

/* Would the folder that m->path is, with its slash or without, be answered with an index or a
 * listing?  Of a route to files. */
bool resolve_is_shown(struct arena *a, struct file_cache *files, const struct route_hit *hit,
                      const struct route_match *m);

/* An enum resolved, or a negative gw_err.  m->site, route and path are set by the caller; the
 * rest is filled when RESOLVED.  files may be NULL. */
int resolve(struct arena *a, struct file_cache *files, const struct route_hit *hit,
            struct route_match *m, struct slice *ret_index);

#endif
