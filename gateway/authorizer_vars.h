/*
 * gateway/authorizer_vars.h - what an authorizer's Variable- fields may set.  Pure.
 *
 *     Variable-AUTH_METHOD: database lookup   ->   AUTH_METHOD=database lookup
 *     Variable-Auth-Method: database lookup   ->   the same, and Auth-Method=database lookup
 *
 * Names     upper case, a hyphen is an underscore: field names have no case, and libraries
 *           rewrite it (Go sends Variable-Auth_method).  And as spelled, where that is another
 *           name: applications behind Shibboleth ask for eppn and Shib-Session-ID.  Letters,
 *           digits, underscores and hyphens, no digit first, at most AUTHORIZER_VAR_MAX bytes
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
    AUTHORIZER_VAR,         /* *ret_name is set, in a, and *ret_spelled */
    AUTHORIZER_VAR_NONE,    /* not a Variable- field */
    AUTHORIZER_VAR_REFUSED, /* not a name, or not an authorizer's to set */
    AUTHORIZER_VAR_NO_MEMORY,
};

/* The variable that a response field called field sets; *ret_spelled borrows of field. */
enum authorizer_var authorizer_var_name(struct arena *a, struct slice field,
                                        struct slice *ret_name, struct slice *ret_spelled);

/* Are they one name, in whatever spelling? */
bool authorizer_var_same(struct slice a, struct slice b);

#endif
