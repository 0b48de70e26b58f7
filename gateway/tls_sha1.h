/*
 * gateway/tls_sha1.h - SHA-1, which the handshake of WebSocket wants (RFC 6455 1.3).  It proves
 * nothing there but that the answer is one to the question.
 *
 * Threads  any
 */
#ifndef GATEWAY_TLS_SHA1_H
#define GATEWAY_TLS_SHA1_H

#include "slice.h"

enum { TLS_SHA1_LEN = 20 };

/* false: the library could not (out of memory, or forbidden by its configuration). */
bool tls_sha1(struct slice in, uint8_t ret[TLS_SHA1_LEN]);

#endif
