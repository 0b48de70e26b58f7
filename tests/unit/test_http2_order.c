/* gateway/http2_order.h: whose bytes go next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../gateway/http2_order.h"

enum { FRAME = 16384, MANY = 8 };

/* Streams with left[] frames to send. */
static struct h2_order ts;
static struct h2_turn turns[MANY];
static unsigned left[MANY];
static uint64_t sent[MANY];

static int setup(void **state)
{
    (void)state;
    ts = (struct h2_order){0};
    memset(turns, 0, sizeof(turns));
    memset(left, 0, sizeof(left));
    memset(sent, 0, sizeof(sent));
    return 0;
}

/* Stream i has id 2 i + 1. */
static struct h2_turn *begin(unsigned i, uint8_t urgency, bool incremental, unsigned frames)
{
    turns[i] = (struct h2_turn){.id = (int32_t)(2 * i + 1), .priority = {urgency, incremental}};
    left[i] = frames;
    h2_order_enter(&ts, &turns[i]);
    return &turns[i];
}

/* One frame; whose.  -1: nobody's. */
static int step(size_t n)
{
    struct h2_turn *t = h2_order_next(&ts);

    if (!t)
        return -1;
    int i = (int)(t - turns);
    h2_order_sent(&ts, t, n);
    sent[i] += n;
    if (--left[i] == 0)
        h2_order_leave(&ts, t);
    return i;
}

/* Up to n frames, as text: "0 0 1". */
static const char *order(unsigned n)
{
    static char text[1024];
    size_t at = 0;
    int i;

    text[0] = '\0';
    while (n-- && (i = step(FRAME)) >= 0)
        at += (size_t)snprintf(text + at, sizeof(text) - at, at ? " %d" : "%d", i);
    return text;
}

static void test_nobody(void **state)
{
    (void)state;
    assert_null(h2_order_next(&ts));
    h2_order_leave(&ts, &turns[0]);
    begin(0, 3, false, 1);
    h2_order_enter(&ts, &turns[0]);
    assert_int_equal(ts.n, 1);
    assert_string_equal(order(9), "0");
    assert_null(h2_order_next(&ts));
}

static void test_urgency(void **state)
{
    (void)state;
    begin(0, 7, false, 2);
    begin(1, 3, true, 2);
    begin(2, 0, false, 2);
    begin(3, 5, true, 1);
    assert_string_equal(order(99), "2 2 1 1 3 0 0");
}

/* Not incremental: in the order of ids, whoever was ready first. */
static void test_sequence(void **state)
{
    (void)state;
    begin(2, 3, false, 2);
    begin(1, 3, false, 2);
    assert_string_equal(order(1), "1");
    begin(0, 3, false, 2);
    begin(3, 3, false, 1);
    assert_string_equal(order(99), "0 0 1 2 2 3");
}

static void test_incremental(void **state)
{
    (void)state;
    begin(0, 3, true, 3);
    begin(1, 3, true, 2);
    begin(2, 3, true, 3);
    assert_string_equal(order(99), "0 1 2 0 1 2 0 2");
}

/* Frames are not all as long: bytes count. */
static void test_incremental_bytes(void **state)
{
    static const size_t sizes[] = {16384, 1024, 9000, 16384, 1, 7000, 16384};

    (void)state;
    begin(0, 2, true, 100000);
    begin(1, 2, true, 100000);
    begin(2, 2, true, 100000);
    for (unsigned i = 0; i < 3000; i++)
        step(sizes[i % 7]);
    for (unsigned i = 1; i < 3; i++)
        assert_in_range(sent[i], sent[0] - 2 * FRAME, sent[0] + 2 * FRAME);
}

/* Those that are not incremental have one share together. */
static void test_mixed(void **state)
{
    (void)state;
    begin(0, 3, false, 3);
    begin(1, 3, true, 6);
    begin(2, 3, false, 2);
    begin(3, 3, true, 6);
    assert_string_equal(order(99), "1 3 0 1 3 0 1 3 0 1 3 2 1 3 2 1 3");
}

