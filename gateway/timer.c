#include "timer.h"

#include <stddef.h>

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){.tick = now_ms / WHEEL_TICK_MS};
}

static void wheel_insert(struct wheel *w, struct timer *t)
{
    /* Rounded up, so that nothing fires early; never behind the tick that is looked at next. */
    uint64_t tick = (t->deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    if (tick < w->tick)
        tick = w->tick;
    if (tick >= w->tick + WHEEL_BUCKETS)
        tick = w->tick + WHEEL_BUCKETS - 1;
    t->wheel_ms = tick * WHEEL_TICK_MS;

    size_t b = tick % WHEEL_BUCKETS;
    t->next = w->buckets[b];
    if (t->next)
        t->next->pprev = &t->next;
    t->pprev = &w->buckets[b];
    w->buckets[b] = t;
    w->used[b / 64] |= 1ULL << (b % 64);
}

void timer_clear(struct timer *t)
{
    if (!t->pprev)
        return;
    *t->pprev = t->next;
    if (t->next)
        t->next->pprev = t->pprev;
    t->next = NULL;
    t->pprev = NULL;
}

void wheel_set(struct wheel *w, struct timer *t, uint64_t deadline_ms)
{
    t->deadline_ms = deadline_ms;
    if (t->pprev && t->wheel_ms <= deadline_ms + WHEEL_TICK_MS - 1)
        return; /* it is looked at early enough */
    timer_clear(t);
    wheel_insert(w, t);
}

int wheel_wait_ms(const struct wheel *w, uint64_t now_ms)
{
    for (uint64_t i = 0; i < WHEEL_BUCKETS;) {
        size_t b = (w->tick + i) % WHEEL_BUCKETS;
        uint64_t word = w->used[b / 64] >> (b % 64);
        if (!word) {
            i += 64 - b % 64;
            continue;
        }
        uint64_t at = (w->tick + i + (uint64_t)__builtin_ctzll(word)) * WHEEL_TICK_MS;
        return at <= now_ms ? 0 : (int)(at - now_ms);
    }
    return -1;
}

static void wheel_run_bucket(struct wheel *w, struct loop *l, size_t b, uint64_t now_ms)
{
    struct timer *list = w->buckets[b];

    w->buckets[b] = NULL;
    w->used[b / 64] &= ~(1ULL << (b % 64));
    if (list)
        list->pprev = &list;
    while (list) {
        struct timer *t = list;
        timer_clear(t);
        if (t->deadline_ms > now_ms)
            wheel_insert(w, t);
        else
            t->fn(l, t);
    }
}

void wheel_run(struct wheel *w, struct loop *l, uint64_t now_ms)
{
    uint64_t until = now_ms / WHEEL_TICK_MS;

    /* After a long sleep one round looks at every bucket; more would look at the same ones
     * again. */
    if (until >= w->tick + WHEEL_BUCKETS)
        w->tick = until - WHEEL_BUCKETS + 1;
    while (w->tick <= until) {
        size_t b = w->tick % WHEEL_BUCKETS;
        w->tick++; /* first: what fn sets now goes to a later bucket */
        if (w->used[b / 64] & (1ULL << (b % 64)))
            wheel_run_bucket(w, l, b, now_ms);
    }
}
