/*
 * A request head per row: what goes in, and what the parser makes of it as one line of text.
 * Every row is parsed whole, split in two at each offset, and byte by byte, each time from a
 * buffer that ends where the input does and moves between calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../gateway/err.h"
#include "../../gateway/h1parse.h"
#include "h1parse_rows.h"

enum { MAX_BYTES = 64 * 1024, MAX_FIELDS = 100 };

static const char *const forms[] = {"origin", "absolute", "top", "asterisk", "authority"};

/* "METHOD form origin authority version [len=N] [chunked] [expect] [expect?] keep|close". */
static void describe(char *out, size_t cap, const struct h1_head *h, const char *in)
{
    struct slice method = h1_slice(in, h->method), origin = h1_slice(in, h->origin),
                 authority = h1_slice(in, h->authority);
    char len[32] = "";

    if (h->content_length >= 0)
        snprintf(len, sizeof(len), " len=%lld", (long long)h->content_length);
    snprintf(out, cap, "%.*s %s %.*s %.*s %d%s%s%s%s %s", SLICE_FMT(method), forms[h->form],
             SLICE_FMT(origin), SLICE_FMT(authority), h->version, len,
             h->chunked ? " chunked" : "", h->expect_continue ? " expect" : "",
             h->expect_unknown ? " expect?" : "", h->persistent ? "keep" : "close");
}

/* Feed in[0..n) in pieces: up to cut, then step bytes at a time. */
static ssize_t feed(struct h1_head *h, const char *in, size_t n, size_t cut, size_t step)
{
    for (size_t k = cut;; k = k + step < n ? k + step : n) {
        uint8_t *copy = malloc(k ? k : 1);
        assert_non_null(copy);
        memcpy(copy, in, k);
        ssize_t rc = h1_head_parse(h, copy, k);
        free(copy);
        if (rc != 0 || k == n)
            return rc;
    }
}

static void check_row(const struct row *r, size_t cut, size_t step)
{
    struct h1_head h;
    char got[20000];

    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    ssize_t rc = feed(&h, r->in, r->n, cut, step);
    if (rc > 0) {
        describe(got, sizeof(got), &h, r->in);
        if ((size_t)rc != r->n)
            fail_msg("%zd of %zu bytes taken: %s", rc, r->n, r->in);
    } else {
        snprintf(got, sizeof(got), "%s", rc == 0 ? "more" : gw_err_name((int)rc));
    }
    if (strcmp(got, r->want) != 0)
        fail_msg("\n%s\ncut at %zu, then %zu: got %s, want %s", r->in, cut, step, got, r->want);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_row(&rows[i], rows[i].n, 1);
        check_row(&rows[i], 0, 1);
        for (size_t cut = 1; cut < rows[i].n; cut++)
            check_row(&rows[i], cut, rows[i].n);
    }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void request_line_rows(void **state)
{
    (void)state;
    CHECK(request_lines);
}

static void field_line_rows(void **state)
{
    (void)state;
    CHECK(field_lines);
}

static void host_rows(void **state)
{
    (void)state;
    CHECK(hosts);
}

static void framing_rows(void **state)
{
    (void)state;
    CHECK(framings);
}

static void connection_rows(void **state)
{
    (void)state;
    CHECK(connections);
}

/* No proper part of a good head is one, nor an error. */
static void parts_of_a_head_ask_for_more(void **state)
{
    static const char in[] = "\r\nPOST http://b/p HTTP/1.1\r\nHost: a\r\nX: y z\r\n"
                             "Content-Length: 5\r\nConnection: close\r\n\r\n";

    (void)state;
    for (size_t n = 0; n < sizeof(in) - 1; n++) {
        struct h1_head h;
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(feed(&h, in, n, n, 1), 0);
        assert_int_equal(h.begun, n > 2);
    }
}

static void what_follows_is_left(void **state)
{
    static const char in[] = GET END "GET /2";
    struct h1_head h;

    (void)state;
    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    assert_int_equal(h1_head_parse(&h, (const uint8_t *)in, sizeof(in) - 1),
                     sizeof(GET END) - 1);
}

static void fields_are_found_again(void **state)
{
    static const char in[] = "\r\nGET / HTTP/1.1\r\nHost:a:1\r\nEmpty:\r\nSpace: \t \r\n"
                             "x-A:  b: c\t\r\nx-a: \xff\r\n\r\nrest: no\r\n";
    static const char *const want[][2] = {
        {"Host", "a:1"}, {"Empty", ""}, {"Space", ""}, {"x-A", "b: c"}, {"x-a", "\xff"},
    };
    struct field fields[8];
    struct h1_head h;

    (void)state;
    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    assert_true(h1_head_parse(&h, (const uint8_t *)in, sizeof(in) - 1) > 0);
    assert_int_equal(h.n_fields, 5);
    h1_head_fields(&h, in, fields);
    for (size_t i = 0; i < 5; i++) {
        assert_true(slice_eq(fields[i].name, slice_str(want[i][0])));
        assert_true(slice_eq(fields[i].value, slice_str(want[i][1])));
    }
}

/* The request line stays known after an error behind it: the answer and the log want it. */
static void errors_keep_the_request_line(void **state)
{
    static const char in[] = "HEAD /x HTTP/1.0\r\nA : b\r\n\r\n";
    struct h1_head h;

    (void)state;
    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    assert_int_equal(h1_head_parse(&h, (const uint8_t *)in, sizeof(in) - 1), GW_EREQ_SYNTAX);
    assert_true(slice_eq(h1_slice(in, h.method), SLICE("HEAD")));
    assert_true(slice_eq(h1_slice(in, h.target), SLICE("/x")));
    assert_int_equal(h.version, 10);
    assert_true(h.at <= sizeof(in) - 1);
}

