/*
 * gateway/arena.h - memory that dies together: what one request needs, freed in one go.
 *
 * Units    bytes; results are aligned for any type
 * Result   NULL when memory is out, with nothing changed
 * Threads  one at a time (the owner of the stream)
 */
#ifndef GATEWAY_ARENA_H
#define GATEWAY_ARENA_H

#include "slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *at;                   /* next free byte of the newest block */
    char *end;
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);

void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);

/* A copy of src with a NUL behind it (not counted in n).  On failure ret.p is NULL. */
struct slice arena_dup(struct arena *a, struct slice src);

/* printf into the arena; p is NULL on failure. */
struct slice arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A growing array inside an arena: make room for one more of n elements of size bytes.  Returns
 * the (moved) array with *cap raised, or NULL.  The old copy stays in the arena. */
void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size);

#endif
