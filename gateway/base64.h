/*
 * gateway/base64.h - RFC 4648 4 decoding, strict: padded, nothing else between.  Pure.
 *
 * Threads  any
 */
#ifndef GATEWAY_BASE64_H
#define GATEWAY_BASE64_H

#include "slice.h"

/* Decode in to out, which has room for in.n / 4 * 3 bytes.  The number of bytes, or -1. */
ssize_t base64_decode(struct slice in, char *out);

#endif
