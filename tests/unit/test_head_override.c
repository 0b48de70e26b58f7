/* gateway/head_override.h: whose field stands on the head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../gateway/head_override.h"
#include "../../gateway/stream.h"

static const struct field answers[] = {
    {{"Content-Type", 12}, {"a", 1}},
    {{"ETag", 4}, {"a", 1}},
    {{"set-cookie", 10}, {"a", 1}},
    {{"Location", 8}, {"a", 1}},
};
static const struct field theirs[] = {
    {{"content-type", 12}, {"b", 1}},
    {{"Set-Cookie", 10}, {"b", 1}},
    {{"Cache-Control", 13}, {"b", 1}},
    {{"Set-Cookie", 10}, {"c", 1}},
};

static void expect(int status, int over, int want_status, const char *want)
{
    struct head_override o = {over, {"Why", over ? 3 : 0}, theirs, 4};
    struct response r = {.status = status, .fields = answers, .n_fields = 4};
    struct arena a;
    char got[256] = "";
    size_t at = 0;

    arena_init(&a);
    assert_int_equal(head_override_apply(&a, &o, &r), 0);
    for (size_t i = 0; i < r.n_fields; i++)
        at += (size_t)snprintf(got + at, sizeof(got) - at, "%.*s=%.*s|",
                               SLICE_FMT(r.fields[i].name), SLICE_FMT(r.fields[i].value));
    assert_string_equal(got, want);
    assert_int_equal(r.status, want_status);
    assert_int_equal(r.reason.n, want_status == over ? 3 : 0);
    arena_fini(&a);
}

static void test_apply(void **state)
{
    (void)state;
    expect(200, 0, 200,
           "ETag=a|set-cookie=a|Location=a|content-type=b|Set-Cookie=b|Cache-Control=b|"
           "Set-Cookie=c|");
    expect(206, 403, 206,
           "ETag=a|set-cookie=a|Location=a|content-type=b|Set-Cookie=b|Cache-Control=b|"
           "Set-Cookie=c|");
    expect(200, 403, 403,
           "set-cookie=a|Location=a|content-type=b|Set-Cookie=b|Cache-Control=b|Set-Cookie=c|");
    expect(304, 0, 304,
           "Content-Type=a|ETag=a|set-cookie=a|Location=a|Set-Cookie=b|Cache-Control=b|"
           "Set-Cookie=c|");
    expect(301, 403, 301,
           "Content-Type=a|ETag=a|set-cookie=a|Location=a|Set-Cookie=b|Set-Cookie=c|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
