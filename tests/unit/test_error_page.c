/* gateway/error_page.h: the three forms, and which of them a request gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/err.h"
#include "../../gateway/error_page.h"
#include "../../gateway/errors.h"

static const struct slice id = {"0123456789abcdef", 16}, none = {"", 0};

static bool has(struct slice text, const char *word)
{
    return memmem(text.p, text.n, word, strlen(word)) != NULL;
}

static unsigned count(struct slice text, const char *word)
{
    unsigned n = 0;

    for (size_t i = 0; i + strlen(word) <= text.n; i++)
        n += memcmp(text.p + i, word, strlen(word)) == 0;
    return n;
}

static void html(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    struct error_page p = error_page(&a, 404, ERROR_HTML, id);
    assert_true(slice_eq(p.type, SLICE("text/html; charset=utf-8")));
    assert_true(slice_starts(p.body, SLICE("<!DOCTYPE html>")));
    assert_true(slice_ends(p.body, SLICE("</html>\n")));
    assert_true(has(p.body, "<title>404 Not Found</title>"));
    assert_true(has(p.body, "<h1><b>404</b> Not Found</h1>"));
    assert_true(has(p.body, "<code>0123456789abcdef</code>"));
    assert_true(has(p.body, "prefers-color-scheme:dark"));
    /* self-contained: nothing that is fetched, nothing that runs */
    static const char *const fetched[] = {"src=",    "href=", "url(",  "@import",
                                          "<script", "http:", "https:"};
    for (size_t i = 0; i < sizeof(fetched) / sizeof(fetched[0]); i++)
        assert_false(has(p.body, fetched[i]));
    /* what is opened is closed */
    static const char *const tags[][2] = {{"<html", "</html>"},      {"<head>", "</head>"},
                                          {"<body>", "</body>"},     {"<main>", "</main>"},
                                          {"<style>", "</style>"},   {"<p>", "</p>"},
                                          {"<footer>", "</footer>"}, {"{", "}"}};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
        assert_int_equal(count(p.body, tags[i][0]), count(p.body, tags[i][1]));

    p = error_page(&a, 599, ERROR_HTML, none);
    assert_true(has(p.body, "<h1><b>599</b></h1>"));
    assert_false(has(p.body, "<footer>"));
    arena_fini(&a);
}

static void json(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    struct error_page p = error_page(&a, 503, ERROR_JSON, id);
    assert_true(slice_eq(p.type, SLICE("application/problem+json")));
    assert_true(
        slice_eq(p.body, SLICE("{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
                               "\"status\":503,\"detail\":\"The server has too much to do "
                               "right now. Please try again in a moment.\","
                               "\"request_id\":\"0123456789abcdef\"}\n")));
    p = error_page(&a, 499, ERROR_JSON, none);
    assert_true(
        slice_eq(p.body, SLICE("{\"type\":\"about:blank\",\"title\":\"\",\"status\":499,"
                               "\"detail\":\"The request could not be answered.\"}\n")));
    arena_fini(&a);
}

static void text(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    struct error_page p = error_page(&a, 413, ERROR_TEXT, id);
    assert_true(slice_eq(p.type, SLICE("text/plain; charset=utf-8")));
    assert_true(slice_eq(p.body, SLICE("413 Content Too Large\n"
                                       "What was sent is larger than this server takes.\n"
                                       "Request 0123456789abcdef\n")));
    p = error_page(&a, 499, ERROR_TEXT, none);
    assert_true(slice_eq(p.body, SLICE("499\nThe request could not be answered.\n")));
    arena_fini(&a);
}

/* Each status that any failure has, in each form: well-formed, and with a sentence of its own. */
static void every_status(void **state)
{
    static const int errs[] = {
#define GW_ERR(sym, val, status, text) -(val),
#include "../../gateway/tbl/errors.def"
#undef GW_ERR
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
        int status = gw_err_status(errs[i]);
        if (status == 0)
            continue;
        struct slice page = error_page(&a, status, ERROR_TEXT, none).body;
        ssize_t line = slice_find(page, '\n');
        struct slice detail = slice_from(page, (size_t)line + 1);
        assert_true(detail.n > 10 && detail.p[detail.n - 1] == '\n');
        detail = arena_dup(&a, slice_of(detail.p, detail.n - 1));
        assert_string_not_equal(detail.p, "The request could not be answered.");
        /* it needs no escaping anywhere */
        assert_null(strpbrk(detail.p, "<>&\"\\\n"));
        assert_true(has(error_page(&a, status, ERROR_HTML, id).body, detail.p));
        assert_true(has(error_page(&a, status, ERROR_JSON, id).body, detail.p));
        /* nothing of the inside: what the log says is not what the page says */
        assert_null(strstr(detail.p, gw_err_text(errs[i])));
    }
    arena_fini(&a);
}

static void form_by_accept(void **state)
{
    static const struct {
        const char *accept;
        enum error_form form;
    } rows[] = {
        {"text/html,application/xhtml+xml,*/*;q=0.8", ERROR_HTML},
        {"*/*", ERROR_HTML},
        {"application/json", ERROR_JSON},
        {"application/problem+json", ERROR_JSON},
        {"application/json, text/plain, */*", ERROR_JSON},
        {"application/*;q=0.5", ERROR_JSON},
        {"text/plain", ERROR_TEXT},
        {"text/html;q=0, */*;q=0.1", ERROR_JSON},
        {"image/png", ERROR_TEXT},
    };

    (void)state;
    assert_int_equal(error_page_form(NULL, 0), ERROR_HTML);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct field f = {SLICE("Accept"), slice_str(rows[i].accept)};
        assert_int_equal(error_page_form(&f, 1), rows[i].form);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html),           cmocka_unit_test(json),
        cmocka_unit_test(text),           cmocka_unit_test(every_status),
        cmocka_unit_test(form_by_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
