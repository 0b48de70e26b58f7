/*
 * gateway/response_fields.h - which fields of a response reach the client, whoever made it.
 * Pure.
 *
 * Threads  any
 * Source   RFC 9110 5.5, 5.6.2, 7.6.1; RFC 3875 6.3.3
 */
#ifndef GATEWAY_RESPONSE_FIELDS_H
#define GATEWAY_RESPONSE_FIELDS_H

#include "arena.h"

struct response;

/* Give r a list of its fields, in a, without those that belong to one connection, to the
 * gateway or to the framing, and without those that could forge another.  0; or GW_ENO_MEMORY,
 * r unchanged. */
int response_fields_clean(struct arena *a, struct response *r);

#endif
