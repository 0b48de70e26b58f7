/*
 * gateway/proxyproto.h - the header that a proxy puts in front of a connection to say whose it
 * is: the PROXY protocol, versions 1 and 2.  Pure: no I/O, no allocation, no clock.
 *
 * Shape    v1: a line of text, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
 *          v2: 12 bytes of signature | version, command | family | length | addresses | TLVs
 * Strict   what is not exactly one of the forms is refused: the header decides whom everything
 *          behind it is believed to come from.  A checksum (PP2_TYPE_CRC32C) that is there must
 *          be right, and the values whose meaning is fixed must have the shape they are to have
 * Units    lengths in bytes
 * Threads  any
 * Source   "The PROXY protocol", HAProxy, doc/proxy-protocol.txt, 2.1 and 2.2
 */
#ifndef GATEWAY_PROXYPROTO_H
#define GATEWAY_PROXYPROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sockaddr.h"

enum {
    PROXY_V1_MAX = 107, /* with its CR LF: 2.1 */
    PROXY_V2_HEAD = 16, /* up to and with the length */
    PROXY_MAX = 4096,   /* of a whole header: addresses are 216 at most, a certificate's name
                            and the like a few hundred */
};

struct proxy_header {
    unsigned version; /* 1, 2 */
    bool local;       /* the proxy speaks for itself: a health check */
    bool known;       /* from and to are what the proxy says; else (UNKNOWN, UNSPEC, LOCAL) they
                         are not set, and the client cannot be told */
    bool tls;         /* the client reached the proxy over TLS (PP2_TYPE_SSL) */
    union sockaddr_any from, to; /* AF_UNIX: the family only */
};

/*
 * Read the header at the front of in[0..len).  > 0: the bytes it takes; 0: needs more; < 0: it
 * is none, *ret_why says what is wrong, a constant.  *ret_header is written when the result is
 * > 0.
 */
ssize_t proxy_header_parse(const uint8_t *in, size_t len, struct proxy_header *ret_header,
                           const char **ret_why);

#endif
