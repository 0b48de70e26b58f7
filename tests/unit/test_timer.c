/* gateway/timer.h: order and times, far and moved deadlines, jumps of the clock, callbacks that
 * change the wheel they are called from. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/timer.h"

enum { START = 100000, TICK = WHEEL_TICK_MS, ROUND = WHEEL_TICK_MS * WHEEL_BUCKETS };

struct probe {
    struct timer t;
    unsigned n_fired;
    uint64_t fired_at;
    unsigned order; /* among all that fired */
    void (*then)(struct probe *p);
};

static struct wheel w;
static uint64_t now;
static unsigned n_fired;

static void probe_fn(struct loop *l, struct timer *t)
{
    struct probe *p = (struct probe *)(void *)t;

    assert_null(l);
    assert_false(timer_armed(t));
    p->n_fired++;
    p->fired_at = now;
    p->order = ++n_fired;
    if (p->then)
        p->then(p);
}

static struct probe probe_of(void (*then)(struct probe *p))
{
    return (struct probe){.t.fn = probe_fn, .then = then};
}

static void run_at(uint64_t at)
{
    now = at;
    wheel_run(&w, NULL, now);
}

/* As a loop does: sleep as long as the wheel says, run, until the time is at. */
static void run_until(uint64_t at)
{
    for (;;) {
        int wait = wheel_wait_ms(&w, now);
        if (wait < 0 || now + (uint64_t)wait > at)
            break;
        run_at(now + (uint64_t)wait);
    }
    run_at(at);
}

static int setup(void **state)
{
    (void)state;
    now = START;
    n_fired = 0;
    wheel_init(&w, now);
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(wheel_wait_ms(&w, now), -1);
    run_at(START + 5);
    run_at(START + 10 * ROUND);
    assert_int_equal(wheel_wait_ms(&w, now), -1);
}

/* Never early, at most a tick late, once. */
static void test_times(void **state)
{
    static const uint64_t after[] = {
        0,     1,     15,           16,   17,        100,    999,         ROUND - 1,
        ROUND, 60000, ROUND + TICK, 8191, 8 * ROUND, 600000, 24 * 3600000};
    (void)state;
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        struct probe p = probe_of(NULL);
        uint64_t due = now + after[i];

        wheel_set(&w, &p.t, due);
        assert_true(timer_armed(&p.t));
        run_until(due + TICK);
        assert_int_equal(p.n_fired, 1);
        assert_true(p.fired_at >= due && p.fired_at <= due + TICK);
        run_until(now + 2 * ROUND);
        assert_int_equal(p.n_fired, 1);
    }
}

static void test_order(void **state)
{
    struct probe a = probe_of(NULL), b = probe_of(NULL), c = probe_of(NULL);

    (void)state;
    wheel_set(&w, &b.t, START + 300);
    wheel_set(&w, &c.t, START + 20000);
    wheel_set(&w, &a.t, START + 30);
    run_until(START + 30000);
    assert_int_equal(a.order, 1);
    assert_int_equal(b.order, 2);
    assert_int_equal(c.order, 3);
}

static void test_moved(void **state)
{
    struct probe p = probe_of(NULL);

    (void)state;
    wheel_set(&w, &p.t, START + 100); /* later, and later again: only noted */
    wheel_set(&w, &p.t, START + 5000);
    run_until(START + 4999);
    wheel_set(&w, &p.t, START + 20000);
    run_until(START + 19999);
    assert_int_equal(p.n_fired, 0);
    wheel_set(&w, &p.t, START + 20050); /* earlier than the bucket it sits in */
    wheel_set(&w, &p.t, START + 60000);
    wheel_set(&w, &p.t, START + 20010);
    run_until(START + 20010 + TICK);
    assert_int_equal(p.n_fired, 1);

    wheel_set(&w, &p.t, now + 500);
    wheel_set(&w, &p.t, now); /* at once */
    run_until(now + TICK);
    assert_int_equal(p.n_fired, 2);

    wheel_set(&w, &p.t, START); /* in the past */
    run_until(now + TICK);
    assert_int_equal(p.n_fired, 3);
}

static void test_cleared(void **state)
{
    struct probe p = probe_of(NULL), q = probe_of(NULL);

    (void)state;
    timer_clear(&p.t); /* never armed */
    wheel_set(&w, &p.t, START + 50);
    wheel_set(&w, &q.t, START + 50);
    timer_clear(&p.t);
    timer_clear(&p.t);
    assert_false(timer_armed(&p.t));
    run_until(START + 100);
    assert_int_equal(p.n_fired, 0);
    assert_int_equal(q.n_fired, 1);
    wheel_set(&w, &p.t, START + 200);
    run_until(START + 300);
    assert_int_equal(p.n_fired, 1);
    assert_int_equal(wheel_wait_ms(&w, now), -1);
}

