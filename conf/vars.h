/*
 * conf/vars.h - texts with $variables, cut up once when the configuration is read.
 *
 * Shape    $name, ${name}, $1 to $9 for the groups of a rewrite's pattern, $$ for a dollar
 * Threads  any; constant once made
 * Memory   in the arena; the texts are borrowed
 */
#ifndef CONF_VARS_H
#define CONF_VARS_H

#include <stdio.h>

#include "../gateway/arena.h"

enum var {
    VAR_LITERAL, /* the text itself */
    VAR_GROUP,   /* $1 ... */
#define GW_VAR(name, kind, text) VAR_##name,
#define GW_VAR_NAMED(prefix, kind, text) VAR_##prefix,
#include "../gateway/tbl/vars.def"
#undef GW_VAR
#undef GW_VAR_NAMED
    N_VARS
};

/* What a value may stand for in a URL (gateway/tbl/vars.def). */
enum var_kind { VAR_KIND_HOST, VAR_KIND_SCHEME, VAR_KIND_PATH, VAR_KIND_URI, VAR_KIND_TEXT };

struct vars_part {
    enum var var;
    struct slice text;   /* of a literal; what follows the prefix of a named one */
    unsigned group;      /* 1 to 9 */
    bool in_authority;   /* of a URL; a group there */
    bool ends_authority; /* but not if its value begins with a slash */
};

struct vars {
    struct slice text; /* as written */
    struct vars_part *parts;
    unsigned n;
    bool constant; /* literals only: literal has them */
    struct slice literal;
    bool has_authority; /* of a URL: it names its host itself */
};

/*
 * Cut up text, which has groups 1 to n_groups.  NULL and *ret_vars; or what is wrong, as one
 * line, in the arena or a constant (value_no_memory where memory is out).
 */
const char *vars_compile(struct arena *arena, struct slice text, unsigned n_groups,
                         const struct vars **ret_vars);

/*
 * The same of what becomes a Location or a request's path and query: an absolute path or a URL,
 * of bytes that may be in one, whose scheme and host are not the client's to choose, but that
 * $host and its like may be.
 */
const char *vars_compile_url(struct arena *arena, struct slice text, unsigned n_groups,
                             const struct vars **ret_vars);

enum var_kind vars_kind(enum var var);

/* "host", or "http_" with *ret_named set. */
struct slice vars_name(enum var var, bool *ret_named);

/* The table of all variables, a line each. */
void vars_print(FILE *out);

#endif
