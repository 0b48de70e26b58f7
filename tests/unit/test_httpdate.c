#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../gateway/httpdate.h"

static const int64_t now = 1795392000; /* 2026-11-23 */

static void parse_table(void **state)
{
    static const struct {
        const char *text;
        int64_t t;
    } rows[] = {
        /* RFC 9110 5.6.7: the three forms */
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* leap second */
        /* two digits: at most 50 years ahead */
        {"Monday, 23-Nov-26 00:00:00 GMT", 1795392000},
        {"Monday, 23-Nov-76 00:00:00 GMT", 3373315200},
        {"Monday, 22-Nov-77 00:00:00 GMT", 249004800},
        /* none */
        {"Fri, 31 Dec 9999 23:59:60 GMT", -1}, /* of the year 10000 */
        {"", -1},
        {"0", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {" Sun, 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:00 GMT", -1},
        {"Sun, 06 Nov 1994 08:00:61 GMT", -1},
        {"Sun, 00 Nov 1994 08:00:00 GMT", -1},
        {"Sun, 32 Nov 1994 08:00:00 GMT", -1},
        {"Thu, 31 Feb 2022 08:00:00 GMT", -1},
        {"Wed, 29 Feb 2023 08:00:00 GMT", -1},
        {"Sun, 06 Nov 1969 08:00:00 GMT", -1},
        {"Sun, -6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov +994 08:49:37 GMT", -1},
        {"Sun Nov 6 08:49:37 1994", -1},
        {"yesterday", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t t = httpdate_parse(slice_str(rows[i].text), now);
        if (t != rows[i].t)
            fail_msg("%s: %lld", rows[i].text, (long long)t);
    }
}

/* No cut of a date is one, but for asctime's, whose year may lose nothing either. */
static void every_prefix_is_refused(void **state)
{
    static const char *const dates[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    (void)state;
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        for (size_t n = 0; n < strlen(dates[i]); n++) {
            char *exact = malloc(n ? n : 1);
            memcpy(exact, dates[i], n);
            assert_int_equal(httpdate_parse(slice_of(exact, n), now), -1);
            free(exact);
        }
    }
}

static void format_and_back(void **state)
{
    static const int64_t times[] = {0, 1, 784111777, 1709164800, 4102444800, 253402300799};
    char out[HTTPDATE_LEN + 1];

    (void)state;
    assert_true(
        slice_eq(httpdate_format(out, 784111777), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        assert_int_equal(httpdate_parse(httpdate_format(out, times[i]), now), times[i]);
    assert_true(slice_eq(httpdate_format(out, -1), SLICE("Thu, 01 Jan 1970 00:00:00 GMT")));
    assert_true(
        slice_eq(httpdate_format(out, INT64_MAX), SLICE("Fri, 31 Dec 9999 23:59:59 GMT")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_table),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(format_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
