/*
 * gateway/remote.h - who a request comes from: the connection's peer, or whom a proxy that is
 * trusted speaks for.
 *
 * Everything that asks for the address of a client asks here: logs, applications (REMOTE_ADDR),
 * limits, the turns of queues, deny and allow.
 *
 * Threads  worker
 */
#ifndef GATEWAY_REMOTE_H
#define GATEWAY_REMOTE_H

#include "../conf/cidr.h"
#include "stream.h"

union sockaddr_any;

enum { REMOTE_TEXT = CIDR_TEXT }; /* room for an address as text, with its NUL */

/* Whom a proxy speaks for; in the stream's arena. */
struct remote {
    struct cidr_address address;
    char text[REMOTE_TEXT];
    uint16_t port; /* 0: not known */
};

/* May whoever is at the other end of c say who asks?  Asked once for a connection. */
bool remote_is_trusted(const struct conf_gateway *conf, const struct conn *c);

/* The head of s is complete, and its connection's peer is trusted: set s->remote, and scheme and
 * authority of s->req, by what its fields say (forwarded.h).  0 or GW_ENO_MEMORY. */
int remote_take(struct stream *s, const struct conf_gateway *conf);

/* "192.0.2.1", "2001:db8::1", "unix:". */
const char *remote_text(const struct stream *s);
/* 0: none, or not known. */
uint16_t remote_port(const struct stream *s);
struct cidr_address remote_address(const struct stream *s);

/*
 * Whose requests are one client's, as a number: IPv4 as it is; IPv6 by its first 64 bits, since
 * whoever has one address of a /64 has all of them; 0 for all on a unix socket.
 */
uint64_t remote_key(const struct cidr_address *a);

#endif
