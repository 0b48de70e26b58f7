/*
 * conf/rewrite.h - one rule of rewrite: PATTERN TARGET [last | break | redirect | permanent].
 *
 * Threads  one at a time
 * Memory   in the arena
 */
#ifndef CONF_REWRITE_H
#define CONF_REWRITE_H

#include "conf.h"
#include "vars.h"

/* A path is one line, whatever bytes it has: "." is any, "$" its end. */
#define REWRITE_PCRE2_OPTIONS (PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY)

enum conf_rewrite_then {
    CONF_REWRITE_NEXT,  /* the next rule sees what this one made */
    CONF_REWRITE_LAST,  /* no further rule of this section */
    CONF_REWRITE_BREAK, /* nor of the route that is found */
};

struct conf_rewrite {
    struct slice pattern;  /* a regular expression of PCRE2, on the decoded path */
    const struct vars *to; /* path?query, or a URL */
    bool drops_query;      /* to ended in '?': the request's is not put behind it */
    enum conf_rewrite_then then;
    int redirect_status; /* 301, 302; 0: it stays inside */
};

/* NULL and *ret; or what is wrong as one line, in the arena or a constant (value_no_memory where
 * memory is out). */
const char *rewrite_parse(struct arena *arena, struct slice text, struct conf_rewrite *ret);

#endif
