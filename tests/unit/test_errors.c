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

static void page_names_status_and_nothing_else(void **state)
{
    struct arena a;
    struct slice type;

    (void)state;
    arena_init(&a);
    struct slice page = error_page(&a, 404, &type);
    assert_true(slice_eq(type, SLICE("text/html; charset=utf-8")));
    assert_true(slice_starts(page, SLICE("<!DOCTYPE html>")));
    assert_true(slice_ends(page, SLICE("</html>\n")));
    assert_non_null(memmem(page.p, page.n, "<title>404 Not Found</title>", 28));
    assert_non_null(memmem(page.p, page.n, "<h1>404 Not Found</h1>", 22));

    page = error_page(&a, 599, &type);
    assert_non_null(memmem(page.p, page.n, "<h1>599</h1>", 12));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reason_of_each_status),
        cmocka_unit_test(every_failure_has_a_reason),
        cmocka_unit_test(page_names_status_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
