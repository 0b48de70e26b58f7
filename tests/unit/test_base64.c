#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../gateway/base64.h"

static void table(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } rows[] = {
        /* RFC 4648 10 */
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"+/+/", "\xfb\xff\xbf"},
        {"/w==", "\xff"},
        /* refused */
        {"Z", NULL},
        {"Zg", NULL},
        {"Zg=", NULL},
        {"Zm9vZ", NULL},
        {"====", NULL},
        {"Z===", NULL},
        {"Zg==Zg==", NULL},
        {"Zm=v", NULL},
        {"Zm 9", NULL},
        {"Zm9\n", NULL},
        {"Zm9-", NULL},
        {"Zm9_", NULL},
        {"Zh==", NULL}, /* 3.5: bits behind the end */
        {"Zm9=", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = strlen(rows[i].in);
        char *out = malloc(n / 4 * 3 + 1);
        ssize_t got = base64_decode(slice_str(rows[i].in), out);
        if (!rows[i].out) {
            if (got != -1)
                fail_msg("%s: %zd", rows[i].in, got);
        } else if (got < 0 || !slice_eq(slice_of(out, (size_t)got), slice_str(rows[i].out))) {
            fail_msg("%s: %zd", rows[i].in, got);
        } else { /* there is one way to write it */
            char *back = malloc(n + 1);
            assert_int_equal(BASE64_LEN((size_t)got), n);
            base64_encode(slice_of(out, (size_t)got), back);
            assert_memory_equal(back, rows[i].in, n);
            free(back);
        }
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
