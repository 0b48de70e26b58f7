/*
 * conf/value.h - the text of a value into the field of a struct, by its row of the schema.
 *
 * Result   NULL, or what is wrong as one line, in the arena or a constant; the field is then
 *          unchanged, but that a list may have got the words before the bad one
 * Threads  one at a time
 * Memory   what the field points to is in the arena, or is the text itself
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "schema.h"

extern const char value_no_memory[]; /* the result when memory is out */

struct value {
    struct arena *arena;
    const struct schema_key *key;
    struct slice name; /* the key as written, "env.HOME" */
    struct slice text; /* unfolded, with a NUL behind it; lives as long as the struct filled */
    void *item;        /* the struct */
};

const char *value_set(const struct value *v);

/* Make a list empty, so that the words of the file replace the default. */
void value_clear(const struct value *v);

/* Fill item, which is zeroed, with the defaults of a section.  0 or GW_ENO_MEMORY. */
int value_defaults(struct arena *arena, enum schema_section section, void *item);

/*
 * Cut the next word off *rest: words have spaces between them, "double quotes" hold spaces
 * together, and within them \" and \\ are a quote and a backslash.  1 and *ret_word, which ends
 * in a NUL and is in the arena; 0 at the end; < 0 when a quote is not closed, or closed in the
 * middle of a word (GW_EINTERNAL), or memory is out (GW_ENO_MEMORY).
 */
int value_word(struct arena *arena, struct slice *rest, struct slice *ret_word);

#endif
