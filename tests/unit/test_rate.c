/* gateway/rate.c: a leaky bucket with a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>

#include "../../gateway/rate.h"

enum { MS = 1000000 };

static const uint64_t start_ns = 5000 * RATE_SECOND;

/* How many of n are taken at once? */
static unsigned take(rate_cell *cell, const struct rate *r, unsigned n, uint64_t now_ns)
{
    unsigned taken = 0;

    while (n--)
        taken += rate_take(cell, r, now_ns) == 0;
    return taken;
}

static void test_of(void **state)
{
    static const struct {
        uint64_t n, per_ms, burst, every_ns, burst_ns;
    } rows[] = {
        {10, 1000, 20, 100 * MS, 2000ULL * MS},
        {1, 3600000, 0, 3600 * RATE_SECOND, 0},
        {1000000, 1000, 1000000, 1000, 1000000000},
        {2000000000, 1000, 5, 1, 5}, /* more than can be told apart: as fine as it goes */
        {1, UINT64_MAX, UINT64_MAX, UINT64_MAX / 4, UINT64_MAX / 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rate r = rate_of(rows[i].n, rows[i].per_ms, rows[i].burst);
        assert_true(r.every_ns == rows[i].every_ns);
        assert_true(r.burst_ns == rows[i].burst_ns);
    }
}

static void test_burst_then_steady(void **state)
{
    struct rate r = rate_of(10, 1000, 20);
    rate_cell cell = 0;
    uint64_t now = start_ns;

    (void)state;
    assert_int_equal(take(&cell, &r, 100, now), 21);
    for (int i = 0; i < 50; i++) { /* one each 100 ms, and not a moment sooner */
        assert_int_equal(take(&cell, &r, 5, now + 100 * MS - 1), 0);
        now += 100 * MS;
        assert_int_equal(take(&cell, &r, 5, now), 1);
    }
    now += 500 * MS;
    assert_int_equal(take(&cell, &r, 100, now), 5);
    now += 3600 * RATE_SECOND; /* what was not taken is not saved up */
    assert_int_equal(take(&cell, &r, 100, now), 21);
}

static void test_without_burst(void **state)
{
    struct rate r = rate_of(2, 1000, 0);
    rate_cell cell = 0;

    (void)state;
    assert_true(rate_take(&cell, &r, start_ns) == 0);
    assert_true(rate_take(&cell, &r, start_ns) == 500 * MS);
    assert_true(rate_take(&cell, &r, start_ns + 1) == 500 * MS - 1);
    assert_true(rate_take(&cell, &r, start_ns + 500 * MS) == 0);
}

/* The wait that is told is enough, and no more than that. */
static void test_wait_is_exact(void **state)
{
    struct rate r = rate_of(7, 60000, 3);
    rate_cell cell = 0;

    (void)state;
    assert_int_equal(take(&cell, &r, 9, start_ns), 4);
    uint64_t wait = rate_take(&cell, &r, start_ns + 12345);
    assert_true(rate_take(&cell, &r, start_ns + 12345 + wait - 1) == 1);
    assert_true(rate_take(&cell, &r, start_ns + 12345 + wait) == 0);
}

static void test_give_back(void **state)
{
    struct rate r = rate_of(10, 1000, 1);
    rate_cell cell = 0;

    (void)state;
    assert_int_equal(take(&cell, &r, 5, start_ns), 2);
    rate_give_back(&cell, &r);
    assert_int_equal(take(&cell, &r, 5, start_ns), 1);
}

static void test_clock_goes_back(void **state)
{
    struct rate r = rate_of(10, 1000, 4);
    rate_cell cell = 0;

    (void)state;
    assert_int_equal(take(&cell, &r, 9, start_ns), 5);
    assert_true(rate_take(&cell, &r, start_ns - 3 * MS) == 103 * MS);
    assert_int_equal(take(&cell, &r, 9, start_ns + 100 * MS), 1);
}

static void test_charge(void **state)
{
    struct rate r = rate_of(1000, 30000, 1000); /* 30 ms each */
    rate_cell cell = 0;
    uint64_t now = start_ns;

    (void)state;
    assert_true(rate_charge(&cell, &r, 10, now) == 300 * MS);
    assert_int_equal(rate_events(&r, rate_level(&cell, now + 1)), 10);
    assert_int_equal(rate_events(&r, rate_level(&cell, now + 100 * MS)), 7);
    assert_true(rate_level(&cell, now + 300 * MS) == 0);
    assert_true(rate_charge(&cell, &r, 1001, now + 400 * MS) > r.burst_ns);
    /* However much: never over twice the burst and one. */
    assert_true(rate_charge(&cell, &r, UINT64_MAX, now) == 2 * (r.burst_ns + r.every_ns));
    assert_true(rate_charge(&cell, &r, UINT64_MAX, now) == 2 * (r.burst_ns + r.every_ns));
    assert_true(rate_level(&cell, now + 61 * RATE_SECOND) == 0);
}

/* ---- threads ---- */

enum { THREADS = 4, TRIES = 20000, MOST = 5000 };

static struct rate shared_rate;
static rate_cell shared;

static void *taker(void *arg)
{
    unsigned *n = arg;

    *n = take(&shared, &shared_rate, TRIES, start_ns);
    return NULL;
}

static void test_exact_over_threads(void **state)
{
    pthread_t threads[THREADS];
    unsigned n[THREADS], all = 0;

    (void)state;
    shared_rate = rate_of(1, 1000, MOST - 1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, taker, &n[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        all += n[i];
    }
    assert_int_equal(all, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of),
        cmocka_unit_test(test_burst_then_steady),
        cmocka_unit_test(test_without_burst),
        cmocka_unit_test(test_wait_is_exact),
        cmocka_unit_test(test_give_back),
        cmocka_unit_test(test_clock_goes_back),
        cmocka_unit_test(test_charge),
        cmocka_unit_test(test_exact_over_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
