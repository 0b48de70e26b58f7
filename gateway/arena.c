#include "arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "spare.h"

enum {
    ARENA_FIRST = 4096,
    ARENA_NEXT = 8192,
    ARENA_ALIGN = 16,
};

struct arena_block {
    struct arena_block *next;
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        spare_free(b);
    }
    *a = (struct arena){0};
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    if (n == 0)
        n = 1; /* NULL means failure only */
    n = (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if ((size_t)(a->end - a->at) < n) {
        size_t want = a->blocks ? ARENA_NEXT : ARENA_FIRST;
        if (want < n)
            want = n;
        struct arena_block *b = spare_alloc(sizeof(*b) + want);
        if (!b)
            return NULL;
        b->next = a->blocks;
        a->blocks = b;
        a->at = b->data;
        a->end = b->data + want;
    }
    void *p = a->at;
    a->at += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

struct slice arena_dup(struct arena *a, struct slice src)
{
    char *p = src.n < SIZE_MAX ? arena_alloc(a, src.n + 1) : NULL;
    if (!p)
        return (struct slice){NULL, 0};
    if (src.n)
        memcpy(p, src.p, src.n);
    p[src.n] = '\0';
    return slice_of(p, src.n);
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        n = vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return slice_of(p, p ? (size_t)n : 0);
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    size_t more, bytes;
    if (__builtin_mul_overflow(*cap ? *cap : 8, 2, &more) ||
        __builtin_mul_overflow(more, size, &bytes))
        return NULL;
    void *p = arena_alloc(a, bytes);
    if (!p)
        return NULL;
    if (n)
        memcpy(p, array, n * size);
    *cap = more;
    return p;
}
