/*
 * conf/cidr.h - addresses of clients, and blocks of them as the INI writes them.
 *
 *     192.0.2.1  192.0.2.0/24  2001:db8::/32  unix:  all
 *
 * An IPv4 address that comes in IPv6's dress (::ffff:192.0.2.1, RFC 4291 2.5.5.2: what a
 * dual-stack socket gives) is the IPv4 address everywhere, so that no rule is dodged by it.
 * ::/0 is all of IPv6 and nothing of IPv4; "all" is everything, unix sockets too.
 *
 * Pure: no I/O, no allocation, no clock.
 * Threads  any; cidr_set_build on whoever fills the set
 * Source   RFC 4632 3.1, RFC 4291 2.2, 2.3
 */
#ifndef CONF_CIDR_H
#define CONF_CIDR_H

#include <sys/socket.h>

#include "../gateway/slice.h"

/* Their order is that of a sorted set. */
enum cidr_family {
    CIDR_ANY, /* blocks: "all"; addresses: of a family that is none of these, in no other block */
    CIDR_UNIX, /* a unix socket: all its clients are one */
    CIDR_V4,
    CIDR_V6,
};

struct cidr_address {
    enum cidr_family family;
    uint8_t ip[16]; /* network order; of IPv4 the first four, the rest is zero */
};

struct cidr {
    struct cidr_address address; /* the bits behind the prefix are zero */
    unsigned bits;               /* of the prefix: 0 to 32 or 128; 0 for all and unix: */
};

enum { CIDR_TEXT = 48 }; /* room for any block as text, with its NUL */

/* The address of a socket's end. */
struct cidr_address cidr_address_of(const struct sockaddr *sa);

/* "192.0.2.1", "2001:db8::1"; no brackets, zone or port.  false: not an address. */
bool cidr_address_parse(struct slice text, struct cidr_address *ret_address);

/* Without a length, a block of one address.  NULL, or what is wrong: a constant. */
const char *cidr_parse(struct slice text, struct cidr *ret_block);

/* As it would be written. */
void cidr_address_text(const struct cidr_address *a, char out[CIDR_TEXT]);
void cidr_text(const struct cidr *c, char out[CIDR_TEXT]);

/* Is a in c?  Does outer hold all of inner? */
bool cidr_has(const struct cidr *c, const struct cidr_address *a);
bool cidr_covers(const struct cidr *outer, const struct cidr *inner);

/*
 * Blocks that say something of their addresses; where they nest, the longest prefix speaks.
 * Sorted, each with the way to the smallest block around it: a look-up is a binary search and a
 * walk outwards, whatever the number of blocks.
 */
struct cidr_rule {
    struct cidr block;
    int says;  /* the caller's */
    int outer; /* index of the smallest block around this one, -1: none; cidr_set_build's */
};

struct cidr_set {
    struct cidr_rule *rules;
    unsigned n;
};

/* Sort the rules, drop those said twice, link them.  NULL, or the first rule that has the block
 * of another but says something else; the set is of no use then. */
const struct cidr_rule *cidr_set_build(struct cidr_set *set);

/* The rule for a, or NULL. */
const struct cidr_rule *cidr_set_find(const struct cidr_set *set, const struct cidr_address *a);

#endif
