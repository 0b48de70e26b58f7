/* Tests of gateway/http2_budget.c: the scanner and the counters, with a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/http2_budget.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* Preface, SETTINGS of 6, DATA of 3 with flags 1 on 5, PING ACK, a frame of 0. */
static const char wire[] = PREFACE "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\1"
                                   "\0\0\3\0\1\x80\0\0\5abc"
                                   "\0\0\x8\6\1\0\0\0\0pingpong"
                                   "\0\0\0\xfe\xff\xff\xff\xff\xff";

static size_t scan(struct h2_scan *scanner, struct slice in, struct h2_frame_head *heads)
{
    size_t n = 0;

    while (h2_scan_next(scanner, &in, &heads[n]))
        n++;
    assert_int_equal(in.n, 0);
    return n;
}

static void check_heads(const struct h2_frame_head *h, size_t n)
{
    assert_int_equal(n, 4);
    assert_int_equal(h[0].length, 6);
    assert_int_equal(h[0].type, 4);
    assert_int_equal(h[0].stream_id, 0);
    assert_int_equal(h[1].length, 3);
    assert_int_equal(h[1].flags, 1);
    assert_int_equal(h[1].stream_id, 5); /* the reserved bit is ignored, RFC 9113 4.1 */
    assert_int_equal(h[2].length, 8);
    assert_int_equal(h[2].type, 6);
    assert_int_equal(h[3].length, 0);
    assert_int_equal(h[3].type, 0xfe);
    assert_int_equal(h[3].stream_id, 0x7fffffff);
}

static void test_scan(void **state)
{
    struct h2_frame_head heads[8];
    size_t len = sizeof(wire) - 1;

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        struct h2_scan s = {0};
        size_t n = scan(&s, slice_of(wire, cut), heads);
        n += scan(&s, slice_of(wire + cut, len - cut), heads + n);
        check_heads(heads, n);
    }
    struct h2_scan s = {0};
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += scan(&s, slice_of(wire + i, 1), heads + n);
    check_heads(heads, n);
}

static void test_rate(void **state)
{
    struct h2_rate r = {0};

    (void)state;
    assert_int_equal(h2_rate_add(&r, 10, 5000, 1000), 10);
    assert_int_equal(h2_rate_add(&r, 10, 5999, 1000), 20);
    assert_int_equal(h2_rate_add(&r, 0, 6000, 1000), 20); /* all of the bucket before */
    assert_int_equal(h2_rate_add(&r, 0, 6250, 1000), 15); /* three quarters of it */
    assert_int_equal(h2_rate_add(&r, 4, 6500, 1000), 14); /* half of it, and four */
    assert_int_equal(h2_rate_add(&r, 0, 6999, 1000), 4);
    assert_int_equal(h2_rate_add(&r, 1, 100, 1000), 25); /* the clock went back: stands still */
    assert_int_equal(h2_rate_add(&r, 0, 7000, 1000), 5);
    assert_int_equal(h2_rate_add(&r, 0, 8000, 1000), 0);
    assert_int_equal(h2_rate_add(&r, 7, 90000, 1000), 7); /* long silence */
}

static void test_rate_does_not_overflow(void **state)
{
    struct h2_rate r = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(h2_rate_add(&r, UINT32_MAX - 5, 1000, 1000) >= UINT32_MAX / 2);
    assert_true(h2_rate_add(&r, UINT32_MAX, 2000, 1000) >= UINT32_MAX / 2);
}

static struct slice frame(char *out, uint32_t length, uint8_t type, uint8_t flags)
{
    memset(out, 0, 9 + length);
    out[1] = (char)(length >> 8);
    out[2] = (char)length;
    out[3] = (char)type;
    out[4] = (char)flags;
    out[8] = 1;
    return slice_of(out, 9 + length);
}

/* How many such frames fit in the budget. */
static unsigned fits(uint32_t length, uint8_t type, uint8_t flags)
{
    static char out[9 + 20000];
    struct slice f = frame(out, length, type, flags);
    struct h2_budget b;
    unsigned n = 0;

    h2_budget_init(&b, 10, 20);
    assert_true(h2_budget_input(&b, SLICE(PREFACE), 1));
    while (n < 1000 && h2_budget_input(&b, f, 1))
        n++;
    return n;
}

static void test_charges(void **state)
{
    static const struct {
        const char *what;
        uint32_t length;
        uint8_t type, flags;
        unsigned fits;
    } rows[] = {
        {"DATA", 1, 0, 0, 1000},
        {"empty DATA", 0, 0, 0, 20},
        {"empty DATA that ends", 0, 0, 1, 1000},
        {"padding alone", 256, 0, 8, 20},
        {"padded DATA", 257, 0, 8, 1000},
        {"HEADERS", 5, 1, 4, 1000},
        {"empty HEADERS", 0, 1, 4, 20},
        {"PRIORITY", 5, 2, 0, 20},
        {"RST_STREAM", 4, 3, 0, 10},
        {"SETTINGS", 0, 4, 0, 20},
        {"SETTINGS ACK", 0, 4, 1, 20},
        {"PING", 8, 6, 0, 20},
        {"GOAWAY", 8, 7, 0, 20},
        {"WINDOW_UPDATE", 4, 8, 0, 32 + 20},
        {"CONTINUATION", 100, 9, 0, 20},
        {"PRIORITY_UPDATE", 4, 16, 0, 20},
        {"unknown", 16000, 77, 0, 20},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned n = fits(rows[i].length, rows[i].type, rows[i].flags);
        if (n != rows[i].fits)
            fail_msg("%s: %u", rows[i].what, n);
    }
}

static void test_updates_are_paid_for(void **state)
{
    static char out[16];
    struct slice update = frame(out, 4, 8, 0);
    struct h2_budget b;
    struct h2_trip trip;

    (void)state;
    h2_budget_init(&b, 10, 0);
    assert_true(h2_budget_input(&b, SLICE(PREFACE), 1));
    for (int i = 0; i < 32; i++)
        assert_true(h2_budget_input(&b, update, 1));
    h2_budget_sent(&b, 16384); /* two and one for each KiB */
    for (int i = 0; i < 18; i++)
        assert_true(h2_budget_input(&b, update, 1));
    assert_false(h2_budget_input(&b, update, 1));
    assert_true(h2_budget_tripped(&b, 1, &trip));
    assert_string_equal(trip.what, "control frames");
    assert_int_equal(trip.figure, 1);
    assert_int_equal(trip.limit, 0);
    assert_int_equal(trip.window_s, 10);
    h2_budget_sent(&b, SIZE_MAX / 2);
    h2_budget_sent(&b, SIZE_MAX / 2);
    assert_true(b.updates <= 1 << 20);
}

static void test_provoked(void **state)
{
    struct h2_budget b;
    struct h2_trip trip;

    (void)state;
    h2_budget_init(&b, 10, 20);
    h2_budget_provoked(&b, 10, 1000);
    assert_false(h2_budget_tripped(&b, 1000, &trip));
    h2_budget_provoked(&b, 0, 1000);
    h2_budget_provoked(&b, 1, 15000);
    assert_true(h2_budget_tripped(&b, 15000, &trip));
    assert_string_equal(trip.what, "resets");
    assert_int_equal(trip.figure, 11);
    assert_false(h2_budget_tripped(&b, 40000, &trip)); /* most of it is past */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_does_not_overflow),
        cmocka_unit_test(test_charges),
        cmocka_unit_test(test_updates_are_paid_for),
        cmocka_unit_test(test_provoked),
    };

    return cmocka_run_group_tests_name("http2_budget", tests, NULL, NULL);
}
