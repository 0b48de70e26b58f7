/*
 * gateway/accept.h - which of a few media types a client would rather have.  Pure.
 *
 * Shape    Accept: text/html, application/json;q=0.9, text/plain;q=0
 * Result   what is malformed in the field is passed over, as if it were not there
 * Threads  any
 * Source   RFC 9110 12.5.1 (media ranges, which of them applies), 12.4.2 (weights)
 */
#ifndef GATEWAY_ACCEPT_H
#define GATEWAY_ACCEPT_H

#include "slice.h"

enum { ACCEPT_Q_MOST = 1000 }; /* weights are in thousandths */

/*
 * The index of the offer with the greatest weight; -1: the client wants none of them.  Of several
 * the one that the more specific range names (many programs ask for application/json with
 * everything else as good), then the first.  offers are in the server's order of preference, in
 * lower case and without parameters; each is in UTF-8, so that a range with another charset does
 * not mean it.  Without a media range in any Accept field the client takes anything.
 */
int accept_pick(const struct field *fields, size_t n_fields, const struct slice *offers,
                size_t n_offers);

/* The weight that one value of Accept gives type, in thousandths; -1: it names no range. */
int accept_weight(struct slice accept, struct slice type);

#endif
