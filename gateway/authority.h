/*
 * gateway/authority.h - is it a host, with or without a port: the value of Host and :authority,
 * and the authority of an absolute target.  Pure.
 *
 * Shape    host [ ":" [ port ] ]; host is a name, an IPv4 address or an IPv6 address in
 * brackets and never empty (RFC 9110 4.2.1); port is 0 to 65535.  No userinfo (RFC 9110 4.2.4)
 * Threads  any
 * Source   RFC 3986 3.2.2, 3.2.3
 */
#ifndef GATEWAY_AUTHORITY_H
#define GATEWAY_AUTHORITY_H

#include "slice.h"

bool authority_valid(struct slice s);

/* The same, and there is a port (the target of CONNECT, RFC 9112 3.2.3). */
bool authority_has_port(struct slice s);

#endif
