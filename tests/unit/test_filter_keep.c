/* gateway/filter_keep.h: what may be kept, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../gateway/filter_keep.h"

enum { NOW = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static void test_requests(void **state)
{
    static const struct row {
        const char *method, *field;
        bool query, body, keep;
    } rows[] = {
        {"GET", "Accept", false, false, true},
        {"HEAD", "If-None-Match", false, false, true},
        {"GET", "If-Modified-Since", false, false, true},
        {"GET", "Cookie", false, false, true},
        {"POST", "Accept", false, false, false},
        {"GET", "Accept", true, false, false},
        {"GET", "Accept", false, true, false},
        {"GET", "authorization", false, false, false},
        {"GET", "Range", false, false, false},
        {"GET", "If-Range", false, false, false},
        {"GET", "If-Match", false, false, false},
        {"GET", "If-Unmodified-Since", false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct field field = {slice_str(rows[i].field), SLICE("x")};
        struct request req = {.method = slice_str(rows[i].method),
                              .has_query = rows[i].query,
                              .has_body = rows[i].body,
                              .fields = &field,
                              .n_fields = 1};
        assert_int_equal(filter_keep_request(&req), rows[i].keep);
    }
}

static void test_answers(void **state)
{
    static const struct row {
        const char *name, *value; /* and then another Cache-Control */
        const char *second;
        int64_t keep;
    } rows[] = {
        {"Content-Type", "text/html", NULL, FILTER_KEEP_ALWAYS},
        {"Vary", "Accept", NULL, FILTER_KEEP_NEVER},
        {"set-cookie", "a=1", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "public", NULL, FILTER_KEEP_ALWAYS},
        {"Cache-Control", "no-store", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "PRIVATE", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "private=\"a, b\"", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "no-cache=\"a\"", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "no-storeX", NULL, FILTER_KEEP_ALWAYS},
        {"Cache-Control", "max-age=60", NULL, 60},
        {"Cache-Control", "max-age = \"60\" , must-revalidate", NULL, 60},
        {"Cache-Control", "max-age=0", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "max-age=-1", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "max-age", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "max-age=\"", NULL, FILTER_KEEP_NEVER},
        {"Cache-Control", "s-maxage=5, max-age=60", NULL, 5},
        {"Cache-Control", "max-age=0", "s-maxage=5", 5},
        {"Cache-Control", "s-maxage=0", "max-age=60", FILTER_KEEP_NEVER},
        {"Cache-Control", "max-age=60", "no-store", FILTER_KEEP_NEVER},
        {"Expires", "Sun, 06 Nov 1994 08:50:37 GMT", NULL, 60},
        {"Expires", "Sun, 06 Nov 1994 08:49:37 GMT", NULL, FILTER_KEEP_NEVER},
        {"Expires", "Sun, 06 Nov 1994 08:40:37 GMT", "max-age=7", 7},
        {"Expires", "0", NULL, FILTER_KEEP_NEVER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct field fields[] = {
            {slice_str(rows[i].name), slice_str(rows[i].value)},
            {SLICE("Cache-Control"), slice_str(rows[i].second)},
        };
        struct response r = {
            .status = 200, .fields = fields, .n_fields = rows[i].second ? 2 : 1};
        if (filter_keep_response(&r, NOW) != rows[i].keep)
            fail_msg("row %zu", i);
        r.status = 404;
        assert_int_equal(filter_keep_response(&r, NOW), FILTER_KEEP_NEVER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
