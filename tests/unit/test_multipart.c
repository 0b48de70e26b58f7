#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/err.h"
#include "../../gateway/multipart.h"

#define MARK "000102030405060708090a0b0c0d0e0f"

static const unsigned char boundary[MULTIPART_BOUNDARY] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                           8, 9, 10, 11, 12, 13, 14, 15};

/* RFC 9110 14.6, 15.3.7.2 */
static void exact_bytes(void **state)
{
    const struct ranges ranges = {2, {{500, 500}, {7000, 1000}}};
    struct arena a;
    struct multipart m;

    (void)state;
    arena_init(&a);
    assert_int_equal(
        multipart_init(&m, &a, &ranges, SLICE("text/x; charset=y"), 8000, boundary), 0);
    assert_string_equal(m.type.p, "multipart/byteranges; boundary=" MARK);
    assert_string_equal(m.text[0].p, "--" MARK "\r\nContent-Type: text/x; charset=y\r\n"
                                     "Content-Range: bytes 500-999/8000\r\n\r\n");
    assert_string_equal(m.text[1].p, "\r\n--" MARK "\r\nContent-Type: text/x; charset=y\r\n"
                                     "Content-Range: bytes 7000-7999/8000\r\n\r\n");
    assert_string_equal(m.text[2].p, "\r\n--" MARK "--\r\n");
    assert_int_equal(m.length, 1500 + m.text[0].n + m.text[1].n + m.text[2].n);
    arena_fini(&a);
}

static void too_long(void **state)
{
    const struct ranges ranges = {2, {{0, INT64_MAX - 2}, {INT64_MAX - 1, 1}}};
    struct arena a;
    struct multipart m;

    (void)state;
    arena_init(&a);
    assert_int_equal(multipart_init(&m, &a, &ranges, SLICE("x/y"), INT64_MAX, boundary),
                     GW_EFILE);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_bytes),
        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
