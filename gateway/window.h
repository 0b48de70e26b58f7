/*
 * gateway/window.h - how far windows of uploads may be grown, over all connections.
 *
 * A window is a promise of memory: what comes within it may have to wait here, should whoever
 * takes it stop.  So all that is promised beyond h2_stream_window, which every stream has, is
 * counted together, and the later ones get less when not much is left.
 *
 * Units    bytes
 * Threads  any
 */
#ifndef GATEWAY_WINDOW_H
#define GATEWAY_WINDOW_H

#include <stdatomic.h>
#include <stdint.h>

struct window_budget {
    uint64_t limit;             /* I */
    atomic_uint_least64_t used; /* a  relaxed: a sum that is checked when something is added */
};

/* Up to n more, and at most half of what is left, so that the next one gets something too.  How
 * many. */
static inline uint64_t window_take(struct window_budget *b, uint64_t n)
{
    uint64_t used = atomic_load_explicit(&b->used, memory_order_relaxed), take;

    do {
        uint64_t most = used < b->limit ? (b->limit - used) / 2 : 0;
        take = n < most ? n : most;
    } while (take && !atomic_compare_exchange_weak_explicit(&b->used, &used, used + take,
                                                            memory_order_relaxed,
                                                            memory_order_relaxed));
    return take;
}

static inline void window_give(struct window_budget *b, uint64_t n)
{
    if (n)
        atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
}

#endif
