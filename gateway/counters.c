#include "counters.h"

#include <stdatomic.h>

static atomic_uint_least64_t values[N_COUNTERS]; /* relaxed: statistics only */

void counter_add_n(enum counter c, uint64_t n)
{
    atomic_fetch_add_explicit(&values[c], n, memory_order_relaxed);
}

void counter_add(enum counter c)
{
    counter_add_n(c, 1);
}

uint64_t counter_get(enum counter c)
{
    return atomic_load_explicit(&values[c], memory_order_relaxed);
}
