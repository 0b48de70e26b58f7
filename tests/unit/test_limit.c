/* conf/limit.c: what rate and requests_at_once say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../conf/limit.h"

static const struct row {
    const char *text;
    unsigned n, burst;
    int64_t per_ms; /* 0: requests at once */
    enum conf_by by;
    const char *field;
} rows[] = {
    {"10/s burst 20", 10, 20, 1000, CONF_BY_ADDRESS, ""},
    {"10/s", 10, 9, 1000, CONF_BY_ADDRESS, ""},
    {"1/s", 1, 0, 1000, CONF_BY_ADDRESS, ""},
    {"1/s burst 0", 1, 0, 1000, CONF_BY_ADDRESS, ""},
    {"1000000/24h burst 1000000", 1000000, 1000000, 86400000, CONF_BY_ADDRESS, ""},
    {"5/10s by user", 5, 4, 10000, CONF_BY_USER, ""},
    {"5/500ms  by   field\tX-Api-Key burst 7", 5, 7, 500, CONF_BY_FIELD, "X-Api-Key"},
    {"2/m by all", 2, 1, 60000, CONF_BY_ALL, ""},
    {"3/h by address", 3, 2, 3600000, CONF_BY_ADDRESS, ""},
    {"off", 0, 0, 1, CONF_BY_ADDRESS, ""},
    {"20", 20, 0, 0, CONF_BY_ADDRESS, ""},
    {"1000000 by user", 1000000, 0, 0, CONF_BY_USER, ""},
    {"1 by field a", 1, 0, 0, CONF_BY_FIELD, "a"},
    {"off", 0, 0, 0, CONF_BY_ADDRESS, ""},
};

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct slice text = slice_str(r->text);
        struct conf_limit l;
        assert_null(r->per_ms ? limit_parse_rate(text, &l) : limit_parse_at_once(text, &l));
        assert_int_equal(l.n, r->n);
        assert_int_equal(l.burst, r->burst);
        assert_int_equal(l.per_ms, r->n ? r->per_ms : 0);
        assert_int_equal(l.by, r->by);
        assert_true(slice_eq(l.field, slice_str(r->field)));
        assert_true(slice_eq(l.text, text));
    }
}

#define RATE                                                                                   \
    "not a number of requests from 1 to 1000000 in a time (10/s 100/m 1000/h 5/10s), nor off"
#define MORE "only burst NUMBER and by WHOM, each once, may follow the rate"
#define ONCE "not a number of requests from 1 to 1000000, nor off; only by WHOM may follow"
#define BURST "burst takes a number from 0 to 1000000"
#define WHOM "by what: address, user, field NAME or all"
#define FIELD "by field takes the name of a request field"

static const struct {
    const char *text, *rate, *at_once;
} wrong[] = {
    {"10", RATE, NULL},
    {"10/", RATE, ONCE},
    {"10/d", RATE, ONCE},
    {"10/0s", RATE, ONCE},
    {"/s", RATE, ONCE},
    {"0/s", RATE, ONCE},
    {"-1/s", RATE, ONCE},
    {"1000001/s", RATE, ONCE},
    {"10r/s", RATE, ONCE},
    {"10 /s", RATE, ONCE},
    {"10/s/s", RATE, ONCE},
    {"1/25h", "the time of a rate is 24h at most", ONCE},
    {"1/99999999999999999999s", RATE, ONCE},
    {"off 3", RATE, ONCE},
    {"OFF", RATE, ONCE},
    {"0", RATE, ONCE},
    {"1.5", RATE, ONCE},
    {"3/s 3", MORE, ONCE},
    {"3/s nodelay", MORE, ONCE},
    {"3/s burst 1 burst 2", MORE, ONCE},
    {"3/s by all by all", MORE, ONCE},
    {"3/s burst", BURST, ONCE},
    {"3/s burst -1", BURST, ONCE},
    {"3/s burst 1000001", BURST, ONCE},
    {"3/s by", WHOM, ONCE},
    {"3/s by ip", WHOM, ONCE},
    {"3/s by field", FIELD, ONCE},
    {"3/s by field a:", FIELD, ONCE},
    {"3 by", RATE, WHOM},
    {"3 by field \"x\"", RATE, FIELD},
    {"3 burst 2", RATE, ONCE},
    {"3 by all by all", RATE, ONCE},
};

static void test_wrong(void **state)
{
    struct conf_limit l;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct slice text = slice_str(wrong[i].text);
        assert_string_equal(limit_parse_rate(text, &l), wrong[i].rate);
        if (wrong[i].at_once)
            assert_string_equal(limit_parse_at_once(text, &l), wrong[i].at_once);
        else
            assert_null(limit_parse_at_once(text, &l));
    }
}

static void test_failures(void **state)
{
    static const struct {
        const char *text, *wrong; /* NULL: none */
    } some[] = {
        {"10/m", NULL},
        {"3/10s", NULL},
        {"off", NULL},
        {"10", RATE},
        {"0/m", RATE},
        {"10/m burst 5", "only a number in a time (10/m), or off"},
        {"10/m by user", "only a number in a time (10/m), or off"},
    };
    struct conf_limit l;

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        const char *why = limit_parse_failures(slice_str(some[i].text), &l);
        if (some[i].wrong)
            assert_string_equal(why, some[i].wrong);
        else
            assert_null(why);
    }
    assert_null(limit_parse_failures(SLICE("10/m"), &l));
    assert_int_equal(l.n, 10);
    assert_int_equal(l.per_ms, 60000);
    assert_int_equal(l.burst, 9);
    assert_null(limit_parse_failures(SLICE("off"), &l));
    assert_int_equal(l.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
