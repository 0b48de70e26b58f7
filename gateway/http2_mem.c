#include "http2_mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "err.h"
#include "spare.h"

enum { PAGE = 4096 };

enum slot { RING, OTHER_RING, SESSION, FRAME, STREAMS, N_SLOTS };

/* The blocks of a session by their size in 1.52, and where they are put.  Of two of one size the
 * first is asked for first: the ring of what we send. */
static const struct {
    size_t size, at;
} slots[] = {
    [RING] = {1024, 7120},       /* all of it in the session's page */
    [OTHER_RING] = {1024, 3168}, /* its last 96 bytes, 12 fields, lie in the session's page */
    [SESSION] = {2928, 4192},
    [FRAME] = {16394, 8144},   /* the frame being sent: 48 bytes lie in the session's page */
    [STREAMS] = {4096, 24576}, /* the streams' hash table: a page */
};

enum { SIZE = 7 * PAGE };

int h2_mem_open(struct h2_mem *m)
{
    void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return GW_ENO_MEMORY;
    *m = (struct h2_mem){.base = p};
    return 0;
}

void h2_mem_close(struct h2_mem *m)
{
    if (m->base)
        munmap(m->base, SIZE);
    *m = (struct h2_mem){0};
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

void h2_mem_cool(struct h2_mem *m)
{
    const unsigned known = 1u << SESSION | 1u << FRAME | 1u << STREAMS;
    size_t from = 2 * PAGE, to = slots[STREAMS].at;

    if ((m->taken & known) != known)
        return;
    /* A table without a stream has become what a fresh page is; one with streams stays. */
    if (is_zero(m->base + to, slots[STREAMS].size))
        to += slots[STREAMS].size;
    /* If it fails the pages are merely kept. */
    (void)madvise(m->base + from, to - from, MADV_DONTNEED);
}

/* The slot that p is, or N_SLOTS.  Asked of every block that a stream gives back, few of which
 * are slots. */
static unsigned slot_of(const struct h2_mem *m, const void *p)
{
    unsigned i = 0;

    if ((uintptr_t)p - (uintptr_t)m->base >= SIZE)
        return N_SLOTS;
    while (i < N_SLOTS && p != m->base + slots[i].at)
        i++;
    return i;
}

static void *mem_malloc(size_t n, void *user)
{
    struct h2_mem *m = user;

    for (unsigned i = 0; n >= 1024 && i < N_SLOTS; i++) {
        if (slots[i].size == n && !(m->taken & 1u << i)) {
            m->taken |= 1u << i;
            return m->base + slots[i].at;
        }
    }
    return spare_alloc(n);
}

static void mem_free(void *p, void *user)
{
    /* A slot is not given out again: it would have to be zeroed, and no session needs it. */
    if (slot_of(user, p) == N_SLOTS)
        spare_free(p);
}

static void *mem_calloc(size_t n, size_t size, void *user)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    void *p = mem_malloc(n * size, user);
    if (p && slot_of(user, p) == N_SLOTS) /* a slot's pages are fresh */
        memset(p, 0, n * size);
    return p;
}

static void *mem_realloc(void *p, size_t n, void *user)
{
    unsigned i = p ? slot_of(user, p) : N_SLOTS;

    if (!p)
        return mem_malloc(n, user);
    if (i == N_SLOTS)
        return realloc(p, n);
    void *copy = malloc(n);
    if (copy)
        memcpy(copy, p, n < slots[i].size ? n : slots[i].size);
    return copy;
}

nghttp2_mem h2_mem_functions(struct h2_mem *m)
{
    return (nghttp2_mem){.mem_user_data = m,
                         .malloc = mem_malloc,
                         .free = mem_free,
                         .calloc = mem_calloc,
                         .realloc = mem_realloc};
}
