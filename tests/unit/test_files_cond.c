#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/files_cond.h"

#define TAG "\"abc\""
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EXACT "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct validators file = {{TAG, 5}, 784111777, 1795392000};

enum { FIELDS_MAX = 4 };
struct fields {
    struct field f[FIELDS_MAX];
    size_t n;
};

static struct fields fields_of(const char *const pairs[2 * FIELDS_MAX])
{
    struct fields out = {.n = 0};

    for (size_t i = 0; i < FIELDS_MAX && pairs[2 * i]; i++)
        out.f[out.n++] = (struct field){slice_str(pairs[2 * i]), slice_str(pairs[2 * i + 1])};
    return out;
}

struct cond_row {
    const char *pairs[2 * FIELDS_MAX];
    enum cond want;
};

static const struct cond_row conds[] = {
    {{NULL}, COND_SEND},
    /* RFC 9110 13.1.1 If-Match, strong comparison */
    {{"If-Match", TAG}, COND_SEND},
    {{"if-match", TAG}, COND_SEND},
    {{"If-Match", "*"}, COND_SEND},
    {{"If-Match", "\"x\", " TAG}, COND_SEND},
    {{"If-Match", "\"x\"," TAG ",\"y\""}, COND_SEND},
    {{"If-Match", "\"x\"", "If-Match", TAG}, COND_SEND},
    {{"If-Match", TAG, "If-Match", "\"x\""}, COND_SEND},
    {{"If-Match", "\"x\""}, COND_FAILED},
    {{"If-Match", "W/" TAG}, COND_FAILED},
    {{"If-Match", "abc"}, COND_FAILED},
    {{"If-Match", ""}, COND_FAILED},
    {{"If-Match", "\"ab\""}, COND_FAILED},
    {{"If-Match", "\"abcd\""}, COND_FAILED},
    {{"If-Match", "\"ABC\""}, COND_FAILED},
    {{"If-Match", "\"abc"}, COND_FAILED},
    /* 8.8.3: commas and spaces belong to a tag */
    {{"If-Match", "\"x,y\", " TAG}, COND_SEND},
    {{"If-Match", "\"," TAG ",\""}, COND_FAILED},
    {{"If-Match", ", ,\t" TAG}, COND_SEND},
    /* 13.1.2 If-None-Match, weak comparison */
    {{"If-None-Match", TAG}, COND_NOT_MODIFIED},
    {{"If-None-Match", "W/" TAG}, COND_NOT_MODIFIED},
    {{"If-None-Match", "*"}, COND_NOT_MODIFIED},
    {{"If-None-Match", "W/\"x\", W/" TAG}, COND_NOT_MODIFIED},
    {{"If-None-Match", "\"x\"", "If-None-Match", TAG}, COND_NOT_MODIFIED},
    {{"If-None-Match", "\"x\""}, COND_SEND},
    {{"If-None-Match", "w/" TAG}, COND_SEND},
    {{"If-None-Match", "garbage " TAG}, COND_SEND},
    {{"If-None-Match", ""}, COND_SEND},
    /* 13.1.3 If-Modified-Since */
    {{"If-Modified-Since", EXACT}, COND_NOT_MODIFIED},
    {{"If-Modified-Since", AFTER}, COND_NOT_MODIFIED},
    {{"If-Modified-Since", BEFORE}, COND_SEND},
    {{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}, COND_NOT_MODIFIED},
    {{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}, COND_NOT_MODIFIED},
    {{"If-Modified-Since", "not a date"}, COND_SEND},
    {{"If-Modified-Since", AFTER, "If-Modified-Since", AFTER}, COND_SEND},
    /* 13.1.3: ignored when there is If-None-Match */
    {{"If-None-Match", "\"x\"", "If-Modified-Since", AFTER}, COND_SEND},
    {{"If-None-Match", TAG, "If-Modified-Since", BEFORE}, COND_NOT_MODIFIED},
    /* 13.1.4 If-Unmodified-Since */
    {{"If-Unmodified-Since", EXACT}, COND_SEND},
    {{"If-Unmodified-Since", AFTER}, COND_SEND},
    {{"If-Unmodified-Since", BEFORE}, COND_FAILED},
    {{"If-Unmodified-Since", "not a date"}, COND_SEND},
    /* 13.1.4: ignored when there is If-Match */
    {{"If-Match", TAG, "If-Unmodified-Since", BEFORE}, COND_SEND},
    {{"If-Match", "\"x\"", "If-Unmodified-Since", AFTER}, COND_FAILED},
    /* 13.2.2: the order */
    {{"If-Match", "\"x\"", "If-None-Match", TAG}, COND_FAILED},
    {{"If-Match", TAG, "If-None-Match", TAG}, COND_NOT_MODIFIED},
    {{"If-Unmodified-Since", BEFORE, "If-None-Match", TAG}, COND_FAILED},
    {{"If-Unmodified-Since", AFTER, "If-Modified-Since", AFTER}, COND_NOT_MODIFIED},
};

