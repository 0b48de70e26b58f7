/*
 * tests/unit/conf_item.h - a section's struct with its defaults, and single values put into it: for
 * the tests of conf/schema.c and conf/value.c.
 */
#ifndef TESTS_CONF_ITEM_H
#define TESTS_CONF_ITEM_H

#include "../../conf/value.h"
#include "conf_text.h"

enum { ITEM_MAX = 1024 };

/* A section's struct with its defaults. */
struct item {
    struct arena arena;
    _Alignas(16) char data[ITEM_MAX];
};

static inline void item_init(struct item *it, enum schema_section section)
{
    assert_true(schema_kind(section)->size <= ITEM_MAX);
    memset(it, 0, sizeof(*it));
    arena_init(&it->arena);
    assert_int_equal(value_defaults(&it->arena, section, it->data), 0);
}

/* Set "key" to "text"; what is wrong, or NULL. */
static inline const char *item_set(struct item *it, enum schema_section section,
                                   const char *name, const char *text)
{
    size_t n;
    ssize_t row = schema_find(section, slice_str(name));

    assert_true(row >= 0);
    struct slice copy = arena_dup(&it->arena, slice_str(text));
    struct value v = {&it->arena, &schema_keys(&n)[row], slice_str(name), copy, it->data};
    value_clear(&v);
    return value_set(&v);
}

static inline int64_t item_number(const struct item *it, const struct schema_key *key)
{
    const char *at = it->data + key->offset;
    int64_t n; /* or a struct conf_range, which need not be aligned like it */

    if (key->size == sizeof(bool))
        return *(const bool *)at;
    if (key->size == sizeof(int))
        return *(const int *)(const void *)at;
    memcpy(&n, at, sizeof(n));
    return n;
}

#endif
