/*
 * gateway/stream_out.h - the body on its way to the client: stream_out.c keeps what the protocol
 * has not yet taken and says when there is room.  What handlers call is in stream.h; this is
 * for stream.c and for encode.c, which decides when a head and what body goes out.  None of
 * these asks whether the stream was finished.
 *
 * Threads  worker
 */
#ifndef GATEWAY_STREAM_OUT_H
#define GATEWAY_STREAM_OUT_H

#include "stream.h"

/* The head is the protocol's.  0 or a gw_err. */
int stream_pass_head(struct stream *s, const struct response *r);

/* p[0..n) is behind what waits for the client.  0 or GW_ENO_MEMORY. */
int stream_pass_body(struct stream *s, const void *p, size_t n);

/* Nothing follows. */
void stream_pass_end(struct stream *s);

/* The handler was told that s is full, and what was the reason is gone: it may go on, now or,
 * if too much waits for the client, when that took some. */
void stream_pass_room(struct stream *s);

/* Its head is held back and can be another one: s is as before it was answered.  false: it went
 * out, or there is none. */
bool stream_take_back(struct stream *s);

/* s cannot go on: its line in the log, its end; or an error page, where its head was held back. */
void stream_fail(struct stream *s, int err);

#endif
