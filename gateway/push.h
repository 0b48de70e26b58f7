/*
 * gateway/push.h - push = on: what a page's Link fields name is sent along before the client asks.
 *
 * Which      links with rel=preload and without nopush, whose target is a path, absolute or as seen
 *            from the page, or a URL of the same scheme and authority; PUSH_LINKS of one head
 * When       with a final head with 200, or a 103, to a GET over HTTP/2 that is neither conditional
 *            nor for a range, and was not pushed itself.  Not on connections of trusted proxies,
 *            who speak for many clients
 * What then  the request that is made up goes the way of any other, with the urgency below its
 *            page's; it has Accept-Encoding, Accept-Language and User-Agent of the page's, but
 *            nothing that says who asks.  Any answer but 200 is not sent.  See http2_push.c for
 *            how many
 *
 * Threads  worker
 * Source   RFC 9113 8.4; RFC 3986 5.2; W3C Preload 3.3 for nopush
 */
#ifndef GATEWAY_PUSH_H
#define GATEWAY_PUSH_H

#include "stream.h"

enum { PUSH_LINKS = 16 };

/* fields go out as a head of s, whose route has push = on. */
void push_links(struct stream *s, const struct field *fields, size_t n_fields);

#endif
