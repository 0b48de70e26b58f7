/*
 * gateway/cache_control.h - what the Cache-Control fields of an answer say together.  Pure.
 *
 * Units    seconds
 * Threads  any
 * Source   RFC 9111 4.2.1, 5.2.1.6, 5.2.2
 */
#ifndef GATEWAY_CACHE_CONTROL_H
#define GATEWAY_CACHE_CONTROL_H

#include "slice.h"

struct cache_control {
    bool no_store, no_cache, is_private; /* with or without a list of fields */
    bool no_transform;                   /* of requests, too */
    bool stale;                          /* an age that is none: stale at once */
    int64_t max_age, s_maxage;           /* -1: not said */
};

/* All of Cache-Control among fields.  Of an age that is said twice the last counts. */
struct cache_control cache_control_of(const struct field *fields, size_t n);

#endif
