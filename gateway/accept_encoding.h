/*
 * gateway/accept_encoding.h - which content codings a client takes, and which of those at hand
 * it gets.  Pure.
 *
 * Shape    Accept-Encoding: gzip;q=0.8, br, *;q=0.1 in one field or several
 * Units    qualities in thousandths, 0 to 1000 (RFC 9110 12.4.2)
 * Threads  any
 * Memory   none
 * Source   RFC 9110 8.4.1, 12.4.2, 12.5.3; RFC 7932 (br), RFC 8878 (zstd)
 *
 * An element that is no coding with at most a quality is skipped, the others count.  Of a coding
 * named twice the first counts.  "x-gzip" is gzip (8.4.1.3).
 */
#ifndef GATEWAY_ACCEPT_ENCODING_H
#define GATEWAY_ACCEPT_ENCODING_H

#include "../conf/compress.h"
#include "slice.h"

/* A set of them, to be or-ed. */
#define CODING_BIT(coding) (1u << (coding))

/* The registered name: the value of Content-Encoding; "identity". */
struct slice coding_name(enum coding c);

/* The coding of that name, any case, x-gzip too; CODINGS if we know none. */
enum coding coding_of(struct slice name);

/* What a client takes. */
struct accept_encoding {
    uint16_t q[CODINGS]; /* 0: it does not want it */
};

/*
 * The fields called Accept-Encoding among fields.  Without one, identity alone: 12.5.3 allows
 * any coding then, but clients that do not ask for one cannot undo it.  identity that is neither
 * named nor met by "*" is acceptable and comes last: its quality is 1, the least.
 */
void accept_encoding_read(const struct field *fields, size_t n, struct accept_encoding *ret);

/*
 * Which of the codings in offered (CODING_BIT; identity is always at hand) the client gets: the
 * one of the highest quality, of several the first in enum coding's order.  Where the client
 * wants none of them, identity: 12.5.3 and 12.1 let a server disregard the field, and a page that
 * can be read helps more than 406.
 */
enum coding accept_encoding_pick(const struct accept_encoding *a, unsigned offered);

#endif
