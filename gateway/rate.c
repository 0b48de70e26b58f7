#include "rate.h"

/* Times are far from the end of 64 bits (584 years), but what is configured may not be. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX / 4 : product;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct rate rate_of(uint64_t n, uint64_t per_ms, uint64_t burst)
{
    uint64_t every = times(per_ms, 1000000) / n;

    if (every == 0)
        every = 1;
    return (struct rate){every, smaller(times(burst, every), UINT64_MAX / 4)};
}

static uint64_t level_at(uint64_t cell, uint64_t now_ns)
{
    return cell > now_ns ? cell - now_ns : 0;
}

/* Relaxed all through: a cell is a number of its own, nothing else is published with it. */

uint64_t rate_take(rate_cell *cell, const struct rate *r, uint64_t now_ns)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed), level;

    do {
        level = level_at(old, now_ns);
        if (level > r->burst_ns)
            return level - r->burst_ns;
    } while (!atomic_compare_exchange_weak_explicit(
        cell, &old, now_ns + level + r->every_ns, memory_order_relaxed, memory_order_relaxed));
    return 0;
}

void rate_give_back(rate_cell *cell, const struct rate *r)
{
    atomic_fetch_sub_explicit(cell, r->every_ns, memory_order_relaxed);
}

void rate_forgive(rate_cell *cell, const struct rate *r, uint64_t now_ns)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed), level;

    do {
        level = level_at(old, now_ns);
        level -= smaller(level, r->every_ns);
    } while (!atomic_compare_exchange_weak_explicit(
        cell, &old, level ? now_ns + level : 0, memory_order_relaxed, memory_order_relaxed));
}

uint64_t rate_charge(rate_cell *cell, const struct rate *r, uint64_t n, uint64_t now_ns)
{
    uint64_t most = 2 * (r->burst_ns + r->every_ns);
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed), level;

    do {
        level = level_at(old, now_ns);
        level = smaller(level + smaller(times(n, r->every_ns), most), most);
    } while (!atomic_compare_exchange_weak_explicit(
        cell, &old, now_ns + level, memory_order_relaxed, memory_order_relaxed));
    return level;
}

uint64_t rate_level(const rate_cell *cell, uint64_t now_ns)
{
    return level_at(atomic_load_explicit(cell, memory_order_relaxed), now_ns);
}

uint64_t rate_events(const struct rate *r, uint64_t level_ns)
{
    return level_ns / r->every_ns + (level_ns % r->every_ns != 0);
}
