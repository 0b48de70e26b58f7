#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "../../gateway/ranges.h"

struct range_row {
    const char *value;
    int64_t size;
    enum range_kind want;
    int64_t first, n;
};

static const struct range_row ranges[] = {
    /* RFC 9110 14.1.2 */
    {"bytes=0-499", 10000, RANGE_PART, 0, 500},
    {"bytes=500-999", 10000, RANGE_PART, 500, 500},
    {"bytes=-500", 10000, RANGE_PART, 9500, 500},
    {"bytes=9500-", 10000, RANGE_PART, 9500, 500},
    {"bytes=0-0", 10000, RANGE_PART, 0, 1},
    {"bytes=-1", 10000, RANGE_PART, 9999, 1},
    {"bytes=0-", 10000, RANGE_PART, 0, 10000},
    {"bytes=9999-9999", 10000, RANGE_PART, 9999, 1},
    {"bytes=0-9999", 10000, RANGE_PART, 0, 10000},
    {"bytes=0-10000", 10000, RANGE_PART, 0, 10000},
    {"bytes=9999-20000", 10000, RANGE_PART, 9999, 1},
    {"bytes=-10000", 10000, RANGE_PART, 0, 10000},
    {"bytes=-10001", 10000, RANGE_PART, 0, 10000},
    {"BYTES=0-0", 10000, RANGE_PART, 0, 1},
    {"bytes= 0-0", 10000, RANGE_PART, 0, 1},
    {"bytes=0-0,", 10000, RANGE_PART, 0, 1},
    {"bytes=,0-0", 10000, RANGE_PART, 0, 1},
    {"bytes=00-01", 10000, RANGE_PART, 0, 2},
    /* beyond any file: as far as there is one */
    {"bytes=0-9223372036854775807", 10, RANGE_PART, 0, 10},
    {"bytes=0-9223372036854775808", 10, RANGE_PART, 0, 10},
    {"bytes=0-99999999999999999999999", 10, RANGE_PART, 0, 10},
    {"bytes=-99999999999999999999999", 10, RANGE_PART, 0, 10},
    {"bytes=9223372036854775806-", INT64_MAX, RANGE_PART, INT64_MAX - 1, 1},
    /* 15.5.17 */
    {"bytes=10000-", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=10000-10001", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=99999999999999999999999-", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-5", 0, RANGE_WHOLE, 0, 0},
    /* 14.2: what is not understood is ignored */
    {"bytes=1-0", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=-", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=,", 10000, RANGE_WHOLE, 0, 0},
    {"bytes", 10000, RANGE_WHOLE, 0, 0},
    {"", 10000, RANGE_WHOLE, 0, 0},
    {"=0-1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=a-1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0-b", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0x1-2", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=+1-2", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=1 -2", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=--1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=1-2-3", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=5", 10000, RANGE_WHOLE, 0, 0},
    {"bytes 0-1", 10000, RANGE_WHOLE, 0, 0},
    {"seconds=0-1", 10000, RANGE_WHOLE, 0, 0},
    {"byte=0-1", 10000, RANGE_WHOLE, 0, 0},
    /* one that is invalid makes the set invalid */
    {"bytes=0-1,x", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0-1,4-3", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=20000-,-", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0-1;2-3", 10000, RANGE_WHOLE, 0, 0},
    /* 14.1.2: satisfiable if one of them is */
    {"bytes=0-1, 20000-", 10000, RANGE_PART, 0, 2},
    {"bytes=-0, 20000-, -3", 10000, RANGE_PART, 9997, 3},
    {"bytes=20000-, 30000-", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-,-1", 0, RANGE_WHOLE, 0, 0},
};

static void range_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        const struct range_row *row = &ranges[i];
        struct ranges r = {0};
        enum range_kind got = ranges_parse(slice_str(row->value), row->size, &r);
        if (got != row->want)
            fail_msg("%s of %lld: %d", row->value, (long long)row->size, (int)got);
        if (got == RANGE_PART &&
            (r.n != 1 || r.at[0].first != row->first || r.at[0].n != row->n))
            fail_msg("%s of %lld: %u, %lld+%lld", row->value, (long long)row->size, r.n,
                     (long long)r.at[0].first, (long long)r.at[0].n);
    }
}

struct set_row {
    const char *value;
    int64_t size;
    const char *want; /* "first-last ..." */
};

static const struct set_row sets[] = {
    {"bytes=0-1,3-4", 100, "0-1 3-4"},
    {"bytes=0-0, -1", 100, "0-0 99-99"},
    {"bytes= 0-0 , , 50-59\t,99-", 100, "0-0 50-59 99-99"},
    /* 15.3.7.2: the client's order */
    {"bytes=50-59,0-9,20-29", 100, "50-59 0-9 20-29"},
    {"bytes=-1,0-0", 100, "99-99 0-0"},
    /* overlapping and adjacent ones are one, where the first of them was */
    {"bytes=0-9,10-19", 100, "0-19"},
    {"bytes=0-9,5-19", 100, "0-19"},
    {"bytes=10-19,0-9", 100, "0-19"},
    {"bytes=0-99,10-19", 100, "0-99"},
    {"bytes=10-19,0-99", 100, "0-99"},
    {"bytes=5-5,5-5,5-5", 100, "5-5"},
    {"bytes=0-9,11-19", 100, "0-9 11-19"},
    {"bytes=40-49,0-9,45-59", 100, "40-59 0-9"},
    {"bytes=0-9,40-49,5-12", 100, "0-12 40-49"},
    /* one that joins two others, wherever they are */
    {"bytes=0-9,20-29,5-25", 100, "0-29"},
    {"bytes=20-29,0-9,5-25", 100, "0-29"},
    {"bytes=0-9,60-69,20-29,80-89,8-22", 100, "0-29 60-69 80-89"},
    {"bytes=60-69,20-29,80-89,0-9,8-22", 100, "60-69 0-29 80-89"},
    {"bytes=0-9,20-29,40-49,60-69,9-60", 100, "0-69"},
    {"bytes=90-,-50", 100, "50-99"},
    /* what lies outside is left out */
    {"bytes=200-,0-0,-0,98-1000", 100, "0-0 98-99"},
    /* beyond 32 bits */
    {"bytes=4294967296-4294967297,5000000000-", 5000000002,
     "4294967296-4294967297 5000000000-5000000001"},
    {"bytes=0-0,9223372036854775805-", INT64_MAX,
     "0-0 9223372036854775805-9223372036854775806"},
};

static void print_set(const struct ranges *r, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < r->n; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld-%lld", i ? " " : "",
                               (long long)r->at[i].first,
                               (long long)(r->at[i].first + r->at[i].n - 1));
}

static void set_table(void **state)
{
    char got[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        struct ranges r;
        assert_int_equal(ranges_parse(slice_str(sets[i].value), sets[i].size, &r), RANGE_PART);
        print_set(&r, got, sizeof(got));
        if (strcmp(got, sets[i].want) != 0)
            fail_msg("%s: %s", sets[i].value, got);
    }
}

/* "bytes=0-0,2-2,..." of n ranges. */
static struct slice many(char *out, unsigned n)
{
    size_t at = (size_t)sprintf(out, "bytes=");

    for (unsigned i = 0; i < n; i++)
        at += (size_t)sprintf(out + at, "%s%u-%u", i ? "," : "", 2 * i, 2 * i);
    return slice_of(out, at);
}

/* 14.2, 17.15: whoever names more than that gets the whole, also where they are one. */
static void number_is_bounded(void **state)
{
    char text[4096] = "bytes=";
    struct ranges r;

    (void)state;
    assert_int_equal(ranges_parse(many(text, RANGES_MAX), 1000, &r), RANGE_PART);
    assert_int_equal(r.n, RANGES_MAX);
    assert_int_equal(ranges_parse(many(text, RANGES_MAX + 1), 1000, &r), RANGE_WHOLE);
    strcpy(text, "bytes=");
    for (unsigned i = 0; i <= RANGES_MAX; i++)
        strcat(text, "0-,");
    assert_int_equal(ranges_parse(slice_str(text), 1000, &r), RANGE_WHOLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_table),
        cmocka_unit_test(set_table),
        cmocka_unit_test(number_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
