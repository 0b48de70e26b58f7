/* gateway/response_fields.h: what of a response reaches the client, each byte of a name and of a
 * value at each place. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "../../gateway/response_fields.h"
#include "../../gateway/stream.h"

static bool passes(struct slice name, struct slice value)
{
    struct arena a = {0};
    struct field field = {name, value};
    struct response r = {.fields = &field, .n_fields = 1};

    assert_int_equal(response_fields_clean(&a, &r), 0);
    bool passed = r.n_fields == 1;
    if (passed) {
        assert_ptr_equal(r.fields[0].name.p, name.p);
        assert_ptr_equal(r.fields[0].value.p, value.p);
    }
    arena_fini(&a);
    return passed;
}

static void bytes_of_values(void **state)
{
    char text[40];

    (void)state;
    assert_true(passes(SLICE("X-A"), (struct slice){NULL, 0}));
    for (size_t n = 1; n <= sizeof(text); n++) {
        for (size_t i = 0; i < n; i++) {
            memset(text, 'v', sizeof(text));
            for (int c = 0; c < 256; c++) {
                text[i] = (char)c;
                bool ends = c == '\0' || c == '\n' || c == '\r';
                assert_int_equal(passes(SLICE("X-A"), slice_of(text, n)), !ends);
            }
        }
        memset(text, 'v', sizeof(text));
        if (n < sizeof(text)) { /* nothing behind it is looked at */
            text[n] = '\n';
            assert_true(passes(SLICE("X-A"), slice_of(text, n)));
        }
    }
}

static void bytes_of_names(void **state)
{
    char text[20];

    (void)state;
    assert_false(passes(SLICE(""), SLICE("v")));
    for (size_t n = 1; n <= sizeof(text); n++) {
        for (size_t i = 0; i < n; i++) {
            memset(text, 'n', sizeof(text));
            for (int c = 0; c < 256; c++) {
                text[i] = (char)c;
                bool good = c > ' ' && c < 0x7f && c != ':';
                assert_int_equal(passes(slice_of(text, n), SLICE("v")), good);
            }
        }
    }
}

static void fields_of_the_connection(void **state)
{
    static const char *const gone[] = {"Connection", "keep-alive",     "TRANSFER-ENCODING",
                                       "Status",     "Upgrade",        "Trailer",
                                       "te",         "Content-Length", "Proxy-Connection"};
    static const char *const stay[] = {"Connections", "Status-",         "TEE",
                                       "T",           "Content-Lengths", "Content-Type"};

    (void)state;
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        assert_false(passes(slice_str(gone[i]), SLICE("x")));
    for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
        assert_true(passes(slice_str(stay[i]), SLICE("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_values),
        cmocka_unit_test(bytes_of_names),
        cmocka_unit_test(fields_of_the_connection),
    };

    return cmocka_run_group_tests_name("response_fields", tests, NULL, NULL);
}
