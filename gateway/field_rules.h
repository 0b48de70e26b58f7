/*
 * gateway/field_rules.h - what a site and its route want on the head of a response: expires,
 * header.NAME, hsts (../conf/fields.h), whoever made the response.
 *
 * Order    expires, then the rules of header.NAME in the order of the file (the site's before
 *          the route's), then hsts
 * Threads  worker
 * Source   RFC 9111 5.2, 5.3; RFC 6797 7.1, 7.2
 */
#ifndef GATEWAY_FIELD_RULES_H
#define GATEWAY_FIELD_RULES_H

#include "stream.h"

/* Is there any rule for s?  Before a site is known there is none. */
static inline bool field_rules_any(const struct stream *s)
{
    return s->route ? s->route->has_field_rules : s->site && s->site->has_field_rules;
}

/* Put the rules on r, whose fields become a list of s's arena.  0 or GW_ENO_MEMORY.  A value
 * that comes to nothing, or to more than EXPAND_MAX, leaves r as it is. */
int field_rules_apply(struct stream *s, struct response *r);

#endif
