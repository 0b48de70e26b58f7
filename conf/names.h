/*
 * conf/names.h - names to numbers: a hash table that lives in an arena.
 *
 * Units    the number is the caller's, mostly an index
 * Threads  one at a time
 * Memory   keys are borrowed and must live as long as the table; a zeroed struct is an empty
 * one
 */
#ifndef CONF_NAMES_H
#define CONF_NAMES_H

#include "../gateway/arena.h"

struct names_slot {
    struct slice key; /* p is NULL in a free slot */
    size_t value;
};

struct names {
    struct names_slot *slots;
    size_t n, cap; /* cap is zero or a power of two, at least twice n */
};

/* Add key.  0 when it was added; 1 when it is there already (nothing changes); GW_ENO_MEMORY.
 */
int names_add(struct names *t, struct arena *arena, struct slice key, size_t value);

bool names_find(const struct names *t, struct slice key, size_t *ret_value);

#endif