/* Who was away, or had no window, takes its share from now on, and no more. */
static void test_no_claim_to_the_past(void **state)
{
    (void)state;
    begin(0, 3, true, 1000);
    begin(1, 3, true, 1000);
    begin(2, 3, true, 1000);
    h2_order_leave(&ts, &turns[1]);
    turns[2].blocked = true;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(step(FRAME), 0);
    h2_order_enter(&ts, &turns[1]);
    turns[2].blocked = false;
    assert_string_equal(order(6), "1 2 0 1 2 0");
}

static void test_blocked(void **state)
{
    (void)state;
    begin(0, 1, false, 1);
    begin(1, 1, false, 1);
    begin(2, 5, true, 1);
    turns[0].blocked = true;
    assert_string_equal(order(1), "1");
    assert_string_equal(order(9), "2");
    assert_null(h2_order_next(&ts));
    h2_order_unblock(&ts);
    assert_string_equal(order(9), "0");
}

static void test_change(void **state)
{
    (void)state;
    struct h2_turn *t = begin(0, 3, false, 4);
    begin(1, 3, false, 2);
    assert_string_equal(order(1), "0");
    h2_order_change(&ts, t, (struct priority){6, false});
    assert_string_equal(order(1), "1");
    h2_order_change(&ts, t, (struct priority){0, true});
    assert_string_equal(order(99), "0 0 0 1");
    t->blocked = true;
    h2_order_change(&ts, t, (struct priority){2, false}); /* it takes no part */
    assert_null(h2_order_next(&ts));
    assert_int_equal(ts.n, 0);
}

/* Each less urgent level gets a frame for a megabyte that went to others. */
static void test_nobody_starves(void **state)
{
    (void)state;
    begin(0, 0, false, 100000);
    begin(1, 3, false, 100000);
    begin(2, 7, true, 100000);
    begin(3, 7, true, 100000);
    for (unsigned i = 0; i < H2_PATIENCE / FRAME; i++)
        assert_int_equal(step(FRAME), 0);
    assert_string_equal(order(3), "1 2 0");
    for (unsigned i = 0; i < 6600; i++)
        step(FRAME);
    assert_in_range(sent[0], 6450 * (uint64_t)FRAME, 6480 * (uint64_t)FRAME);
    assert_in_range(sent[1], 97 * FRAME, 103 * FRAME);
    assert_in_range(sent[2], 48 * FRAME, 54 * FRAME);
    assert_in_range(sent[3], 48 * FRAME, 54 * FRAME);
}

/* Its turn comes as soon as it can use it, but does not add up. */
static void test_starving_and_blocked(void **state)
{
    (void)state;
    begin(0, 0, false, 100000);
    begin(1, 3, false, 100);
    turns[1].blocked = true;
    for (unsigned i = 0; i < 10 * H2_PATIENCE / FRAME; i++)
        assert_int_equal(step(FRAME), 0);
    turns[1].blocked = false;
    assert_string_equal(order(3), "1 0 0");
    h2_order_leave(&ts, &turns[1]);
    for (unsigned i = 0; i < H2_PATIENCE / FRAME - 1; i++)
        assert_int_equal(step(FRAME), 0);
    h2_order_enter(&ts, &turns[1]); /* the time that counts begins anew */
    assert_string_equal(order(3), "0 0 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nobody, setup),
        cmocka_unit_test_setup(test_urgency, setup),
        cmocka_unit_test_setup(test_sequence, setup),
        cmocka_unit_test_setup(test_incremental, setup),
        cmocka_unit_test_setup(test_incremental_bytes, setup),
        cmocka_unit_test_setup(test_mixed, setup),
        cmocka_unit_test_setup(test_no_claim_to_the_past, setup),
        cmocka_unit_test_setup(test_blocked, setup),
        cmocka_unit_test_setup(test_change, setup),
        cmocka_unit_test_setup(test_nobody_starves, setup),
        cmocka_unit_test_setup(test_starving_and_blocked, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
