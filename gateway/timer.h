/*
 * gateway/timer.h - a wheel of one-shot timers, lazy in both directions.
 *
 * Shape    512 buckets of 16 ms.  A timer further away than the wheel reaches sits in its last
 *          bucket and is put in again when that comes round; one whose deadline moved later is
 *          only noted and put in again when its old bucket comes round.  So setting a timer for
 *          every read costs two stores.
 * Units    milliseconds, monotonic
 * Threads  one loop
 * Memory   timers are embedded by their owners; the wheel holds no memory of its own
 */
#ifndef GATEWAY_TIMER_H
#define GATEWAY_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct timer {
    struct timer *next, **pprev; /* wheel bucket; pprev is NULL when not armed */
    uint64_t deadline_ms;        /* what was asked for */
    uint64_t wheel_ms;           /* when the wheel looks at it next; <= deadline_ms */
    void (*fn)(struct loop *l, struct timer *t);
};

enum { WHEEL_TICK_MS = 16, WHEEL_BUCKETS = 512 };

struct wheel {
    struct timer *buckets[WHEEL_BUCKETS];
    uint64_t used[WHEEL_BUCKETS / 64]; /* bit set: the bucket may hold timers */
    uint64_t tick; /* the next tick to be looked at; a tick is WHEEL_TICK_MS */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_set(struct wheel *w, struct timer *t, uint64_t deadline_ms);
void timer_clear(struct timer *t);

static inline bool timer_armed(const struct timer *t)
{
    return t->pprev != NULL;
}

/* Milliseconds until the wheel has to be run again, -1: no timer is armed. */
int wheel_wait_ms(const struct wheel *w, uint64_t now_ms);

/* Run all that is due.  A timer is disarmed before its fn is called, which may set it again
 * or free its owner. */
void wheel_run(struct wheel *w, struct loop *l, uint64_t now_ms);

#endif
