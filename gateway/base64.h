/*
 * gateway/base64.h - RFC 4648 4, strict: padded, nothing else between.  Pure.
 *
 * Threads  any
 */
#ifndef GATEWAY_BASE64_H
#define GATEWAY_BASE64_H

#include "slice.h"

/* Decode in to out, which has room for in.n / 4 * 3 bytes.  The number of bytes, or -1. */
ssize_t base64_decode(struct slice in, char *out);

/* Encode in to out, which has room for BASE64_LEN(in.n) bytes. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
void base64_encode(struct slice in, char *out);

#endif
