/*
 * gateway/multipart.h - what stands around the parts of a multipart/byteranges body.  Pure.
 *
 * Shape    text[0] part text[1] part ... text[n]
 * Units    bytes
 * Threads  any
 * Memory   the texts are in the arena
 * Source   RFC 9110 14.6, 15.3.7.2; RFC 2046 5.1.1
 */
#ifndef GATEWAY_MULTIPART_H
#define GATEWAY_MULTIPART_H

#include "arena.h"
#include "ranges.h"

enum { MULTIPART_BOUNDARY = 16 };

struct multipart {
    struct slice type;                 /* Content-Type of the whole */
    struct slice text[RANGES_MAX + 1]; /* before each part, and behind the last */
    int64_t length;                    /* of the whole body */
};

/*
 * For ranges of a representation of that type and size.  boundary is random: who writes a file
 * must not be able to put into it what would pass for a part of its own.  0, GW_ENO_MEMORY, or
 * GW_EFILE: it would be longer than INT64_MAX.
 */
int multipart_init(struct multipart *m, struct arena *a, const struct ranges *ranges,
                   struct slice type, int64_t size,
                   const unsigned char boundary[MULTIPART_BOUNDARY]);

#endif