/* A head of before, n times fill, and after, under limits; whole, then byte by byte. */
static void check_limit(const char *before, char fill, size_t n, const char *after,
                        size_t max_bytes, uint32_t max_fields, int want)
{
    size_t a = strlen(before), b = strlen(after), len = a + n + b;
    char *in = malloc(len);

    assert_non_null(in);
    memcpy(in, before, a);
    memset(in + a, fill, n);
    memcpy(in + a + n, after, b);
    for (int whole = 0; whole < 2; whole++) {
        struct h1_head h;
        ssize_t rc = 0;
        h1_head_init(&h, max_bytes, max_fields);
        for (size_t k = whole ? len : 1; rc == 0 && k <= len; k++)
            rc = h1_head_parse(&h, (const uint8_t *)in, k);
        assert_int_equal(rc, want ? want : (int)len);
    }
    free(in);
}

static void limits(void **state)
{
    const char *version = " HTTP/1.1\r\nHost: a\r\n\r\n";
    const size_t all = strlen("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    /* methods and targets */
    check_limit("", 'M', H1_METHOD_MAX, " / HTTP/1.1\r\nHost: a\r\n\r\n", MAX_BYTES, 1, 0);
    check_limit("", 'M', H1_METHOD_MAX + 1, " / HTTP/1.1\r\nHost: a\r\n\r\n", MAX_BYTES, 1,
                GW_EREQ_METHOD_LONG);
    check_limit("GET /", 'a', H1_TARGET_MAX - 1, version, MAX_BYTES, 1, 0);
    check_limit("GET /", 'a', H1_TARGET_MAX, version, MAX_BYTES, 1, GW_EREQ_URI_LONG);
    check_limit("GET /", 'a', 4 * H1_TARGET_MAX, "\x01", MAX_BYTES, 1, GW_EREQ_URI_LONG);
    /* the whole head */
    check_limit("GET /", 'a', 0, version, all, 1, 0);
    check_limit("GET /", 'a', 0, version, all - 1, 1, GW_EREQ_HEAD_LARGE);
    check_limit("GET /", 'a', 100, version, 105, 1, GW_EREQ_URI_LONG);
    check_limit("GET /", 'a', 100, version, 110, 1, GW_EREQ_URI_LONG);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', 1000, "\r\n\r\n", 1000, 9,
                GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\n", 'b', 1000, ": c\r\n\r\n", 1000, 9,
                GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', 70000, "\r\n\r\n", MAX_BYTES, 9,
                GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', MAX_BYTES - 32, "\r\n\r\n", MAX_BYTES,
                9, 0);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', MAX_BYTES - 31, "\r\n\r\n", MAX_BYTES,
                9, GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", '\x01', 1, "", MAX_BYTES, 9,
                GW_EREQ_SYNTAX);
}

static void number_of_fields(void **state)
{
    struct h1_head h;
    char in[4096];

    (void)state;
    for (uint32_t n = 98; n < 102; n++) {
        size_t len = (size_t)snprintf(in, sizeof(in), GET);
        for (uint32_t i = 1; i < n; i++)
            len += (size_t)snprintf(in + len, sizeof(in) - len, "A: b\r\n");
        len += (size_t)snprintf(in + len, sizeof(in) - len, "\r\n");
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        ssize_t rc = h1_head_parse(&h, (const uint8_t *)in, len);
        assert_int_equal(rc, n <= MAX_FIELDS ? (ssize_t)len : GW_EREQ_HEAD_LARGE);
    }
}

/* Every byte in every place where one kind of byte is asked for. */
static void every_byte(void **state)
{
    static const char tchars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct h1_head h;

    (void)state;
    for (int c = 0; c < 256; c++) {
        char method[] = "G.T / HTTP/1.1\r\nHost: a\r\n\r\n", name[] = GET "A.B: c\r\n\r\n",
             value[] = GET "A: b.c1234567\r\n\r\n",
             target[] = "GET /.a HTTP/1.1\r\nHost: a\r\n\r\n";
        bool tchar = c && strchr(tchars, c), text = c == '\t' || (c >= ' ' && c != 0x7f);
        method[1] = name[strlen(GET) + 1] = value[strlen(GET) + 4] = target[5] = (char)c;
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(h1_head_parse(&h, (uint8_t *)method, sizeof(method) - 1) > 0, tchar);
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        /* a colon there ends the name: "A" with the value "B: c" */
        assert_int_equal(h1_head_parse(&h, (uint8_t *)name, sizeof(name) - 1) > 0,
                         tchar || c == ':');
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(h1_head_parse(&h, (uint8_t *)value, sizeof(value) - 1) > 0, text);
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(h1_head_parse(&h, (uint8_t *)target, sizeof(target) - 1) > 0,
                         c > ' ' && c != '#' && c != 0x7f);
        assert_int_equal(h1_value_ok(slice_of(&value[strlen(GET) + 4], 1)), text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_line_rows),
        cmocka_unit_test(field_line_rows),
        cmocka_unit_test(host_rows),
        cmocka_unit_test(framing_rows),
        cmocka_unit_test(connection_rows),
        cmocka_unit_test(parts_of_a_head_ask_for_more),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(fields_are_found_again),
        cmocka_unit_test(errors_keep_the_request_line),
        cmocka_unit_test(limits),
        cmocka_unit_test(number_of_fields),
        cmocka_unit_test(every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
