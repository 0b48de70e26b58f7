/*
 * gateway/filter_keep.h - may what a filter answered be given to others too, and for how long?
 * Pure.
 *
 * Units    seconds
 * Threads  any
 * Source   RFC 9111 3, 3.5, 4.2.1, 5.2.2
 */
#ifndef GATEWAY_FILTER_KEEP_H
#define GATEWAY_FILTER_KEEP_H

#include "stream.h"

enum {
    FILTER_KEEP_NEVER = -1,
    FILTER_KEEP_ALWAYS = 0, /* as long as the file stays as it is */
};

/* May an answer to req be kept, and one that is kept answer it?  GET or HEAD without a query or a
 * body, from nobody in particular, for the whole. */
bool filter_keep_request(const struct request *req);

/* What the answer to a GET says: FILTER_KEEP_NEVER, FILTER_KEEP_ALWAYS, or for how many seconds.
 * now: since 1970, for Expires. */
int64_t filter_keep_response(const struct response *r, int64_t now);

#endif