static void preconditions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conds) / sizeof(conds[0]); i++) {
        struct fields f = fields_of(conds[i].pairs);
        enum cond got = cond_check(f.f, f.n, &file);
        if (got != conds[i].want)
            fail_msg("row %zu (%s: %s): %d", i, conds[i].pairs[0], conds[i].pairs[1], (int)got);
    }
}

struct if_range_row {
    const char *pairs[2 * FIELDS_MAX];
    enum range_kind want;
};

static const struct if_range_row if_ranges[] = {
    {{NULL}, RANGE_WHOLE},
    {{"Range", "bytes=0-1"}, RANGE_PART},
    {{"Range", "bytes=0-1,3-4"}, RANGE_PART},
    {{"Range", "bytes=0-1", "Range", "bytes=0-1"}, RANGE_WHOLE},
    /* RFC 9110 13.1.5 */
    {{"Range", "bytes=0-1", "If-Range", TAG}, RANGE_PART},
    {{"Range", "bytes=0-1", "If-Range", "\"x\""}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", "W/" TAG}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", TAG ", " TAG}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", "*"}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", EXACT}, RANGE_PART},
    {{"Range", "bytes=0-1", "If-Range", AFTER}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", BEFORE}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", "not a date"}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", ""}, RANGE_WHOLE},
    {{"Range", "bytes=0-1", "If-Range", TAG, "If-Range", TAG}, RANGE_WHOLE},
    {{"Range", "bytes=100-", "If-Range", TAG}, RANGE_UNSATISFIABLE},
    {{"Range", "bytes=100-", "If-Range", "\"x\""}, RANGE_WHOLE},
    {{"If-Range", TAG}, RANGE_WHOLE},
};

static void if_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(if_ranges) / sizeof(if_ranges[0]); i++) {
        struct fields f = fields_of(if_ranges[i].pairs);
        struct ranges r;
        enum range_kind got = range_check(f.f, f.n, &file, 100, &r);
        if (got != if_ranges[i].want)
            fail_msg("row %zu: %d", i, (int)got);
    }
}

/* 8.8.2.2: within the second of the change the date does not tell two versions apart. */
static void fresh_date_is_weak(void **state)
{
    static const char *const pairs[2 * FIELDS_MAX] = {"Range", "bytes=0-1", "If-Range", EXACT};
    struct fields f = fields_of(pairs);
    struct validators fresh = file;
    struct ranges r;

    (void)state;
    fresh.now = fresh.mtime;
    assert_int_equal(range_check(f.f, f.n, &fresh, 100, &r), RANGE_WHOLE);
    fresh.now = fresh.mtime + 1;
    assert_int_equal(range_check(f.f, f.n, &fresh, 100, &r), RANGE_PART);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preconditions),
        cmocka_unit_test(if_range),
        cmocka_unit_test(fresh_date_is_weak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
