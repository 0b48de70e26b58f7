/*
 * gateway/cache_control.h - what the Cache-Control fields of an answer say together.  Pure.
 *
 * Units    seconds
 * Threads  any
 * Source   RFC 9111 4.2.1, 5.2.2
 */
#ifndef GATEWAY_CACHE_CONTROL_H
#define GATEWAY_CACHE_CONTROL_H

#include "slice.h"

struct cache_control {
    bool no_store, no_cache, is_private; /* with or without a list of fields */
    bool stale;                          /* an age that is none: stale at once */
    int64_t max_age, s_maxage;           /* -1: not said */
};

struct cache_control cache_control_of(const struct field *fields, size_t n);

#endif
