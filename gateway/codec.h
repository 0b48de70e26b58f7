/*
 * gateway/codec.h - content codings as streams: gzip, br and zstd behind one set of calls.
 * Pure: no I/O, no clock.
 *
 * Units    bytes
 * Result   0 or 1, or GW_ECODEC, after which the codec can only be freed
 * Threads  one at a time
 * Memory   a codec holds what its library takes, at most codec_cost().  The windows are bounded
 *          (gzip 32 KiB, br and zstd 256 KiB): what larger ones would save of a page is small,
 *          what they cost in each of many responses is not
 * Source   RFC 1952, RFC 7932, RFC 8878; RFC 9110 8.4.1
 */
#ifndef GATEWAY_CODEC_H
#define GATEWAY_CODEC_H

#include <stdbool.h>

#include "../conf/compress.h"
#include "slice.h"

struct codec;

enum codec_op {
    CODEC_RUN,   /* take what is there; it may stay inside */
    CODEC_FLUSH, /* let out all that was taken: a decoder gets every byte so far */
    CODEC_END,   /* the same, and the end of the stream */
};

/* A codec for one response of size bytes (-1: unknown), which is exact where it is known, or
 * NULL: memory is out.  level is the library's own, within what the configuration allows. */
struct codec *codec_new(enum coding coding, int level, int64_t size);
void codec_free(struct codec *c);

/* Begin another response with the memory of this one, if the library can.  false: it can only
 * be freed. */
bool codec_restart(struct codec *c, int level, int64_t size);

/*
 * Take bytes from the front of *in and write up to room of them to out, *ret_n of them.
 * 1: all of *in was taken and op is done.  0: out is full; call again with the same op and the
 * rest of *in.
 */
int codec_step(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out, size_t room,
               size_t *ret_n);

/* The most to be handed in at once by who has others waiting, so that he can look at the clock
 * between the steps. */
size_t codec_piece(enum coding coding, int level);

enum coding codec_coding(const struct codec *c);

/* What it holds now, and the most that one of this coding and level ever does. */
size_t codec_held(const struct codec *c);
size_t codec_cost(enum coding coding, int level);

#endif
