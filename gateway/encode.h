/*
 * gateway/encode.h - the bodies of responses on their way through a content coding.
 *
 *     handler -> stream_send_body -> encoder -> stream_out -> protocol
 *
 * Every body passes here, whoever made it, once its head was judged (compress.h).  What a slow
 * client does not take waits in front of the encoder, as it came from the application; behind it
 * waits no more than STREAM_ENCODED_HIGH.
 *
 * Flush    as soon as the stream got nothing new for a whole turn of the loop, all it got is let
 *          out: an application that waits for its client's answer gets one, and one that
 *          writes a lot in small pieces is not flushed for each of them
 * Head     is held back until the codec took the first of the body, so that one that fails with
 *          it, as for want of memory, leaves a response that goes as it is; where the length is
 *          not known, until compress_min bytes are there, or the end; and in either case no
 *          longer than to such a pause.  (Most of what br holds it takes with the 64th KiB or the
 *          end: a failure there cuts the response.)
 * Turns    a worker encodes ENCODE_TURN bytes in a turn, and no longer than for ENCODE_TURN_US
 *          and the piece that was begun (codec_piece); what is more waits for its next one,
 *          first come, first served, and its handler is told that the stream is full
 * Memory   all workers' codecs count against one budget, by what one of their kind holds at
 *          most.  Over it responses go out as they are, and are counted
 * Threads  worker, but for the budget
 */
#ifndef GATEWAY_ENCODE_H
#define GATEWAY_ENCODE_H

#include <stdatomic.h>

#include "codec.h"
#include "loop.h"

struct stream;
struct response;
struct encoder;

enum {
    ENCODE_TURN = 128 * 1024, /* bytes that go in; about 3 ms of gzip at level 5, but 20 at 9 */
    ENCODE_TURN_US = 4000,
    ENCODE_OUT = 16 * 1024, /* bytes that come out at a time */
};

/* Field keys:  I set at init   a atomic */
struct encode_budget {
    size_t limit;       /* I */
    atomic_size_t used; /* a  relaxed: a sum */
};

/* Those of one worker.  Field keys:  I set at init   o the worker's thread */
struct encoders {
    struct loop *loop;            /* I */
    struct encode_budget *budget; /* I */
    struct loop_task task;        /* o */
    struct encoder *first, *last; /* o  to be looked at at the end of a turn */
    unsigned turn;                /* o  looks so far */
    size_t left;                  /* o  bytes that this turn may take */
    uint64_t spent_us;            /* o  time it took so far */
    unsigned n_waiting;           /* o  encoders with bytes that wait for their turn */
    struct codec *spare[CODINGS]; /* o  of responses that ended, for the next of the level */
    int spare_level[CODINGS];     /* o */
    uint8_t out[ENCODE_OUT];      /* o */
};

/* budget is all workers', and outlives them. */
void encoders_init(struct encoders *es, struct loop *loop, struct encode_budget *budget);
void encoders_fini(struct encoders *es); /* no stream is left */

/* ---- for stream.c ---- */

/* r is about to go out on s, whose route compresses: r is changed if it must be, and s gets an
 * encoder if its body is.  0: send r; 1: it is held back, and goes by itself; or a gw_err. */
int encode_head(struct stream *s, struct response *r);

/* More body for the encoder s has, which may be gone after it.  0 or a gw_err. */
int encode_put(struct stream *s, const void *p, size_t n);

/* Bytes that wait for their turn. */
size_t encode_waiting(const struct stream *s);

/* They are so many, or so much waits behind the encoder, that the handler stopped: it will be
 * told when it may go on. */
void encode_hold_up(struct stream *s);

/* The body is complete.  0: all of it is in stream_out; 1: it will be, and then its end; or a
 * gw_err. */
int encode_finish(struct stream *s);

/* Is its head held back?  Then something else can be answered still. */
bool encode_is_held(const struct stream *s);

/* The stream ends, or is given up: drop what it has. */
void encode_drop(struct stream *s);

#endif
