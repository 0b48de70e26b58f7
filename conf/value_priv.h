/*
 * conf/value_priv.h - between value.c (single values) and value_list.c (those of many).  What
 * others call is in value.h.
 *
 * Result   as in value.h
 * Threads  one at a time
 * Memory   texts are in the value's arena
 */
#ifndef CONF_VALUE_PRIV_H
#define CONF_VALUE_PRIV_H

#include "value.h"

/* The key's field in v->item. */
void *value_field(const struct value *v);

/* "KEY = VALUE: why" and more behind it. */
const char *value_wrong(const struct value *v, const char *why, const char *more);

/* What a parser said of the text, as value_wrong() puts it; NULL and value_no_memory stay. */
const char *value_verdict(const struct value *v, const char *why);

/* The row that has this name, or NULL; words may be NULL. */
const struct schema_word *value_find_word(const struct schema_word *words, struct slice name);

/* "must be a, b or c; did you mean ...?" */
const char *value_must_be(const struct value *v, const struct schema_word *words,
                          struct slice word);

/* The setters of value_list.c.  A list may have got the elements before the bad one. */
const char *value_set_list(const struct value *v);
const char *value_set_command(const struct value *v);
const char *value_set_family(const struct value *v);

#endif
