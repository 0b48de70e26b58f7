/*
 * gateway/request.h - the parts and conditions that a request asks for (RFC 9110 13.1, 14.2),
 * where somebody else is to answer it.  Pure.
 *
 * Threads  worker
 */
#ifndef GATEWAY_REQUEST_H
#define GATEWAY_REQUEST_H

#include "stream.h"

bool request_has_conditions(const struct request *req);

/* They are for the resource that the client named and an answer of 200: take the fields out. */
void request_drop_conditions(struct request *req);

#endif
