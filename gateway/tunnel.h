/*
 * gateway/tunnel.h - a stream that has become raw bytes both ways: a WebSocket.
 *
 * What the client sends is s->in, what stream_send_body() takes goes to it, both as they come and
 * under the same back-pressure as bodies.  Over HTTP/1.1 the connection is the stream's from here
 * on; over HTTP/2 the bytes are those of DATA frames.  Each side may end by itself: the client's
 * end is s->in_eof, ours stream_finish(), which is END_STREAM, or the end of the connection.
 *
 * Times    those made for bodies do not count: it may be silent for websocket_timeout, and any byte
 *          in either direction begins that anew.  When the gateway drains, the application is told
 *          at half of drain_timeout that the client has ended; all of it is what it may take
 * Threads  worker
 * Memory   in the stream's arena
 */
#ifndef GATEWAY_TUNNEL_H
#define GATEWAY_TUNNEL_H

#include "stream.h"

struct tunnel {
    uint64_t timeout_ms; /* how long it may be silent */
    uint64_t moved;      /* bytes both ways, at the last look, */
    uint64_t moved_ms;   /* and since when they are so many */
    uint64_t drains_ms;  /* since when the gateway drains; 0: it does not */
    bool ended;          /* the application was told of that */
};

/* Send r, with status 101, as the head, and go over to raw bytes.  0, GW_ENO_MEMORY, or a negative
 * gw_err after which the stream has been aborted. */
int tunnel_open(struct stream *s, const struct response *r, int64_t timeout_ms);

/* The connection's timer: out is what the client took so far.  Ends it if it is over its time;
 * else lowers *next to when to look again. */
void tunnel_look(struct stream *s, uint64_t out, uint64_t now_ms, uint64_t *next);

#endif
