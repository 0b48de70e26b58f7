/* gateway/err.h: the table of failures read three ways. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/err.h"

struct row {
    int err;
    int value;
    int status;
    const char *name;
};

static const struct row rows[] = {
#define GW_ERR(sym, val, status, text) {GW_##sym, val, status, #sym},
#include "../../gateway/tbl/errors.def"
#undef GW_ERR
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static void every_row_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        assert_int_equal(rows[i].err, -rows[i].value);
        assert_int_equal(gw_err_status(rows[i].err), rows[i].status);
        assert_string_equal(gw_err_name(rows[i].err), rows[i].name);
        assert_true(strlen(gw_err_text(rows[i].err)) > 0);
    }
}

static void values_are_negative_and_differ(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        assert_true(rows[i].err < 0);
        for (size_t k = i + 1; k < N_ROWS; k++)
            assert_int_not_equal(rows[i].err, rows[k].err);
    }
}

/* A row answers with an error of HTTP, or with nothing where nobody is left to answer. */
static void statuses_are_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        int status = rows[i].status;
        assert_true(status == 0 || (status >= 300 && status <= 599));
    }
}

static void unknown_values_have_an_answer(void **state)
{
    static const int unknown[] = {1, -10000, 2147483647, -2147483647 - 1};

    (void)state;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_int_equal(gw_err_status(unknown[i]), 500);
        assert_string_equal(gw_err_name(unknown[i]), "EUNKNOWN");
        assert_string_equal(gw_err_text(unknown[i]), "unknown error");
    }
}

static void ok_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(gw_err_status(GW_OK), 200);
    assert_string_equal(gw_err_name(0), "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_reads_back),
        cmocka_unit_test(values_are_negative_and_differ),
        cmocka_unit_test(statuses_are_errors),
        cmocka_unit_test(unknown_values_have_an_answer),
        cmocka_unit_test(ok_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
