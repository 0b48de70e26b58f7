#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/err.h"
#include "../../gateway/errors.h"

static void reason_of_each_status(void **state)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {100, "Continue"},
        {200, "OK"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {416, "Range Not Satisfiable"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
        {511, "Network Authentication Required"},
        {0, ""},
        {-1, ""},
        {99, ""},
        {299, ""},
        {512, ""},
        {2147483647, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(slice_eq(http_reason(rows[i].status), slice_str(rows[i].text)));
}

/* Whatever the table of failures answers with has a phrase. */
static void every_failure_has_a_reason(void **state)
{
    static const int errs[] = {
#define GW_ERR(sym, val, status, text) -(val),
#include "../../gateway/tbl/errors.def"
#undef GW_ERR
    };

    (void)state;
    for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        int status = gw_err_status(errs[i]);
        if (status != 0)
            assert_true(http_reason(status).n > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reason_of_each_status),
        cmocka_unit_test(every_failure_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
