/*
 * gateway/forwarded.h - whom a proxy speaks for, from the fields of a request: Forwarded
 * (RFC 7239), or X-Forwarded-For with X-Forwarded-Proto and X-Forwarded-Host.  Pure: no I/O, no
 * allocation, no clock.
 *
 * Walk     each proxy adds the address it got the request from at the right end.  So the right
 *          one is true if our peer is to be trusted, the next one if that address is a trusted
 *          proxy's too, and so on: the client is the first from the right that is not.  What is
 *          left of it is what the client wrote.  Where an address is not one ("unknown", "_gw1",
 *          garbage), the walk ends at the one before
 * Quotes   of Forwarded are read from the right, too: a quote that the client left open in its
 *          part must not swallow what a proxy put behind it.  An element with a backslash, with
 *          which that could not be told, is garbage; no proxy has use for one
 * Threads  any
 * Memory   the slices point into the fields
 */
#ifndef GATEWAY_FORWARDED_H
#define GATEWAY_FORWARDED_H

#include "../conf/conf.h"

struct forwarded {
    bool known; /* address and port are set; else nobody but the peer is known */
    struct cidr_address address;
    uint16_t port; /* 0: not said */
    /* What the proxy that the client reached says of that: "http" or "https", Host.  Empty: not
     * said, or not valid. */
    struct slice proto, host;
};

/* The peer is trusted, and so is who is in trusted; field is not CONF_TRUST_NONE. */
void forwarded_walk(const struct field *fields, size_t n_fields, enum conf_trusted_field field,
                    const struct cidr_set *trusted, struct forwarded *ret);

#endif
