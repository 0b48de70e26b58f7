/*
 * gateway/path.h - small operations on paths that were settled (router_settle_path) or are
 * file names.
 *
 * Units    bytes; offsets are into the path
 * Threads  any; pure but for the arena
 * Source   RFC 3986 2.3, 3.3
 */
#ifndef GATEWAY_PATH_H
#define GATEWAY_PATH_H

#include "arena.h"

/* Is there a "%2F" in a path as sent? */
bool path_has_encoded_slash(struct slice raw);

/* The next component at or behind *at: slashes are skipped, *at is left behind the component.
 * false when only slashes are left. */
bool path_next(struct slice path, size_t *at, struct slice *ret_component);

/* path with every run of slashes as one; path itself if it has none.  p is NULL when memory is
 * out. */
struct slice path_merge_slashes(struct arena *a, struct slice path);

/* root/rel with a single slash between them and runs of slashes in rel as one; root may end in
 * slashes.  p is NULL when memory is out. */
struct slice path_join(struct arena *a, struct slice root, struct slice rel);

/* May c stand in a path as it is: pchar but its escapes, and the slash (RFC 3986 3.3)? */
bool path_stands(char c);

/* Percent-encode what may not stand in a path (RFC 3986 3.3), so that it can be the Location
 * of an answer.  p is NULL when memory is out. */
struct slice path_encode(struct arena *a, struct slice path);

/* Undo percent-encoding where it is valid, leave the rest as it is, for comparing only.  "+" is
 * a space, as in form data.  p is NULL when memory is out. */
struct slice path_decode_query(struct arena *a, struct slice query);

#endif
