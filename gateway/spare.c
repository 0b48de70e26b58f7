#include "spare.h"

#include <malloc.h>
#include <stdlib.h>

#ifndef __has_feature /* clang's; GCC defines __SANITIZE_ADDRESS__ instead */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define KEEPS 0
#else
#define KEEPS 1
#endif

enum {
    STEP = 16,             /* malloc's: blocks hold 24, 40, 56 ... bytes */
    SLACK = 8,             /* of which a block of size i holds this much beyond i steps */
    BLOCK_MAX = 4096 + 64, /* an arena's first block with its head */
    N_SIZES = BLOCK_MAX / STEP + 1,
    KEPT_MAX = KEEPS * 256 * 1024,
};

struct spare {
    struct spare *next;
};

static _Thread_local struct spare *spares[N_SIZES]; /* by their size; none of size 0 */
static _Thread_local size_t n_kept;                 /* bytes in them, without the slack */

/* The first size whose blocks hold n bytes, n of at most BLOCK_MAX. */
static size_t size_for(size_t n)
{
    return n <= STEP + SLACK ? 1 : (n - SLACK + STEP - 1) / STEP;
}

/* The last size whose blocks hold no more than p does.  Another malloc may have others. */
static size_t size_of(void *p)
{
    size_t n = malloc_usable_size(p);

    return n < SLACK ? 0 : (n - SLACK) / STEP;
}

void *spare_alloc(size_t n)
{
    if (n > BLOCK_MAX)
        return malloc(n);
    size_t i = size_for(n);
    struct spare *s = spares[i];
    if (!s)
        return malloc(n);
    spares[i] = s->next;
    n_kept -= i * STEP;
    return s;
}

void spare_free(void *p)
{
    struct spare *s = p;

    if (!p)
        return;
    size_t i = size_of(p);
    if (i == 0 || i >= N_SIZES || n_kept + i * STEP > KEPT_MAX) {
        free(p);
        return;
    }
    s->next = spares[i];
    spares[i] = s;
    n_kept += i * STEP;
}

void spare_thread_fini(void)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        while (spares[i]) {
            struct spare *s = spares[i];
            spares[i] = s->next;
            free(s);
        }
    }
    n_kept = 0;
}
