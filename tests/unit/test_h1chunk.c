/*
 * A chunked body per row: what goes in, and the data or the error that comes out.  Every row is
 * read whole, split in two at each offset, and byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../gateway/err.h"
#include "../../gateway/h1chunk.h"

struct row {
    const char *in;
    size_t n;
    const char *want; /* the data of a complete body, or the error's name, or "more" */
};
#define ROW(in, want)                                                                          \
    {                                                                                          \
        (in), sizeof(in) - 1, (want)                                                           \
    }
#define LAST "0\r\n\r\n"

/* Append the data of in[0..n) to got.  The bytes taken, or an error. */
static ssize_t feed(struct h1_chunked *k, const char *in, size_t n, char *got, size_t cap)
{
    size_t at = 0;
    uint8_t *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    memcpy(copy, in, n);
    while (at < n && !h1_chunked_done(k)) {
        struct slice data;
        ssize_t used = h1_chunked_next(k, copy + at, n - at, &data);
        if (used < 0) {
            free(copy);
            return used;
        }
        assert_true(used > 0 && (size_t)used <= n - at);
        assert_true(strlen(got) + data.n < cap);
        if (data.n)
            strncat(got, data.p, data.n);
        at += (size_t)used;
    }
    free(copy);
    return (ssize_t)at;
}

static void check_row(const struct row *r, size_t cut, size_t step)
{
    struct h1_chunked k = {0};
    char got[1024] = "";
    ssize_t rc = 0;

    for (size_t at = 0, n = cut; at < r->n && rc >= 0; at += n, n = step) {
        if (n > r->n - at)
            n = r->n - at;
        rc = feed(&k, r->in + at, n, got, sizeof(got));
        if (rc >= 0)
            assert_int_equal(rc, n);
    }
    if (rc < 0)
        snprintf(got, sizeof(got), "%s", gw_err_name((int)rc));
    else if (!h1_chunked_done(&k))
        snprintf(got, sizeof(got), "more");
    if (strcmp(got, r->want) != 0)
        fail_msg("\n%s\ncut at %zu, then %zu: got %s, want %s", r->in, cut, step, got, r->want);
}

