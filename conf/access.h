/*
 * conf/access.h - who may come in, by address: what deny and allow of a section say together.
 *
 * Rule     of all blocks that hold the address the one with the longest prefix speaks, whatever
 *          the order of the lines.  Who is in no block comes in unless there is an allow: a list
 *          of guests is complete
 * Threads  access_new: who reads the configuration; access_ask: any
 */
#ifndef CONF_ACCESS_H
#define CONF_ACCESS_H

#include "../gateway/arena.h"
#include "cidr.h"

struct access {
    struct cidr_set set; /* says: 1 allow, 0 deny */
    bool others;         /* who is in no block may come in */
};

struct access_lists {
    const struct cidr *deny, *allow;
    unsigned n_deny, n_allow;
};

/* NULL when memory is out, or when a block is in both lists: *ret_twice is it then, else NULL. */
struct access *access_new(struct arena *arena, const struct access_lists *lists,
                          const struct cidr **ret_twice);

/* Does it have an allow?  access may be NULL. */
bool access_may_allow(const struct access *access);

/* access may be NULL: everybody.  *ret_rule is the block that decided, NULL: none did. */
bool access_ask(const struct access *access, const struct cidr_address *a,
                const struct cidr **ret_rule);

#endif
