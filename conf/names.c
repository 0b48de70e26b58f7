#include "names.h"

#include "../gateway/err.h"

enum { NAMES_FIRST = 64 };

/* FNV-1a.  The names are those of the administrator's own file, so a plain hash will do. */
static uint64_t names_hash(struct slice key)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < key.n; i++)
        h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* The slot that holds key, or the free one where it belongs. */
static struct names_slot *names_slot(const struct names *t, struct slice key)
{
    size_t i = (size_t)names_hash(key) & (t->cap - 1);

    while (t->slots[i].key.p && !slice_eq(t->slots[i].key, key))
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static int names_grow(struct names *t, struct arena *arena)
{
    size_t cap = t->cap ? t->cap * 2 : NAMES_FIRST;
    struct names bigger = {.n = t->n, .cap = cap};

    bigger.slots = arena_zalloc(arena, cap * sizeof(*bigger.slots));
    if (!bigger.slots)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < t->cap; i++) {
        if (t->slots[i].key.p)
            *names_slot(&bigger, t->slots[i].key) = t->slots[i];
    }
    *t = bigger;
    return 0;
}

int names_add(struct names *t, struct arena *arena, struct slice key, size_t value)
{
    if ((t->n + 1) * 2 > t->cap && names_grow(t, arena) < 0)
        return GW_ENO_MEMORY;
    struct names_slot *slot = names_slot(t, key);
    if (slot->key.p)
        return 1;
    *slot = (struct names_slot){key, value};
    t->n++;
    return 0;
}

bool names_find(const struct names *t, struct slice key, size_t *ret_value)
{
    if (t->cap == 0)
        return false;
    const struct names_slot *slot = names_slot(t, key);
    if (!slot->key.p)
        return false;
    *ret_value = slot->value;
    return true;
}
