/*
 * gateway/errors.h - standard reason phrases, and the page that goes with an error status.
 *
 * The page tells the client the status and no detail of the inside: what went wrong is in the
 * error log.  Everything that answers with an error, before or after a site is known and
 * whichever protocol carries it, takes its body from here.
 *
 * Threads  any; pure but for the arena
 * Source   RFC 9110 15 and the IANA registry of HTTP status codes
 */
#ifndef GATEWAY_ERRORS_H
#define GATEWAY_ERRORS_H

#include "arena.h"

/* "Not Found" for 404; empty for a status without a standard phrase.  Static memory. */
struct slice http_reason(int status);

/*
 * The body for status, in a (n = 0 when memory is out: an answer without a body is still an
 * answer), and its media type (static).
 */
struct slice error_page(struct arena *a, int status, struct slice *ret_content_type);

#endif
