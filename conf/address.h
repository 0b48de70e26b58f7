/*
 * conf/address.h - the text forms of addresses, host names and route patterns.  Pure.
 *
 * Shape    address: host:port, *:port (to listen), [v6]:port, unix:/path
 *          host:    example.org, *.example.org, *, 192.0.2.1, [2001:db8::1]
 *          pattern: = /exact, /prefix/, *.php, /prefix/ *.php (without the space)
 * Result   NULL, or what is wrong, a constant that follows "KEY = VALUE: "
 * Threads  any
 */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include "conf.h"

enum { ADDRESS_UNIX_MAX = 107 }; /* sun_path with its NUL is 108 bytes, unix(7) */

enum address_use { ADDRESS_LISTEN, ADDRESS_CONNECT };

const char *address_check(struct slice text, enum address_use use);

static inline bool address_is_unix(struct slice text)
{
    return slice_starts(text, SLICE("unix:"));
}

const char *address_host_check(struct slice host);

/* Set pattern, exact, prefix and suffix of ret_route; what is not part of text is copied into
 * the arena.  text stays borrowed. */
const char *address_pattern(struct arena *arena, struct slice text,
                            struct conf_route *ret_route);

#endif
