/* gateway/priority.h: what a Priority field says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../gateway/priority.h"

enum { U3 = 3, BAD = -1 };

/* Over the default; also in a buffer of its own, so that a read past it is seen. */
static void expect(const char *value, size_t n, int rc, int urgency, bool incremental)
{
    struct priority_said said = {0};
    char *copy = test_malloc(n + 1);

    memcpy(copy + 1, value, n);
    int got = priority_parse(slice_of(copy + 1, n), &said);
    struct priority p = priority_over(PRIORITY_DEFAULT, said);
    if (got != rc || p.urgency != urgency || p.incremental != incremental)
        fail_msg("\"%s\": u=%d i=%d", value, p.urgency, p.incremental);
    test_free(copy);
}

static const struct {
    const char *value;
    int rc, urgency;
    bool incremental;
} rows[] = {
    /* as they come */
    {"", 0, U3, false},
    {"u=0", 0, 0, false},
    {"u=7", 0, 7, false},
    {"i", 0, U3, true},
    {"i=?1", 0, U3, true},
    {"i=?0", 0, U3, false},
    {"u=5, i", 0, 5, true},
    {"u=5,i", 0, 5, true},
    {"u=5\t,\ti", 0, 5, true},
    {"  u=5, i  ", 0, 5, true},
    {"i, u=1", 0, 1, true},
    {"u=1, u=2", 0, 2, false}, /* the last one counts (RFC 9651 4.2.2) */
    {"i, i=?0", 0, U3, false},
    {"u=1;x=y;z, i;q=0.5", 0, 1, true},
    /* what nobody knows is skipped */
    {"a", 0, U3, false},
    {"a=1, u=2, b=?0, i", 0, 2, true},
    {"*a_b-c.d*=tok:en/*, u=2", 0, 2, false},
    {"s=\"a,b \\\" \\\\\", u=2", 0, 2, false},
    {"b=:aGVsbG8=:, u=2", 0, 2, false},
    {"l=(1 2.5 \"x\";a ?1), u=2", 0, 2, false},
    {"l=( ), u=2", 0, 2, false},
    {"d=@1659578233, u=2", 0, 2, false},
    {"d=%\"f%c3%bc\", u=2", 0, 2, false},
    {"n=-12.345, u=2", 0, 2, false},
    {"uu=1, ii", 0, U3, false},
    /* of the wrong type or out of range: as if it were not there (RFC 9218 4) */
    {"u=8", 0, U3, false},
    {"u=-1", 0, U3, false},
    {"u=8, i", 0, U3, true},
    {"u=999999999999999", 0, U3, false},
    {"u=1.0", 0, U3, false},
    {"u=\"1\"", 0, U3, false},
    {"u=a", 0, U3, false},
    {"u", 0, U3, false},
    {"u=?1", 0, U3, false},
    {"u=(1)", 0, U3, false},
    {"u=2, u=8", 0, U3, false},
    {"i, i=7", 0, U3, false},
    {"i=1", 0, U3, false},
    {"i=true", 0, U3, false},
    {"i=(?1)", 0, U3, false},
    /* no dictionary: none of it counts (RFC 9651 4.2) */
    {"u=1,", BAD, U3, false},
    {"u=1, ", BAD, U3, false},
    {",u=1", BAD, U3, false},
    {"u=1,,i", BAD, U3, false},
    {"u=1 i", BAD, U3, false},
    {"u=1;", BAD, U3, false},
    {"u=", BAD, U3, false},
    {"u =1", BAD, U3, false},
    {"u= 1", BAD, U3, false},
    {"U=1", BAD, U3, false},
    {"1", BAD, U3, false},
    {"u=1, A", BAD, U3, false},
    {"u=1;A=1", BAD, U3, false},
    {"u=1;a=", BAD, U3, false},
    {"u=1, i=?2", BAD, U3, false},
    {"u=1, i=?", BAD, U3, false},
    {"u=1, a=1000000000000000", BAD, U3, false},
    {"u=1, a=1.", BAD, U3, false},
    {"u=1, a=1.2345", BAD, U3, false},
    {"u=1, a=1234567890123.1", BAD, U3, false},
    {"u=1, a=-", BAD, U3, false},
    {"u=1, a=\"x", BAD, U3, false},
    {"u=1, a=\"\\x\"", BAD, U3, false},
    {"u=1, a=\"\x7f\"", BAD, U3, false},
    {"u=1, a=\"\xc3\"", BAD, U3, false},
    {"u=1, a=:x", BAD, U3, false},
    {"u=1, a=:-:", BAD, U3, false},
    {"u=1, a=(1", BAD, U3, false},
    {"u=1, a=(1,2)", BAD, U3, false},
    {"u=1, a=((1))", BAD, U3, false},
    {"u=1, a=@1.5", BAD, U3, false},
    {"u=1, a=%\"%C3\"", BAD, U3, false},
    {"u=1, a=%x", BAD, U3, false},
    {"u=1, a=&", BAD, U3, false},
    {"u=1\r\ni", BAD, U3, false},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(rows[i].value, strlen(rows[i].value), rows[i].rc, rows[i].urgency,
               rows[i].incremental);
    expect("u=1\0", 4, BAD, U3, false);
    expect("\0", 1, BAD, U3, false);
}

/* A response's field says what differs (RFC 9218 8). */
static void test_merge(void **state)
{
    const struct priority client = {5, true};
    struct priority_said said = {0};

    (void)state;
    struct priority p = priority_over(client, said);
    assert_true(p.urgency == 5 && p.incremental);
    assert_int_equal(priority_parse(SLICE("u=1"), &said), 0);
    p = priority_over(client, said);
    assert_true(p.urgency == 1 && p.incremental);
    assert_int_equal(priority_parse(SLICE("i=?0"), &said), 0); /* the next line */
    p = priority_over(client, said);
    assert_true(p.urgency == 1 && !p.incremental);
    assert_int_equal(priority_parse(SLICE("u=7, i,"), &said), -1);
    p = priority_over(client, said);
    assert_true(p.urgency == 1 && !p.incremental);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_merge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
