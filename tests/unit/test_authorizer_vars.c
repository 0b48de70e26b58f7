/* gateway/authorizer_vars.h: which fields set which variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../gateway/authorizer_vars.h"

static void test_names(void **state)
{
    static const struct {
        const char *field, *name; /* NULL: refused; "": not a variable */
    } table[] = {
        {"Variable-AUTH_METHOD", "AUTH_METHOD"},
        {"variable-Auth-Method", "AUTH_METHOD"},
        {"VARIABLE-x9", "X9"},
        {"Variable-eppn", "EPPN"},
        {"Variable-Shib-Session-ID", "SHIB_SESSION_ID"},
        {"Variable-_", "_"},
        {"Variable-REMOTE_USER", "REMOTE_USER"},
        {"Variable-AUTH_TYPE", "AUTH_TYPE"},
        {"Variable-HTTP_X_USER", "HTTP_X_USER"},
        {"Variable-PERSON", "PERSON"},
        {"Variable", ""},
        {"Variables-X", ""},
        {"X-Variable-Y", ""},
        {"Set-Cookie", ""},
        {"Variable-", NULL},
        {"Variable-9X", NULL},
        {"Variable-a.b", NULL},
        {"Variable-a\xc3\xa4", NULL},
        {"Variable-REMOTE_ADDR", NULL},
        {"Variable-remote-addr", NULL},
        {"Variable-SCRIPT_FILENAME", NULL},
        {"Variable-CONTENT_LENGTH", NULL},
        {"Variable-HTTP_HOST", NULL},
        {"Variable-HTTP_PROXY", NULL},
        {"Variable-HTTPS", NULL},
        {"Variable-REDIRECT_STATUS", NULL},
        {"Variable-SSL_CLIENT_S_DN", NULL},
        {"Variable-FCGI_DATA_LENGTH", NULL},
        {"Variable-FCGI_ROLE", NULL},
        {"Variable-LD_PRELOAD", NULL},
        {"Variable-PATH", NULL},
        {"Variable-path", NULL},
        {"Variable-https_proxy", NULL},
        {"Variable-PERL5OPT", NULL},
        {"Variable-PHP_ADMIN_VALUE", NULL},
    };
    char longest[9 + AUTHORIZER_VAR_MAX + 2] = "Variable-";
    struct arena a;
    struct slice name, spelled;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        enum authorizer_var want = !table[i].name      ? AUTHORIZER_VAR_REFUSED
                                   : !table[i].name[0] ? AUTHORIZER_VAR_NONE
                                                       : AUTHORIZER_VAR;
        if (authorizer_var_name(&a, slice_str(table[i].field), &name, &spelled) != want)
            fail_msg("%s", table[i].field);
        if (want != AUTHORIZER_VAR)
            continue;
        assert_true(slice_eq(name, slice_str(table[i].name)));
        assert_true(slice_eq(spelled, slice_str(table[i].field + 9)));
    }
    memset(longest + 9, 'a', AUTHORIZER_VAR_MAX);
    assert_int_equal(authorizer_var_name(&a, slice_str(longest), &name, &spelled),
                     AUTHORIZER_VAR);
    longest[9 + AUTHORIZER_VAR_MAX] = 'a';
    assert_int_equal(authorizer_var_name(&a, slice_str(longest), &name, &spelled),
                     AUTHORIZER_VAR_REFUSED);
    arena_fini(&a);
}

static void test_same(void **state)
{
    (void)state;
    assert_true(authorizer_var_same(SLICE("EPPN"), SLICE("eppn")));
    assert_true(authorizer_var_same(SLICE("SHIB_SESSION_ID"), SLICE("Shib-Session-ID")));
    assert_false(authorizer_var_same(SLICE("EPPN"), SLICE("EPPM")));
    assert_false(authorizer_var_same(SLICE("EPPN"), SLICE("EPPN_")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
