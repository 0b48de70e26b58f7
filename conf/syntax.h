/*
 * conf/syntax.h - the text forms of addresses, host names and route patterns.  Pure.
 *
 * Shape    address: host:port, *:port (to listen), [v6]:port, unix:/path, srv:NAME (to connect)
 *          host:    example.org, *.example.org, *, 192.0.2.1, [2001:db8::1]
 *          pattern: = /exact, /prefix/, *.php, /prefix/ *.php (without the space)
 * Result   NULL, or what is wrong, a constant that follows "KEY = VALUE: "
 * Threads  any
 */
#ifndef CONF_SYNTAX_H
#define CONF_SYNTAX_H

#include "conf.h"

enum { SYNTAX_UNIX_MAX = 107 }; /* sun_path with its NUL is 108 bytes, unix(7) */

enum syntax_use { SYNTAX_LISTEN, SYNTAX_CONNECT };

const char *syntax_address(struct slice text, enum syntax_use use);

static inline bool syntax_is_unix(struct slice text)
{
    return slice_starts(text, SLICE("unix:"));
}

static inline bool syntax_is_srv(struct slice text)
{
    return slice_starts(text, SLICE("srv:"));
}

/* Does an address have a name that must be resolved? */
bool syntax_is_name(struct slice address);

const char *syntax_host(struct slice host);

/* A name server: IP, IP:port, [v6], [v6]:port. */
const char *syntax_resolver(struct slice text);

/* Set pattern, exact, prefix and suffix of ret_route; what is not part of text is copied into
 * the arena.  text stays borrowed. */
const char *syntax_pattern(struct arena *arena, struct slice text,
                           struct conf_route *ret_route);

#endif