static const struct row rows[] = {
    ROW(LAST, ""),
    ROW("5\r\nhello\r\n" LAST, "hello"),
    ROW("1\r\na\r\n2\r\nbc\r\n" LAST, "abc"),
    ROW("a\r\n0123456789\r\n" LAST, "0123456789"),
    ROW("A\r\n0123456789\r\n" LAST, "0123456789"),
    ROW("0A\r\n0123456789\r\n" LAST, "0123456789"),
    ROW("0000000000000005\r\nhello\r\n" LAST, "hello"),
    ROW("5\r\n\r\n\r\n\n\r\n" LAST, "\r\n\r\n\n"),
    ROW("000\r\n\r\n", ""),
    ROW("10\r\n0123456789abcdef\r\n" LAST, "0123456789abcdef"),
    /* not yet complete */
    ROW("", "more"),
    ROW("5", "more"),
    ROW("5\r", "more"),
    ROW("5\r\nhel", "more"),
    ROW("5\r\nhello", "more"),
    ROW("5\r\nhello\r\n", "more"),
    ROW("0\r\n", "more"),
    ROW("0\r\nA: b\r\n", "more"),
    /* sizes */
    ROW("00000000000000005\r\nhello\r\n" LAST, "EBODY_SYNTAX"), /* 17 digits */
    ROW("10000000000000000\r\n", "EBODY_SYNTAX"),
    ROW("ffffffffffffffff\r\n", "EBODY_SYNTAX"),
    ROW("8000000000000000\r\n", "EBODY_SYNTAX"),
    ROW("7fffffffffffffff\r\nabc", "more"),
    ROW("1\r\na\r\n7fffffffffffffff\r\n", "EBODY_SYNTAX"), /* the sum */
    ROW("\r\n", "EBODY_SYNTAX"),
    ROW("0x5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("+5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("-5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("_5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("1_0\r\n0123456789abcdef\r\n", "EBODY_SYNTAX"),
    ROW(" 5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5 \r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5\t\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5 5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("g\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5g\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5h\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5.0\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("5,5\r\nhello\r\n", "EBODY_SYNTAX"),
    ROW("\0\r\n", "EBODY_SYNTAX"),
    ROW("5\0\r\nhello\r\n", "EBODY_SYNTAX"),
    /* line ends */
    ROW("5\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5\rhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5\r\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5\r\nhello\n" LAST, "EBODY_SYNTAX"),
    ROW("5\r\nhello\r" LAST, "EBODY_SYNTAX"),
    ROW("5\r\nhello" LAST, "EBODY_SYNTAX"),
    ROW("5\r\nhello!\r\n" LAST, "EBODY_SYNTAX"),
    ROW("4\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("\r\n5\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("0\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\n\n", "EBODY_SYNTAX"),
    ROW("0\r\n\r\r\n", "EBODY_SYNTAX"),
    /* extensions */
    ROW("5;a\r\nhello\r\n" LAST, "hello"),
    ROW("5;a=b\r\nhello\r\n" LAST, "hello"),
    ROW("5;a=b;c;d=\"e\"\r\nhello\r\n" LAST, "hello"),
    ROW("5;a=\"\"\r\nhello\r\n" LAST, "hello"),
    ROW("5;a=\"x;y=\\\"z\\\\ \t\x80\"\r\nhello\r\n" LAST, "hello"),
    ROW("5 ; a = b ; c\r\nhello\r\n" LAST, "hello"),
    ROW("5\t;\ta\t=\t\"b\"\t;\tc\r\nhello\r\n" LAST, "hello"),
    ROW("5;f00=1f\r\nhello\r\n0;end\r\n\r\n", "hello"),
    ROW("5;\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5; \r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;;a\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a;\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a \r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=b \r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;=b\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=b=c\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a b\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=b c\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a,b\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=\"b\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=\"b\"c\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=\"b\\\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=\"b\0\"\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a=\"b\n\"\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a\rb\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;a\n\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    ROW("5;\xc3\r\nhello\r\n" LAST, "EBODY_SYNTAX"),
    /* trailers */
    ROW("0\r\nA: b\r\n\r\n", ""),
    ROW("5\r\nhello\r\n0\r\nA:b\r\nC:\r\nD: \te;f=\"g\\h\" \xff\r\n\r\n", "hello"),
    ROW("0\r\nContent-Length: 5\r\n\r\n", ""),
    ROW("0\r\nA : b\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\n A: b\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\n: b\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nA\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nA: b\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nA: b\rc\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nA: b\0\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nA: b\x7f\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nA: b\r\n c\r\n\r\n", "EBODY_SYNTAX"),
    ROW("0\r\nGET / HTTP/1.1\r\n", "EBODY_SYNTAX"),
};

static void chunk_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i], rows[i].n, 1);
        check_row(&rows[i], 1, 1);
        for (size_t cut = 1; cut < rows[i].n; cut++)
            check_row(&rows[i], cut, rows[i].n);
    }
}

static void what_follows_is_left(void **state)
{
    struct h1_chunked k = {0};
    struct slice data;
    char got[16] = "";

    (void)state;
    assert_int_equal(feed(&k, "1\r\na\r\n" LAST "GET", 14, got, sizeof(got)), 11);
    assert_true(h1_chunked_done(&k));
    assert_int_equal(h1_chunked_next(&k, (const uint8_t *)"GET", 3, &data), 0);
    assert_int_equal(data.n, 0);
}

/* A chunk of size bytes with an extension of n bytes, again and again: the error, or 0. */
static int extended(struct h1_chunked *k, unsigned size, unsigned n)
{
    static char text[40000];
    size_t len = (size_t)snprintf(text, sizeof(text), "%x;", size);
    char got[16] = "";

    memset(text + len, 'e', n - 1);
    len += n - 1;
    len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
    ssize_t rc = feed(k, text, len, got, sizeof(got));
    for (unsigned i = 0; rc >= 0 && i < size; i++) {
        got[0] = '\0';
        rc = feed(k, "d", 1, got, sizeof(got));
    }
    if (rc >= 0)
        rc = feed(k, "\r\n", 2, got, sizeof(got));
    return rc < 0 ? (int)rc : 0;
}

static void extensions_are_bounded(void **state)
{
    struct h1_chunked one = {0}, over = {0}, many = {0}, paid = {0};

    (void)state;
    assert_int_equal(extended(&one, 1, H1_CHUNK_EXTENSIONS), 0);
    assert_int_equal(extended(&one, 1, 3), GW_EBODY_SYNTAX);
    assert_int_equal(extended(&over, 1, H1_CHUNK_EXTENSIONS + 1), GW_EBODY_SYNTAX);
    for (int i = 0; i < 18; i++)
        assert_int_equal(extended(&many, 100, 1000), 0);
    assert_int_equal(extended(&many, 100, 1000), GW_EBODY_SYNTAX);
    /* data outweighs them: as many chunks as one likes */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(extended(&paid, 100, 100), 0);
}

static void trailers_are_bounded(void **state)
{
    struct h1_chunked one = {0}, many = {0};
    char got[16] = "";
    int rc = 0, n = 0;

    (void)state;
    assert_int_equal(feed(&one, "0\r\nA:", 5, got, sizeof(got)), 5);
    for (; rc >= 0 && n < 100000; n++)
        rc = (int)feed(&one, "b", 1, got, sizeof(got));
    assert_int_equal(rc, GW_EREQ_HEAD_LARGE);
    assert_in_range(n, H1_CHUNK_TRAILERS - 8, H1_CHUNK_TRAILERS + 8);
    assert_int_equal(feed(&many, "0\r\n", 3, got, sizeof(got)), 3);
    for (rc = n = 0; rc >= 0 && n < 100000; n++)
        rc = (int)feed(&many, "A:b\r\n", 5, got, sizeof(got));
    assert_int_equal(rc, GW_EREQ_HEAD_LARGE);
    assert_int_equal(n, H1_CHUNK_TRAILER_FIELDS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunk_rows),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(extensions_are_bounded),
        cmocka_unit_test(trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
