#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/authority.h"

static void authority_rows(void **state)
{
    static const struct {
        const char *text;
        bool valid, port;
    } rows[] = {
        {"a", true, false},
        {"a:80", true, true},
        {"a:0", true, true},
        {"a:65535", true, true},
        {"a:0000080", true, true},
        {"a:", true, false},
        {"a:65536", false, false},
        {"a:8o", false, false},
        {"a::80", false, false},
        {"", false, false},
        {":", false, false},
        {":80", false, false},
        {"[::]", true, false},
        {"[::1]:80", true, true},
        {"[::ffff:192.0.2.1]", true, false},
        {"[1:2:3:4:5:6:7:8]:", true, false},
        {"[1:2:3:4:5:6:7:8:9]", false, false},
        {"[::1", false, false},
        {"[]", false, false},
        {"[::1]x", false, false},
        {"[::1]80", false, false},
        {"[fe80::1%25eth0]", false, false},
        {"[v1.a]", false, false},
        {"[192.0.2.1]", false, false},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", false, false},
        {"::1", false, false},
        {"a]", false, false},
        {"a%20b", true, false},
        {"a%2", false, false},
        {"a%", false, false},
        {"%g0", false, false},
        {"a b", false, false},
        {"a@b", false, false},
        {"a\tb", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(authority_valid(slice_str(rows[i].text)), rows[i].valid);
        assert_int_equal(authority_has_port(slice_str(rows[i].text)), rows[i].port);
    }
    assert_false(authority_valid(slice_of("a\0b", 3)));
    assert_false(authority_valid(slice_of("[::1\0]", 6)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(authority_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
