/* fcgi/backoff.c: delays and reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>

#include "../../fcgi/backoff.h"

static void failures_double_up_to_the_limit(void **state)
{
    static const unsigned delays[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct backoff b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++)
        assert_int_equal(backoff_next(&b, false, 5, 10000), delays[i]);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(backoff_next(&b, false, 9999, 10000), 10000);
}

static void ten_good_seconds_forgive(void **state)
{
    struct backoff b = {0};

    (void)state;
    backoff_next(&b, false, 0, 30000);
    backoff_next(&b, false, 0, 30000);
    assert_int_equal(backoff_next(&b, false, 10000, 30000), 0);
    assert_int_equal(backoff_next(&b, false, 9999, 30000), 100);
}

static void clean_ends_are_free(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(backoff_next(&b, true, 100, 30000), 0);
}

static void quick_clean_ends_slow_down(void **state)
{
    static const unsigned delays[] = {100, 200, 400, 800, 1000, 1000};
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(backoff_next(&b, true, 99, 30000), 0);
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++)
        assert_int_equal(backoff_next(&b, true, 99, 30000), delays[i]);
    assert_int_equal(backoff_next(&b, true, 100, 30000), 0);
    assert_int_equal(backoff_next(&b, true, 1, 30000), 0);
}

static void clean_end_forgives_failures(void **state)
{
    struct backoff b = {0};

    (void)state;
    backoff_next(&b, false, 0, 30000);
    backoff_next(&b, false, 0, 30000);
    backoff_next(&b, true, 500, 30000);
    assert_int_equal(backoff_next(&b, false, 0, 30000), 100);
}

static void reasons(void **state)
{
    char text[64];

    (void)state;
    assert_string_equal(backoff_reason(0, text, sizeof text), "exit status 0");
    assert_string_equal(backoff_reason(255 << 8, text, sizeof text), "exit status 255");
    assert_string_equal(backoff_reason(SIGSEGV, text, sizeof text), "signal 11 (SIGSEGV)");
    assert_string_equal(backoff_reason(SIGABRT | 0x80, text, sizeof text),
                        "signal 6 (SIGABRT), core dumped");
    assert_string_equal(backoff_reason(40, text, sizeof text), "signal 40");
    assert_string_equal(backoff_reason(SIGKILL, text, 9), "signal 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_double_up_to_the_limit),
        cmocka_unit_test(ten_good_seconds_forgive),
        cmocka_unit_test(clean_ends_are_free),
        cmocka_unit_test(quick_clean_ends_slow_down),
        cmocka_unit_test(clean_end_forgives_failures),
        cmocka_unit_test(reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
