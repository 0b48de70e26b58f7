/*
 * gateway/stream_error.h - between stream.c (a stream's life) and stream_error.c (how it fails).
 * What others call is in stream.h.
 *
 * Threads  worker
 */
#ifndef GATEWAY_STREAM_ERROR_H
#define GATEWAY_STREAM_ERROR_H

#include "stream.h"

/* Give up: nobody hears of s any more but the protocol, which ends it.  A handler is told by
 * closed(). */
void stream_abort(struct stream *s, int err);

/* The line of the error log that says how s failed. */
void stream_log_error(struct stream *s, int err);

#endif
