/*
 * gateway/expand.h - texts with $variables (../conf/vars.h) with the values that a request has.
 *
 * Threads  worker
 * Memory   results are in the stream's arena, or the text's own where there is no variable
 */
#ifndef GATEWAY_EXPAND_H
#define GATEWAY_EXPAND_H

#include "../conf/vars.h"
#include "stream.h"

/* Bytes that a text may come to; over it GW_EVARS. */
enum { EXPAND_MAX = 32 * 1024 };

enum expand_as {
    EXPAND_TEXT,  /* values as they are */
    EXPAND_FIELD, /* a field's value: control bytes, which could end it, are %-encoded */
    EXPAND_URL,   /* a Location, or path?query to be settled again: vars_compile_url().  Values
                     are encoded by their kind; what has no host begins with one slash, so that
                     no value brings a host */
};

/* What the groups of a rewrite's pattern hold; unset ones are empty. */
struct expand_groups {
    struct slice group[10];
};

/* groups may be NULL.  0, GW_EVARS or GW_ENO_MEMORY. */
int expand(struct stream *s, const struct vars *v, const struct expand_groups *groups,
           enum expand_as as, struct slice *ret_text);

/* What may not be in a URL %-encoded, all else, also escapes, as it is: a query into a Location.
 * uri itself where there is nothing to encode; p is NULL when memory is out. */
struct slice expand_uri(struct arena *a, struct slice uri);

#endif
