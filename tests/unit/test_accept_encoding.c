#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/accept_encoding.h"

enum {
    BR = CODING_BIT(CODING_BR),
    ZSTD = CODING_BIT(CODING_ZSTD),
    GZIP = CODING_BIT(CODING_GZIP)
};
enum { ALL = BR | ZSTD | GZIP };

struct row {
    const char *value; /* NULL: no field */
    unsigned offered;
    enum coding want;
};

static const struct row rows[] = {
    /* RFC 9110 12.5.3: without the field, and with an empty one */
    {NULL, ALL, CODING_IDENTITY},
    {"", ALL, CODING_IDENTITY},
    {",", ALL, CODING_IDENTITY},
    /* one of them */
    {"gzip", ALL, CODING_GZIP},
    {"br", ALL, CODING_BR},
    {"zstd", ALL, CODING_ZSTD},
    {"identity", ALL, CODING_IDENTITY},
    {"gzip", BR, CODING_IDENTITY},
    {"gzip", 0, CODING_IDENTITY},
    {"deflate", ALL, CODING_IDENTITY},
    {"compress, gzip", ALL, CODING_GZIP},
    /* names in any case, x-gzip (8.4.1.3) */
    {"GZip", ALL, CODING_GZIP},
    {"x-gzip", ALL, CODING_GZIP},
    {"gzipped", ALL, CODING_IDENTITY},
    {"gzi", ALL, CODING_IDENTITY},
    /* several of one quality: ours to choose */
    {"gzip, deflate, br, zstd", ALL, CODING_BR},
    {"gzip, deflate, br, zstd", GZIP | ZSTD, CODING_ZSTD},
    {"gzip, deflate, br, zstd", GZIP, CODING_GZIP},
    {"gzip;q=1.0, identity; q=0.5, *;q=0", ALL, CODING_GZIP},
    {"identity, gzip", ALL, CODING_GZIP},
    /* 12.4.2: qualities */
    {"br;q=0.1, gzip;q=0.9", ALL, CODING_GZIP},
    {"br;q=0.899, zstd;q=0.9, gzip;q=0.89", ALL, CODING_ZSTD},
    {"br;q=0.1, gzip;q=0.9", BR, CODING_BR},
    {"gzip;q=0.001", ALL, CODING_GZIP},
    {"gzip;q=0", ALL, CODING_IDENTITY},
    {"gzip;q=0.000", ALL, CODING_IDENTITY},
    {"gzip;q=1.000", ALL, CODING_GZIP},
    {"gzip;q=1.", ALL, CODING_GZIP},
    {"gzip;Q=0.5", ALL, CODING_GZIP},
    {"gzip \t; \tq=0.5", ALL, CODING_GZIP},
    {"identity;q=1, gzip;q=0.5", ALL, CODING_IDENTITY},
    {"identity;q=0.5, gzip;q=1", ALL, CODING_GZIP},
    /* "*" stands for what is not named */
    {"*", ALL, CODING_BR},
    {"*;q=0.5", ALL, CODING_BR},
    {"*;q=0.5", GZIP, CODING_GZIP},
    {"*;q=0", ALL, CODING_IDENTITY},
    {"br;q=0, *", ALL, CODING_ZSTD},
    {"*, br;q=0", ALL, CODING_ZSTD},
    {"gzip, *;q=0", ALL, CODING_GZIP},
    {"identity, *;q=0.5", ALL, CODING_IDENTITY},
    /* identity refused */
    {"identity;q=0, gzip;q=0.2", ALL, CODING_GZIP},
    {"identity;q=0", ALL, CODING_IDENTITY}, /* nothing to give: the field is disregarded */
    {"identity;q=0, *", ALL, CODING_BR},
    {"identity;q=0, *", 0, CODING_IDENTITY},
    /* the first mention counts */
    {"gzip;q=0, gzip", ALL, CODING_IDENTITY},
    {"gzip, x-gzip;q=0", ALL, CODING_GZIP},
    /* what is no element is skipped */
    {"gzip;q=2", ALL, CODING_IDENTITY},
    {"gzip;q=1.1", ALL, CODING_IDENTITY},
    {"gzip;q=0.1234", ALL, CODING_IDENTITY},
    {"gzip;q=", ALL, CODING_IDENTITY},
    {"gzip;q=.5", ALL, CODING_IDENTITY},
    {"gzip;q=-1", ALL, CODING_IDENTITY},
    {"gzip;q=0.x", ALL, CODING_IDENTITY},
    {"gzip;level=9", ALL, CODING_IDENTITY},
    {"gzip;", ALL, CODING_IDENTITY},
    {"gzip;q=0.5;x", ALL, CODING_IDENTITY},
    {";q=1", ALL, CODING_IDENTITY},
    {"gzip br", ALL, CODING_IDENTITY},
    {"gzip;q=9, br;q=0.5", ALL, CODING_BR},
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const struct field fields[] = {{SLICE("Accept"), SLICE("br")},
                                       {SLICE("accept-encoding"), slice_str(row->value)}};
        struct accept_encoding a;
        accept_encoding_read(fields, row->value ? 2 : 1, &a);
        enum coding got = accept_encoding_pick(&a, row->offered);
        if (got != row->want)
            fail_msg("row %zu, %s: %s", i, row->value, coding_name(got).p);
    }
}

/* 5.3: several fields are one list */
static void several_fields(void **state)
{
    const struct field fields[] = {{SLICE("Accept-Encoding"), SLICE("gzip;q=0.5")},
                                   {SLICE("X-Accept-Encoding"), SLICE("zstd")},
                                   {SLICE("ACCEPT-ENCODING"), SLICE("br;q=0.8, gzip;q=1")}};
    struct accept_encoding a;

    (void)state;
    accept_encoding_read(fields, 3, &a);
    assert_int_equal(a.q[CODING_GZIP], 500);
    assert_int_equal(a.q[CODING_BR], 800);
    assert_int_equal(a.q[CODING_ZSTD], 0);
    assert_int_equal(a.q[CODING_IDENTITY], 1);
}

static void names(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CODINGS; c++)
        assert_int_equal(coding_of(coding_name((enum coding)c)), c);
    assert_int_equal(coding_of(SLICE("*")), CODINGS);
    assert_int_equal(coding_of(SLICE("")), CODINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(several_fields),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
