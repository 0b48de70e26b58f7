/*
 * gateway/authorizer_vars.h - what an authorizer's Variable- fields may set.  Pure.
 *
 *     Variable-AUTH_METHOD: database lookup   ->   AUTH_METHOD=database lookup
 *
 * Names     upper case, a hyphen is an underscore: field names have no case, and libraries
 *           rewrite it (Go sends Variable-Auth_method).  Letters, digits and underscores, no
 *           digit first, at most AUTHORIZER_VAR_MAX bytes
 * Refused   what the gateway says of a request itself, but for REMOTE_USER and AUTH_TYPE, which
 *           are an authorizer's to say; and what would make a program run other code than its
 *           own: LD_PRELOAD, PERL5OPT, PHP_ADMIN_VALUE ...
 * Threads   any
 * Source    FastCGI 6.3
 */
#ifndef GATEWAY_AUTHORIZER_VARS_H
#define GATEWAY_AUTHORIZER_VARS_H

#include "arena.h"

enum { AUTHORIZER_VAR_MAX = 256 };

enum authorizer_var {
    AUTHORIZER_VAR,         /* *ret_name is set, in a */
    AUTHORIZER_VAR_NONE,    /* not a Variable- field */
    AUTHORIZER_VAR_REFUSED, /* not a name, or not an authorizer's to set */
    AUTHORIZER_VAR_NO_MEMORY,
};

/* The variable that a response field called field sets. */
enum authorizer_var authorizer_var_name(struct arena *a, struct slice field,
                                        struct slice *ret_name);

#endif