/* A stopped process, a suspended machine: all that is due comes once, the rest when it is due. */
static void test_clock_jumps(void **state)
{
    struct probe p[200];
    uint64_t jumped = START + 3 * ROUND + 5;

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        p[i] = probe_of(NULL);
        wheel_set(&w, &p[i].t, START + i * 197);
    }
    run_at(jumped);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(p[i].n_fired, START + i * 197 <= jumped - TICK);
    run_at(START + 10); /* backwards: nothing happens */
    run_at(jumped);
    run_until(START + 200 * 197);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(p[i].n_fired, 1);
}

static void again(struct probe *p)
{
    wheel_set(&w, &p->t, now + 40);
}

static void again_at_once(struct probe *p)
{
    if (p->n_fired < 5)
        wheel_set(&w, &p->t, now);
}

static void again_after_a_round(struct probe *p)
{
    wheel_set(&w, &p->t, now + ROUND); /* the bucket that is being run */
}

static void test_set_inside(void **state)
{
    struct probe p = probe_of(again), q = probe_of(again_at_once),
                 r = probe_of(again_after_a_round);

    (void)state;
    wheel_set(&w, &p.t, START + 40);
    wheel_set(&w, &q.t, START + 40);
    wheel_set(&w, &r.t, START + 48);
    run_until(START + 1000);
    assert_in_range(p.n_fired, 1000 / (40 + TICK), 1000 / 40);
    assert_int_equal(q.n_fired, 5);
    assert_int_equal(r.n_fired, 1);
    run_until(START + 100 + ROUND);
    assert_int_equal(r.n_fired, 2);
    timer_clear(&p.t);
    timer_clear(&r.t);
}

static struct probe *victims[3];

static void free_all(struct probe *p)
{
    (void)p;
    for (size_t i = 0; i < 3; i++) {
        timer_clear(&victims[i]->t);
        free(victims[i]);
    }
}

/* Whichever of a bucket is first frees all three, itself too. */
static void test_freed_inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        victims[i] = malloc(sizeof(struct probe));
        assert_non_null(victims[i]);
        *victims[i] = probe_of(free_all);
        wheel_set(&w, &victims[i]->t, START + 100);
    }
    run_until(START + 200);
    assert_int_equal(n_fired, 1);
}

static struct probe other;

static void move_other(struct probe *p)
{
    (void)p;
    wheel_set(&w, &other.t, now + 1000);
}

/* Those of the same bucket that have not run yet may be moved as any. */
static void test_moved_inside(void **state)
{
    struct probe p = probe_of(move_other);

    (void)state;
    other = probe_of(NULL);
    wheel_set(&w, &other.t, START + 100); /* the last one set is looked at first */
    wheel_set(&w, &p.t, START + 100);
    run_until(START + 500);
    assert_int_equal(p.n_fired, 1);
    assert_int_equal(other.n_fired, 0);
    run_until(START + 1200);
    assert_int_equal(other.n_fired, 1);
}

/* The property, over everything at once: set, moved, cleared at random; steps of any size. */
static void test_random(void **state)
{
    enum { N = 64 };
    struct probe p[N];
    uint64_t due[N]; /* 0: not armed */
    unsigned fired[N] = {0}, seed = 1;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        p[i] = probe_of(NULL);
        due[i] = 0;
    }
    for (int turn = 0; turn < 20000; turn++) {
        size_t i = (size_t)rand_r(&seed) % N;
        int what = rand_r(&seed) % 4;
        if (what == 0) {
            timer_clear(&p[i].t);
            due[i] = 0;
        } else {
            due[i] = now + (uint64_t)rand_r(&seed) % (what == 1 ? 50 : 20000);
            wheel_set(&w, &p[i].t, due[i]);
        }
        uint64_t before = now;
        run_at(now + (uint64_t)rand_r(&seed) % 60);
        for (i = 0; i < N; i++) {
            if (p[i].n_fired == fired[i]) {
                assert_true(!due[i] || due[i] + TICK > now);
                continue;
            }
            assert_int_equal(p[i].n_fired, ++fired[i]);
            assert_true(due[i] && due[i] <= now && due[i] + TICK >= before);
            due[i] = 0;
        }
        int wait = wheel_wait_ms(&w, now);
        for (i = 0; i < N; i++) /* nobody sleeps past a deadline */
            assert_true(!due[i] || (wait >= 0 && now + (uint64_t)wait <= due[i] + TICK));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, setup),
        cmocka_unit_test_setup(test_times, setup),
        cmocka_unit_test_setup(test_order, setup),
        cmocka_unit_test_setup(test_moved, setup),
        cmocka_unit_test_setup(test_cleared, setup),
        cmocka_unit_test_setup(test_clock_jumps, setup),
        cmocka_unit_test_setup(test_set_inside, setup),
        cmocka_unit_test_setup(test_freed_inside, setup),
        cmocka_unit_test_setup(test_moved_inside, setup),
        cmocka_unit_test_setup(test_random, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
