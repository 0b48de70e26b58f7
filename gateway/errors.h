/*
 * gateway/errors.h - the standard reason phrases.
 *
 * Threads  any; pure
 * Source   RFC 9110 15 and the IANA registry of HTTP status codes
 */
#ifndef GATEWAY_ERRORS_H
#define GATEWAY_ERRORS_H

#include "slice.h"

/* "Not Found" for 404; empty for a status without a standard phrase.  Static memory. */
struct slice http_reason(int status);

#endif
