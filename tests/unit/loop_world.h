/*
 * tests/unit/loop_world.h - gateway/loop.c turned by the test, a turn at a time.  It includes
 * loop.c to reach its statics, so it is for one file of a test program.
 *
 *     struct loop *l = world_loop();
 *     assert_true(world_until(l, holds, arg));      turns until holds(arg), at most WORLD_MS
 *     world_turns(l, 3);                            three turns, whatever happens
 *     world_poll(l);                                one that does not wait for anything
 */
#ifndef TESTS_LOOP_WORLD_H
#define TESTS_LOOP_WORLD_H

#include "../../gateway/loop.c"

enum { WORLD_MS = 10000, WORLD_STEP_MS = 5 };

static inline struct loop *world_loop(void)
{
    struct loop *l = loop_new("test");

    assert_non_null(l);
    l->owner = pthread_self();
    return l;
}

static void world_step_fn(struct loop *l, struct timer *t)
{
    (void)l;
    (void)t; /* it only ends the wait */
}

/* One turn, which waits for WORLD_STEP_MS and a tick of the wheel at most. */
static inline void world_turn(struct loop *l)
{
    struct timer step = {.fn = world_step_fn};

    timer_set(l, &step, WORLD_STEP_MS);
    loop_turn(l);
    timer_clear(&step);
}

static void world_poll_fn(struct loop *l, struct loop_task *task)
{
    (void)l;
    (void)task;
}

static inline void world_poll(struct loop *l)
{
    struct loop_task task = {.fn = world_poll_fn};

    loop_defer(l, &task);
    loop_turn(l);
}

static inline void world_turns(struct loop *l, int n)
{
    while (n-- > 0)
        world_turn(l);
}

static inline bool world_until(struct loop *l, bool (*holds)(void *arg), void *arg)
{
    uint64_t end = clock_now_ms() + WORLD_MS;

    while (!holds(arg)) {
        if (clock_now_ms() > end)
            return false;
        world_turn(l);
    }
    return true;
}

/* Turns for ms milliseconds. */
static inline void world_for(struct loop *l, uint64_t ms)
{
    uint64_t end = clock_now_ms() + ms;

    while (clock_now_ms() < end)
        world_turn(l);
}

#endif
