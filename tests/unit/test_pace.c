/* gateway/pace.h: who is too slow, and when. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/pace.h"

enum { DEBT = 60 * 1000, RATE = 500, TICK = 1000 };

/* A client that moves bytes[i % n] in each second, of which turn_ms are its own: the second in
 * which it is cut off, 0 if it is not within an hour. */
struct play {
    uint64_t rate;
    uint64_t turn_ms;
    unsigned every; /* seconds between bytes */
    uint64_t bytes;
};

static unsigned cut_at(const struct play *y, struct pace *p)
{
    const struct pace_limit limit = {.debt_ms = DEBT, .rate = y->rate};
    uint64_t moved = 0, turn = 0, left = 0;

    *p = (struct pace){0};
    for (unsigned second = 0; second <= 3600; second++) {
        if (second) {
            turn += y->turn_ms;
            moved += second % y->every == 0 ? y->bytes : 0;
        }
        if (pace_look(p, &limit, moved, turn, 1000 + second * TICK, &left))
            return second;
        assert_true(left > 0 && left <= DEBT);
    }
    return 0;
}

static void test_rates(void **state)
{
    static const struct {
        struct play play;
        unsigned cut;
    } rows[] = {
        {{RATE, 1000, 1, 0}, 60},        /* silence */
        {{RATE, 1000, 1, 1}, 61},        /* one byte a second */
        {{RATE, 1000, 59, 1}, 61},       /* one in time for a timeout */
        {{RATE, 1000, 1, 250}, 120},     /* half the rate */
        {{RATE, 1000, 1, 500}, 0},       /* the rate */
        {{RATE, 1000, 1, 100000}, 0},    /* far over it */
        {{RATE, 1000, 40, 20000}, 0},    /* the rate, in bursts */
        {{RATE, 1000, 59, 59 * 500}, 0}, /* just in time */
        {{RATE, 0, 1, 0}, 0},            /* never its turn */
        {{RATE, 500, 1, 0}, 0},          /* ours half the time, and then nothing waits */
        {{RATE, 800, 1, 0}, 100},        /* ours now and then */
        {{0, 1000, 59, 1}, 0},           /* without a rate any byte will do */
        {{0, 1000, 1, 0}, 60},           /* but silence */
    };
    struct pace p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(cut_at(&rows[i].play, &p), rows[i].cut);
}

static void test_figures(void **state)
{
    const struct play y = {RATE, 1000, 1, 250};
    struct pace p;

    (void)state;
    assert_int_equal(cut_at(&y, &p), 120);
    assert_int_equal(p.bytes, 120 * 250);
    assert_int_equal(p.since_ms, 120 * 1000);
    assert_false(pace_is_silence(&p, &(struct pace_limit){.debt_ms = DEBT}));
}

/* Some at first, then nothing: that is silence. */
static void test_silence(void **state)
{
    const struct pace_limit limit = {.debt_ms = DEBT, .rate = RATE};
    struct pace p = {0};
    uint64_t left;

    (void)state;
    assert_false(pace_look(&p, &limit, 0, 0, 1, &left));
    assert_false(pace_look(&p, &limit, 3, DEBT / 2, 1 + DEBT / 2, &left));
    assert_true(pace_look(&p, &limit, 3, DEBT + 6, 1 + DEBT + 6, &left));
    assert_true(pace_is_silence(&p, &limit));
}

/* Who paid all begins again; credit is not saved. */
static void test_no_credit(void **state)
{
    const struct pace_limit limit = {.debt_ms = DEBT, .rate = RATE};
    struct pace p = {0};
    uint64_t left;

    (void)state;
    assert_false(pace_look(&p, &limit, 0, 0, 1, &left));
    assert_false(pace_look(&p, &limit, UINT64_MAX, 0, 2, &left));
    assert_int_equal(left, DEBT);
    assert_false(pace_look(&p, &limit, UINT64_MAX, DEBT - 1, 1 + DEBT, &left));
    assert_int_equal(left, 1);
    assert_true(pace_look(&p, &limit, UINT64_MAX, DEBT, 2 + DEBT, &left));
}

/* Clocks and counters that go back stand still. */
static void test_backwards(void **state)
{
    const struct pace_limit limit = {.debt_ms = DEBT, .rate = RATE};
    struct pace p = {0};
    uint64_t left;

    (void)state;
    assert_false(pace_look(&p, &limit, 100, 100, 5000, &left));
    assert_false(pace_look(&p, &limit, 50, 50, 4000, &left));
    assert_int_equal(left, DEBT);
    assert_int_equal(p.owed_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),     cmocka_unit_test(test_figures),
        cmocka_unit_test(test_silence),   cmocka_unit_test(test_no_credit),
        cmocka_unit_test(test_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
