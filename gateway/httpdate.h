/*
 * gateway/httpdate.h - dates in header fields.  Pure.
 *
 * Units    seconds since 1970, UTC
 * Threads  any
 * Source   RFC 9110 5.6.7
 */
#ifndef GATEWAY_HTTPDATE_H
#define GATEWAY_HTTPDATE_H

#include "slice.h"

enum { HTTPDATE_LEN = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* IMF-fixdate of t into out[HTTPDATE_LEN + 1]; for years 1970 to 9999, others are cut to them.
 */
struct slice httpdate_format(char out[HTTPDATE_LEN + 1], int64_t t);

/* Any of the three forms: IMF-fixdate, RFC 850, asctime.  -1 if it is none of them.  now tells
 * which century a two-digit year is of. */
int64_t httpdate_parse(struct slice text, int64_t now);

#endif
