/*
 * gateway/h1chunk.h - a chunked body taken apart, strictly and in any number of pieces.  Pure:
 * no I/O, no allocation, no clock.
 *
 * Shape    *(size [extensions] CRLF data CRLF) 0 [extensions] CRLF *(trailer CRLF) CRLF
 *          Extensions and trailers are checked, bounded and dropped
 * Units    bytes
 * Result   > 0 bytes consumed, 0 when in is empty or the body is over, < 0 enum gw_err.  The
 *          same bytes give the same data and result however they are split
 * Threads  any, one at a time
 * Memory   data points into in[]
 * Source   RFC 9112 7.1
 */
#ifndef GATEWAY_H1CHUNK_H
#define GATEWAY_H1CHUNK_H

#include "slice.h"

enum {
    H1_CHUNK_DIGITS = 16,            /* of a size, zeros in front included */
    H1_CHUNK_EXTENSIONS = 16 * 1024, /* bytes of extensions beyond those of data (below) */
    H1_CHUNK_TRAILERS = 16 * 1024,   /* bytes of all trailers */
    H1_CHUNK_TRAILER_FIELDS = 100,   /* how many they may be */
};

/* Zeroed is the start state. */
struct h1_chunked {
    uint64_t left;       /* of the chunk under way; its size while that is read */
    uint64_t total;      /* data so far, this chunk included */
    uint32_t extensions; /* bytes of them not yet outweighed by data */
    uint32_t trailers;   /* bytes of them */
    uint32_t n_trailers; /* fields of them */
    uint8_t state;       /* the decoder's own */
    uint8_t n_digits;    /* of the size under way */
};

/*
 * Take some bytes off in[0..len), at most one run of data among them, which is *ret_data (n may
 * be 0).  Call again with the rest until all is taken or h1_chunked_done().
 *
 * GW_EBODY_SYNTAX     not chunks; or a size, a sum of sizes or the extensions over their bounds
 * GW_EREQ_HEAD_LARGE  trailers over their bounds
 */
ssize_t h1_chunked_next(struct h1_chunked *k, const uint8_t *in, size_t len,
                        struct slice *ret_data);

bool h1_chunked_done(const struct h1_chunked *k);

#endif
