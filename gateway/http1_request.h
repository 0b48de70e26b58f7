/*
 * gateway/http1_request.h - from a parsed head to the struct request that routes and handlers
 * see.
 *
 * Result   0, or GW_ENO_MEMORY with the request half filled
 * Threads  worker
 * Memory   the head's bytes are copied once, into the stream's arena; all slices point there
 * Source   RFC 9112 3.2, 3.3, 6.3
 */
#ifndef GATEWAY_HTTP1_REQUEST_H
#define GATEWAY_HTTP1_REQUEST_H

#include "conn.h"
#include "h1parse.h"

/* The request line as far as it is known, for an answer and the logs.  bytes[0..head->at) is
 * what the parser read; *ret_bytes is its copy. */
int http1_request_line(struct stream *s, const struct h1_head *head, const uint8_t *bytes,
                       struct slice *ret_bytes);

/* All of a complete head; bytes is the copy. */
int http1_request_fill(struct stream *s, const struct h1_head *head, struct slice bytes);

/* Why nobody but us may answer this request: GW_EREQ_METHOD, GW_EREQ_EXPECT; or 0. */
int http1_request_refusal(const struct stream *s, const struct h1_head *head);

#endif
