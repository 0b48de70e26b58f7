/* gateway/accept.h: media ranges, weights, which range applies, and what is passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/accept.h"

static const struct slice offers[] = {
    {"text/html", 9}, {"application/json", 16}, {"text/plain", 10}};
enum { HTML, JSON, TEXT, N_OFFERS, NONE = -1 };

static int pick(const char *accept)
{
    const struct field field = {SLICE("accept"), slice_str(accept)};

    return accept_pick(&field, 1, offers, N_OFFERS);
}

static const struct row {
    const char *accept;
    int picked;
} rows[] = {
    /* nothing said: anything will do */
    {"", HTML},
    {" , ,", HTML},
    {"*/*", HTML},
    /* one type */
    {"text/html", HTML},
    {"application/json", JSON},
    {"APPLICATION/Json", JSON},
    {"text/plain", TEXT},
    {"image/png", NONE},
    {"text/htm", NONE},
    {"text/htmls", NONE},
    /* weights, 12.4.2 */
    {"text/html;q=0.5, application/json", JSON},
    {"text/html;q=0.5, application/json;q=0.501", JSON},
    {"text/html;q=0.5, application/json;q=0.5", HTML},
    {"text/plain;q=0.9, application/json;q=0.8", TEXT},
    {"text/html;q=0", NONE},
    {"text/html;q=0.000", NONE},
    {"text/html;q=0.001", HTML},
    {"text/html;q=1.000", HTML},
    {"text/html; Q=0.1 , application/json ; q=0.2", JSON},
    /* wildcards, and the most specific range, 12.5.1 */
    {"text/*", HTML},
    {"text/*;q=0.5, text/plain", TEXT},
    {"application/*", JSON},
    {"*/*;q=0.1, application/json;q=0.2", JSON},
    {"*/*, text/html;q=0", JSON},
    {"*/*, text/html;q=0, application/json;q=0", TEXT},
    {"*/*;q=0, text/plain;q=0.001", TEXT},
    {"text/html;q=0, text/*;q=0.4, */*;q=0.5", JSON},
    {"text/html;q=0.1, text/html;q=0.9, application/json;q=0.5", HTML},
    /* browsers, and what asks for images */
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML},
    {"image/avif,image/webp,*/*;q=0.8", HTML},
    {"application/json, text/plain, */*", JSON},
    /* parameters: another version of the type is not ours */
    {"text/html;level=1", NONE},
    {"text/html;level=1, */*;q=0.1", HTML},
    {"text/plain;charset=utf-8, text/html;q=0.9", TEXT},
    {"text/plain;charset=\"UTF-8\"", TEXT},
    {"text/plain;charset=latin1", NONE},
    {"text/plain;q=0.1, text/plain;charset=utf-8;q=0.9, text/html;q=0.5", TEXT},
    {"text/plain;format=flowed, application/json", JSON},
    {"application/json;q=0.5;ext=1, text/html;q=0.1", JSON},
    {"text/html;;q=0.1, application/json;q=0.2", JSON},
    /* quoted strings hide commas and semicolons */
    {"text/plain;a=\"x,text/html\", application/json;q=0.1", JSON},
    {"text/plain;a=\";q=1\\\",\", application/json;q=0.1", JSON},
    {"application/json, text/plain;a=\"x", JSON},
    /* malformed ranges are passed over; without a good one nothing was said */
    {"*", HTML},
    {"*/html, application/json", JSON},
    {"text, application/json", JSON},
    {"text/, application/json", JSON},
    {"/html, application/json", JSON},
    {"te xt/html, application/json", JSON},
    {"text/html;q=2, application/json;q=0.1", JSON},
    {"text/html;q=1.001, application/json;q=0.1", JSON},
    {"text/html;q=0.1234, application/json;q=0.1", JSON},
    {"text/html;q=, application/json;q=0.1", JSON},
    {"text/html;q=.5, application/json;q=0.1", JSON},
    {"text/html;q=-1, application/json;q=0.1", JSON},
    {"text/html;q=0,5", NONE},
    {"text/html;q=x", HTML},
};

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int got = pick(rows[i].accept);
        if (got != rows[i].picked)
            fail_msg("\"%s\": picked %d, not %d", rows[i].accept, got, rows[i].picked);
    }
}

/* RFC 9110 12.5.1, the example of its table. */
static void weights_of_the_rfc(void **state)
{
    struct slice accept = SLICE("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
                                "text/plain;format=fixed;q=0.4, */*;q=0.5");

    (void)state;
    assert_int_equal(accept_weight(accept, SLICE("text/plain")), 700);
    assert_int_equal(accept_weight(accept, SLICE("text/html")), 300);
    assert_int_equal(accept_weight(accept, SLICE("image/jpeg")), 500);
    assert_int_equal(accept_weight(SLICE("nothing"), SLICE("text/html")), -1);
    assert_int_equal(accept_weight(SLICE("image/png"), SLICE("text/html")), 0);
}

/* Two lines are one list (5.3); other fields are none of it. */
static void several_fields(void **state)
{
    const struct field fields[] = {
        {SLICE("Accept-Language"), SLICE("text/plain")},
        {SLICE("Accept"), SLICE("text/html;q=0.1")},
        {SLICE("ACCEPT"), SLICE("application/json;q=0.2")},
    };

    (void)state;
    assert_int_equal(accept_pick(fields, 1, offers, N_OFFERS), HTML);
    assert_int_equal(accept_pick(fields, 2, offers, N_OFFERS), HTML);
    assert_int_equal(accept_pick(fields, 3, offers, N_OFFERS), JSON);
    assert_int_equal(accept_pick(NULL, 0, offers, N_OFFERS), HTML);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(weights_of_the_rfc),
        cmocka_unit_test(several_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
