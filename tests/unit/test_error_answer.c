/* gateway/error_redirect.h, error_answer_apply: what of an error and of its page is on the head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/error_redirect.h"

static struct arena a;

static int setup(void **state)
{
    (void)state;
    arena_init(&a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&a);
    return 0;
}

/* "name=value|" of each, in order. */
static const char *fields_of(const struct response *r)
{
    struct slice all = SLICE("");

    for (size_t i = 0; i < r->n_fields; i++)
        all = arena_printf(&a, "%.*s%.*s=%.*s|", SLICE_FMT(all), SLICE_FMT(r->fields[i].name),
                           SLICE_FMT(r->fields[i].value));
    return all.p;
}

static const struct field page[] = {
    {SLICE("Content-Type"), SLICE("t")},  {SLICE("etag"), SLICE("e")},
    {SLICE("Last-Modified"), SLICE("l")}, {SLICE("Accept-Ranges"), SLICE("bytes")},
    {SLICE("allow"), SLICE("page")},      {SLICE("Set-Cookie"), SLICE("page")},
};
static const struct field own[] = {{SLICE("Allow"), SLICE("PUT")},
                                   {SLICE("Set-Cookie"), SLICE("own")}};

static const struct row {
    int of, instead, page_status; /* error_answer's of and status */
    int status;
    const char *fields;
} rows[] = {
    /* the error's status and fields, the page's others but for its validators */
    {405, 405, 200, 405,
     "Content-Type=t|Set-Cookie=page|Allow=PUT|Set-Cookie=own|X-Request-Id=id|"},
    {405, 405, 299, 405,
     "Content-Type=t|Set-Cookie=page|Allow=PUT|Set-Cookie=own|X-Request-Id=id|"},
    /* another status: the error's fields would lie */
    {405, 410, 200, 410, "Content-Type=t|allow=page|Set-Cookie=page|X-Request-Id=id|"},
    {405, 200, 200, 200,
     "Content-Type=t|etag=e|Last-Modified=l|Accept-Ranges=bytes|allow=page|Set-Cookie=page|"
     "X-Request-Id=id|"},
    /* its own */
    {405, 0, 200, 200,
     "Content-Type=t|etag=e|Last-Modified=l|Accept-Ranges=bytes|allow=page|Set-Cookie=page|"
     "X-Request-Id=id|"},
    /* what is no success speaks for itself */
    {405, 405, 302, 302,
     "Content-Type=t|etag=e|Last-Modified=l|Accept-Ranges=bytes|allow=page|Set-Cookie=page|"},
    {405, 405, 500, 500,
     "Content-Type=t|etag=e|Last-Modified=l|Accept-Ranges=bytes|allow=page|Set-Cookie=page|"},
};

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        const struct error_answer e = {
            .of = row->of, .status = row->instead, .fields = own, .n_fields = 2};
        struct response r = {.status = row->page_status,
                             .reason = SLICE("Own"),
                             .fields = page,
                             .n_fields = sizeof(page) / sizeof(page[0])};
        assert_int_equal(error_answer_apply(&a, &e, SLICE("id"), &r), 0);
        assert_int_equal(r.status, row->status);
        assert_string_equal(fields_of(&r), row->fields);
        /* a reason goes with its status */
        assert_int_equal(r.reason.n, row->instead && row->page_status < 300 ? 0 : 3);
    }
}

static void one_id(void **state)
{
    const struct field named = {SLICE("x-request-id"), SLICE("app's")};
    const struct error_answer e = {.of = 404, .status = 404};
    struct response r = {.status = 200, .fields = &named, .n_fields = 1};

    (void)state;
    assert_int_equal(error_answer_apply(&a, &e, SLICE("id"), &r), 0);
    assert_string_equal(fields_of(&r), "x-request-id=app's|");
    r = (struct response){.status = 200};
    assert_int_equal(error_answer_apply(&a, &e, SLICE(""), &r), 0);
    assert_int_equal(r.n_fields, 0);
}

static void what_an_application_keeps(void **state)
{
    static const char *const kept[] = {"WWW-Authenticate", "allow", "Retry-After",
                                       "content-range", "Set-Cookie"};

    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        assert_true(error_redirect_keeps(slice_str(kept[i])));
    assert_false(error_redirect_keeps(SLICE("Content-Type")));
    assert_false(error_redirect_keeps(SLICE("Content-Length")));
    assert_false(error_redirect_keeps(SLICE("ETag")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_row, setup, teardown),
        cmocka_unit_test_setup_teardown(one_id, setup, teardown),
        cmocka_unit_test(what_an_application_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
