/*
 * gateway/ranges.h - the value of a Range field, for a representation of known size.  Pure.
 *
 * Shape    bytes=0-499,1000-,-500
 * Units    bytes; positions up to INT64_MAX, what is beyond any file is as far as there is one
 * Threads  any
 * Memory   none
 * Source   RFC 9110 14.1.1, 14.1.2, 14.2, 15.3.7, 17.15
 */
#ifndef GATEWAY_RANGES_H
#define GATEWAY_RANGES_H

#include "slice.h"

/* A field that names more is ignored (14.2, 17.15): whoever wants as many pieces gets the whole. */
enum { RANGES_MAX = 64 };

struct range {
    int64_t first, n; /* n >= 1 */
};

/* Within the size, none touching another, so never more bytes than there are.  In the order of
 * the client's; one that was made of several is where the first of them was (15.3.7.2). */
struct ranges {
    unsigned n;
    struct range at[RANGES_MAX];
};

enum range_kind {
    RANGE_WHOLE,         /* a field to be ignored: 200 */
    RANGE_PART,          /* 206; at least one range */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* ret_ranges is set for RANGE_PART only, and then of n and as many ranges. */
enum range_kind ranges_parse(struct slice value, int64_t size, struct ranges *ret_ranges);

#endif
