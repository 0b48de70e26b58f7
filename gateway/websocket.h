/*
 * gateway/websocket.h - the opening handshake of WebSocket: what a client has to say, and what it
 * is answered.
 *
 * Over HTTP/1.1 it is GET with Upgrade: websocket (RFC 6455 4.2); over HTTP/2 CONNECT with
 * :protocol = websocket (RFC 8441 4), which has no key.  An application need not know which: a
 * key is made up for it, and its answer to that one looked at likewise.  The frames that follow
 * are its own business.
 *
 * Threads  worker
 * Memory   all in the stream's arena
 * Source   RFC 6455 4.2, 11.3; RFC 8441 4, 5; RFC 9110 7.8
 */
#ifndef GATEWAY_WEBSOCKET_H
#define GATEWAY_WEBSOCKET_H

#include "stream.h"

/* Does the client ask for it?  Not over HTTP/1.0, whose Upgrade is to be ignored (RFC 9110 7.8).
 */
bool websocket_is_asked(const struct stream *s);

/*
 * Is what it says a handshake?  0: s has a Sec-WebSocket-Key, the client's or one of ours.
 * GW_ENO_MEMORY; GW_EWEBSOCKET, with *ret_why what is wrong, or GW_EWEBSOCKET_VERSION: the client
 * is to be told of our version by websocket_refuse().
 */
int websocket_check(struct stream *s, const char **ret_why);

/* Answer what websocket_check() said. */
void websocket_refuse(struct stream *s, int err, const char *why);

/*
 * Make the application's 101 the client's: Sec-WebSocket-Accept is added where it is missing, and
 * left out over HTTP/2.  r->fields is replaced.  0; GW_ECGI_WEBSOCKET: it is the answer to another
 * key; GW_ENO_MEMORY; GW_EINTERNAL: the library has no SHA-1.
 */
int websocket_answer(struct stream *s, struct response *r);

#endif
