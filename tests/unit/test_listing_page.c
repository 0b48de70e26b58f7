/* gateway/listing_page.h: the order, and the three forms byte by byte, with names that do their
 * worst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static unsigned fail_at, n_allocated; /* fail_at 0: none fails */

static void *failing_malloc(size_t n)
{
    return ++n_allocated == fail_at ? NULL : malloc(n);
}

#include "../../gateway/err.h"
#include "../../gateway/listing_page.h"

#define malloc(n) failing_malloc(n)
#include "../../gateway/buf.c"
#undef malloc

#define BAD "\xef\xbf\xbd"

enum { AT = 1795874706 }; /* 2026-11-28T14:05:06Z */

/* ---- order ---- */

static void order_of_a_query(void **state)
{
    static const struct {
        const char *query;
        enum listing_sort sort;
        bool descending;
    } rows[] = {
        {"", LISTING_NAME, false},
        {"sort=name", LISTING_NAME, false},
        {"sort=size", LISTING_SIZE, false},
        {"sort=date&order=desc", LISTING_DATE, true},
        {"order=desc&sort=date", LISTING_DATE, true},
        {"order=desc", LISTING_NAME, true},
        {"order=asc", LISTING_NAME, false},
        {"order=desc&order=asc", LISTING_NAME, false}, /* the last one counts */
        {"sort=size&sort=date", LISTING_DATE, false},
        {"sort=date&sort=colour", LISTING_DATE, false},
        {"sort=", LISTING_NAME, false},
        {"sort", LISTING_NAME, false},
        {"sort=SIZE", LISTING_NAME, false},
        {"sort=size%20", LISTING_NAME, false},
        {"xsort=size", LISTING_NAME, false},
        {"order=descending", LISTING_NAME, false},
        {"&&&x&sort=size&", LISTING_SIZE, false},
        {"&", LISTING_NAME, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum listing_sort sort = LISTING_DATE;
        bool descending = true;
        listing_page_order(slice_str(rows[i].query), &sort, &descending);
        if (sort != rows[i].sort || descending != rows[i].descending)
            fail_msg("%s: sort %d, descending %d", rows[i].query, (int)sort, descending);
    }
}

static struct listing_entry file(const char *name, int64_t size, int64_t mtime)
{
    return (struct listing_entry){(char *)(uintptr_t)name, size, mtime, false};
}

static struct listing_entry folder(const char *name, int64_t mtime)
{
    return (struct listing_entry){(char *)(uintptr_t)name, 0, mtime, true};
}

static const struct listing_page *sorting; /* qsort has no argument for it */

static int compare(const void *a, const void *b)
{
    int c = listing_page_compare(sorting, a, b);

    assert_int_equal((c > 0) - (c < 0), -((listing_page_compare(sorting, b, a) > 0) -
                                          (listing_page_compare(sorting, b, a) < 0)));
    return c;
}

static void order_of_entries(void **state)
{
    static const struct {
        enum listing_sort sort;
        bool descending;
        const char *want;
    } rows[] = {
        {LISTING_NAME, false, "Alpha beta a B b C ca"},
        {LISTING_NAME, true, "beta Alpha ca C b B a"},
        {LISTING_SIZE, false, "Alpha beta ca a B b C"}, /* folders have none: by name */
        {LISTING_SIZE, true, "beta Alpha C b B a ca"},
        {LISTING_DATE, false, "beta Alpha C b B a ca"},
        {LISTING_DATE, true, "Alpha beta ca a B b C"},
    };
    /* with sizes and dates whose differences are no ints, and some that are the same */
    const struct listing_entry all[] = {
        file("b", 5, 3),    file("C", INT64_MAX, -4), folder("beta", 1),        file("a", 5, 6),
        folder("Alpha", 9), file("B", 5, 4),          file("ca", 0, INT64_MAX),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct listing_page p = {.sort = rows[i].sort, .descending = rows[i].descending};
        struct listing_entry entries[7];
        char got[64] = "";
        memcpy(entries, all, sizeof(all));
        sorting = &p;
        qsort(entries, 7, sizeof(entries[0]), compare);
        for (size_t k = 0; k < 7; k++) {
            strncat(got, k ? " " : "", sizeof(got) - strlen(got) - 1);
            strncat(got, entries[k].name, sizeof(got) - strlen(got) - 1);
        }
        assert_string_equal(got, rows[i].want);
    }
}

/* ---- pages ---- */

/* All of p in a form, in out. */
static int write_page(struct buf *out, const struct listing_page *p, enum listing_form form)
{
    int rc = listing_page_begin(out, p, form);

    for (size_t i = 0; rc == 0 && i < p->n_entries; i++)
        rc = listing_page_entry(out, p, form, i);
    return rc ? rc : listing_page_end(out, p, form);
}

static struct slice whole_page(struct buf *out, const struct listing_page *p,
                               enum listing_form form)
{
    buf_clear(out);
    assert_int_equal(write_page(out, p, form), 0);
    return buf_slice(out);
}

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

/* One entry in a form is want. */
static void expect(enum listing_form form, struct listing_entry e, const char *want)
{
    struct listing_page p = {.entries = &e, .n_entries = 1};
    struct buf out = {0};

    assert_int_equal(listing_page_entry(&out, &p, form, 0), 0);
    if (!slice_eq(buf_slice(&out), slice_str(want)))
        fail_msg("got \"%.*s\", want \"%s\"", SLICE_FMT(buf_slice(&out)), want);
    buf_fini(&out);
}

static void types(void **state)
{
    (void)state;
    assert_true(slice_eq(listing_page_type(LISTING_HTML), SLICE("text/html; charset=utf-8")));
    assert_true(slice_eq(listing_page_type(LISTING_JSON), SLICE("application/json")));
    assert_true(slice_eq(listing_page_type(LISTING_TEXT), SLICE("text/plain; charset=utf-8")));
}

#define TIME                                                                                   \
    "</td><td><time datetime=\"2026-11-28T14:05:06Z\">2026-11-28 14:05</time></td></tr>\n"
#define MODIFIED "\"modified\":\"2026-11-28T14:05:06Z\"}"

static void entries_as_html(void **state)
{
    (void)state;
    expect(LISTING_HTML, file("a.txt", 17, AT),
           "<tr><td><a href=\"./a.txt\">a.txt</a></td><td>17 B" TIME);
    expect(LISTING_HTML, folder("sub", AT),
           "<tr><td><a href=\"./sub/\">sub/</a></td><td>" TIME);
    expect(LISTING_HTML, file("<b onclick='x'>\"&", 0, AT),
           "<tr><td><a href=\"./%3Cb%20onclick%3D%27x%27%3E%22%26\">"
           "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;</a></td><td>0 B" TIME);
    /* neither a scheme nor a query nor a fragment */
    expect(
        LISTING_HTML, file("javascript:x?y#z", 0, AT),
        "<tr><td><a href=\"./javascript%3Ax%3Fy%23z\">javascript:x?y#z</a></td><td>0 B" TIME);
    expect(LISTING_HTML, file("a\nb\x01\x7f caf\xe9 \xc3\xbc", 0, AT),
           "<tr><td><a href=\"./a%0Ab%01%7F%20caf%E9%20%C3%BC\">"
           "a" BAD "b" BAD BAD " caf" BAD " \xc3\xbc</a></td><td>0 B" TIME);
}

static void entries_as_json(void **state)
{
    (void)state;
    expect(
        LISTING_JSON, file("a.txt", 17, AT),
        "\n{\"name\":\"a.txt\",\"href\":\"./a.txt\",\"type\":\"file\",\"size\":17," MODIFIED);
    expect(LISTING_JSON, folder("sub", AT),
           "\n{\"name\":\"sub\",\"href\":\"./sub/\",\"type\":\"folder\"," MODIFIED);
    expect(
        LISTING_JSON, file("a\"b\\c</x>", INT64_MAX, AT),
        "\n{\"name\":\"a\\\"b\\\\c</x>\",\"href\":\"./a%22b%5Cc%3C%2Fx%3E\",\"type\":\"file\","
        "\"size\":9223372036854775807," MODIFIED);
    expect(LISTING_JSON, file("\n\x01\x1f\x7f caf\xe9 \xed\xa0\x80", 0, AT),
           "\n{\"name\":\"\\u000a\\u0001\\u001f\x7f caf" BAD " " BAD BAD BAD "\","
           "\"href\":\"./"
           "%0A%01%1F%7F%20caf%E9%20%ED%A0%80\",\"type\":\"file\",\"size\":0," MODIFIED);
}

static void entries_as_text(void **state)
{
    (void)state;
    expect(LISTING_TEXT, file("a <b>.txt", 17, AT), "a <b>.txt\n");
    expect(LISTING_TEXT, folder("sub", AT), "sub/\n");
    expect(LISTING_TEXT, file("a\nb\r\x1b[31m caf\xe9", 0, AT),
           "a" BAD "b" BAD BAD "[31m caf" BAD "\n");
}

/* ---- values ---- */

static void sizes(void **state)
{
    static const struct {
        int64_t size;
        const char *want;
    } rows[] = {
        {0, "0 B"},
        {1, "1 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {102348, "99.9 KiB"},
        {102349, "100 KiB"}, /* and not 100.0 */
        {1048063, "1023 KiB"},
        {1048064, "1.0 MiB"}, /* and not 1024 KiB */
        {1048576, "1.0 MiB"},
        {120 << 20, "120 MiB"},
        {5LL << 30, "5.0 GiB"},
        {3LL << 40, "3.0 TiB"},
        {7LL << 50, "7.0 PiB"},
        {INT64_MAX, "8.0 EiB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct listing_entry e = file("x", rows[i].size, AT);
        struct listing_page p = {.entries = &e, .n_entries = 1};
        struct buf out = {0};
        char cell[64];
        snprintf(cell, sizeof(cell), "<td>%s</td>", rows[i].want);
        if (!has(whole_page(&out, &p, LISTING_HTML), cell))
            fail_msg("%lld is not %s", (long long)rows[i].size, rows[i].want);
        buf_fini(&out);
    }
}

static void dates(void **state)
{
    static const struct {
        int64_t at;
        const char *exact, *brief;
    } rows[] = {
        {0, "1970-01-01T00:00:00Z", "1970-01-01 00:00"},
        {-1, "1969-12-31T23:59:59Z", "1969-12-31 23:59"},
        {951782400, "2000-02-29T00:00:00Z", "2000-02-29 00:00"},
        {2147483648, "2038-01-19T03:14:08Z", "2038-01-19 03:14"},
        {253402300800, "10000-01-01T00:00:00Z", "10000-01-01 00:00"},
        {INT64_MAX, "", ""}, /* no calendar has it */
        {INT64_MIN, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[256];
        snprintf(want, sizeof(want),
                 "<tr><td><a href=\"./x\">x</a></td><td>0 B</td><td><time datetime=\"%s\">%s"
                 "</time></td></tr>\n",
                 rows[i].exact, rows[i].brief);
        expect(LISTING_HTML, file("x", 0, rows[i].at), want);
        snprintf(want, sizeof(want),
                 "\n{\"name\":\"x\",\"href\":\"./x/\",\"type\":\"folder\",\"modified\":\"%s\"}",
                 rows[i].exact);
        expect(LISTING_JSON, folder("x", rows[i].at), want);
    }
}

/* The longest that a file system has (255 bytes), and far beyond, of what takes most room. */
static void long_names(void **state)
{
    static const size_t lengths[] = {255, 100000};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        size_t n = lengths[k];
        char *name = malloc(n + 1);
        struct buf out = {0};
        assert_non_null(name);
        memset(name, '"', n);
        name[n] = '\0';
        struct listing_entry e = file(name, 0, AT);
        struct listing_page p = {
            .path = SLICE("/"), .complete = true, .entries = &e, .n_entries = 1};
        struct slice page = whole_page(&out, &p, LISTING_HTML);
        assert_int_equal(count(page, "&quot;"), n);
        assert_int_equal(count(page, "%22"), n);
        page = whole_page(&out, &p, LISTING_JSON);
        assert_int_equal(count(page, "\\\""), n);
        assert_int_equal(count(page, "%22"), n);
        assert_int_equal(whole_page(&out, &p, LISTING_TEXT).n, n + 1);
        buf_fini(&out);
        free(name);
    }
}

/* ---- around the entries ---- */

static void page_as_html(void **state)
{
    struct listing_entry e[] = {folder("sub", AT), file("a", 1, AT)};
    struct listing_page p = {
        .path = SLICE("/a & <b>/"), .complete = true, .entries = e, .n_entries = 2};
    struct buf out = {0};

    (void)state;
    struct slice page = whole_page(&out, &p, LISTING_HTML);
    assert_true(slice_starts(page, SLICE("<!DOCTYPE html>")));
    assert_true(slice_ends(page, SLICE("</html>\n")));
    assert_true(has(page, "<title>/a &amp; &lt;b&gt;/</title>"));
    assert_true(has(page, "<h1>/a &amp; &lt;b&gt;/</h1>"));
    assert_true(
        has(page, "<tbody>\n<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>"));
    assert_false(has(page, "<header>"));
    assert_false(has(page, "empty"));
    assert_false(has(page, "There is more"));
    static const char *const fetched[] = {"src=",    "url(",  "@import",
                                          "<script", "http:", "https:"};
    for (size_t i = 0; i < sizeof(fetched) / sizeof(fetched[0]); i++)
        assert_false(has(page, fetched[i]));
    static const char *const tags[][2] = {
        {"<html", "</html>"},   {"<head>", "</head>"},   {"<body>", "</body>"},
        {"<main>", "</main>"},  {"<table>", "</table>"}, {"<thead>", "</thead>"},
        {"<tr>", "</tr>"},      {"<td>", "</td>"},       {"<th", "</th>"},
        {"<a ", "</a>"},        {"<time ", "</time>"},   {"{", "}"},
        {"<tbody>", "</tbody>"}};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        unsigned heads = i == 8 ? 1 : 0; /* <thead> begins as <th does */
        assert_int_equal(count(page, tags[i][0]) - heads, count(page, tags[i][1]));
    }
    buf_fini(&out);
}

static void top_folder_has_no_parent(void **state)
{
    struct listing_page p = {.path = SLICE("/"), .complete = true};
    struct buf out = {0};

    (void)state;
    assert_false(has(whole_page(&out, &p, LISTING_HTML), "../"));
    p.path = SLICE("/a/");
    assert_true(has(whole_page(&out, &p, LISTING_HTML), "<a href=\"../\">../</a>"));
    buf_fini(&out);
}

static void empty_and_incomplete(void **state)
{
    struct listing_entry e = file("a", 1, AT);
    struct listing_page p = {.path = SLICE("/\"/"), .complete = true};
    struct buf out = {0};

    (void)state;
    assert_true(has(whole_page(&out, &p, LISTING_HTML), "<p>The folder is empty.</p>"));
    assert_true(slice_eq(whole_page(&out, &p, LISTING_JSON),
                         SLICE("{\"path\":\"/\\\"/\",\"complete\":true,\"entries\":[\n]}\n")));
    assert_int_equal(whole_page(&out, &p, LISTING_TEXT).n, 0);

    p.complete = false;
    p.entries = &e;
    p.n_entries = 1;
    assert_true(has(whole_page(&out, &p, LISTING_HTML), "There is more: only 1 entries"));
    assert_true(
        slice_starts(whole_page(&out, &p, LISTING_JSON),
                     SLICE("{\"path\":\"/\\\"/\",\"complete\":false,\"entries\":[\n{")));
    assert_true(slice_eq(whole_page(&out, &p, LISTING_TEXT), SLICE("a\n...\n")));
    buf_fini(&out);
}

static void commas_between_entries(void **state)
{
    struct listing_entry e[] = {folder("a", AT), folder("b", AT), folder("c", AT)};
    struct listing_page p = {
        .path = SLICE("/"), .complete = true, .entries = e, .n_entries = 3};
    struct buf out = {0};

    (void)state;
    struct slice page = whole_page(&out, &p, LISTING_JSON);
    assert_int_equal(count(page, "[\n{\"name\":\"a\""), 1);
    assert_int_equal(count(page, "},\n{\"name\":"), 2);
    assert_true(slice_ends(page, SLICE("\"}\n]}\n")));
    buf_fini(&out);
}

/* A click on a column sorts by it, and on the one that is sorted turns the order. */
static void columns(void **state)
{
    static const struct {
        enum listing_sort sort;
        bool descending;
        const char *links[3], *marked;
    } rows[] = {
        {LISTING_NAME,
         false,
         {"?sort=name&amp;order=desc", "?sort=size&amp;order=asc", "?sort=date&amp;order=asc"},
         "<th aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name</a> "
         "\xe2\x86\x91"},
        {LISTING_SIZE,
         true,
         {"?sort=name&amp;order=asc", "?sort=size&amp;order=asc", "?sort=date&amp;order=asc"},
         "<th aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">Size</a> "
         "\xe2\x86\x93"},
        {LISTING_DATE,
         false,
         {"?sort=name&amp;order=asc", "?sort=size&amp;order=asc", "?sort=date&amp;order=desc"},
         "<th aria-sort=\"ascending\"><a href=\"?sort=date&amp;order=desc\">Changed</a> "
         "\xe2\x86\x91"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct listing_page p = {
            .path = SLICE("/"), .sort = rows[i].sort, .descending = rows[i].descending};
        struct buf out = {0};
        struct slice page = whole_page(&out, &p, LISTING_HTML);
        assert_true(has(page, rows[i].marked));
        assert_int_equal(count(page, "aria-sort"), 1);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(count(page, rows[i].links[k]), 1);
        buf_fini(&out);
    }
}

static void welcome(void **state)
{
    char odd[] = "<x>.sh", plain[] = "hello";
    char *scripts[] = {plain, odd};
    struct listing_welcome w = {SLICE("HTTP/2 over TLS"), SLICE("http://localhost:8080/"),
                                scripts, 2};
    struct listing_page p = {.path = SLICE("/"), .welcome = &w};
    struct buf out = {0};

    (void)state;
    struct slice page = whole_page(&out, &p, LISTING_HTML);
    assert_true(has(page,
                    "You came by <b>HTTP/2 over TLS</b>; the same is at "
                    "<a href=\"http://localhost:8080/\">http://localhost:8080/</a>.</p>"));
    assert_true(has(page, "<a href=\"/cgi-bin/hello\">hello</a>, "
                          "<a href=\"/cgi-bin/%3Cx%3E.sh\">&lt;x&gt;.sh</a></p>\n</header>"));
    w.other.n = 0;
    w.n_scripts = 0;
    page = whole_page(&out, &p, LISTING_HTML);
    assert_true(has(page, "<b>HTTP/2 over TLS</b>.</p>\n</header>"));
    assert_false(has(page, "cgi-bin"));
    assert_false(has(whole_page(&out, &p, LISTING_JSON), "HTTP/2"));
    buf_fini(&out);
}

/* With the 1st, 2nd, ... nth allocation failing, whichever of the pieces it was for. */
static void out_of_memory(void **state)
{
    struct listing_entry e[300];
    struct listing_page p = {.path = SLICE("/a/"), .entries = e, .n_entries = 300};

    (void)state;
    for (size_t i = 0; i < 300; i++)
        e[i] = i % 2 ? file("name of a file", 5, AT) : folder("name of a folder", AT);
    for (int form = LISTING_HTML; form <= LISTING_TEXT; form++) {
        int rc = GW_ENO_MEMORY;
        for (fail_at = 1; rc != 0; fail_at++) {
            struct buf out = {0};
            n_allocated = 0;
            rc = write_page(&out, &p, (enum listing_form)form);
            assert_int_equal(rc, n_allocated >= fail_at ? GW_ENO_MEMORY : 0);
            buf_fini(&out);
        }
        assert_true(fail_at > 3);
    }
    fail_at = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_of_a_query),
        cmocka_unit_test(order_of_entries),
        cmocka_unit_test(types),
        cmocka_unit_test(entries_as_html),
        cmocka_unit_test(entries_as_json),
        cmocka_unit_test(entries_as_text),
        cmocka_unit_test(sizes),
        cmocka_unit_test(dates),
        cmocka_unit_test(long_names),
        cmocka_unit_test(page_as_html),
        cmocka_unit_test(top_folder_has_no_parent),
        cmocka_unit_test(empty_and_incomplete),
        cmocka_unit_test(commas_between_entries),
        cmocka_unit_test(columns),
        cmocka_unit_test(welcome),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
