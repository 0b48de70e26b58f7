/*
 * conf/ini.c: every event is compared as text, "LINE TYPE name|value".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../conf/ini.h"

enum { OUT_MAX = 4096 };

/* All events of text[0..n) in one string, "; " between them.  Values are unfolded. */
static void events(const char *text, size_t n, char out[OUT_MAX])
{
    static const char *const types[] = {"end", "section", "key", "error"};
    char *copy = malloc(n + 1); /* of its exact size, so that ASan sees a step too far */
    struct ini ini;
    struct ini_event e;
    size_t at = 0;

    assert_non_null(copy);
    memcpy(copy, text, n);
    ini_init(&ini, slice_of(copy, n));
    out[0] = '\0';
    while (ini_next(&ini, &e) != INI_END) {
        char value[OUT_MAX];
        assert_true(e.value.n < sizeof(value));
        size_t value_len = ini_unfold(e.value, value);
        assert_true(value_len <= e.value.n);
        at += (size_t)snprintf(out + at, OUT_MAX - at, "%s%u %s ", at ? "; " : "", e.line,
                               types[e.type]);
        if (e.type == INI_ERROR)
            at += (size_t)snprintf(out + at, OUT_MAX - at, "%s", e.error);
        else
            at += (size_t)snprintf(out + at, OUT_MAX - at, "%.*s|%.*s", SLICE_FMT(e.name),
                                   (int)value_len, value);
        assert_true(at < OUT_MAX);
    }
    free(copy);
}

struct row {
    const char *text;
    size_t n;
    const char *events;
};
#define ROW(text, events)                                                                      \
    {                                                                                          \
        text, sizeof(text) - 1, events                                                         \
    }

#define NEITHER "neither \"key = value\", nor a [section], nor a comment"
#define STRAY "indented line with no value above it to continue"

static const struct row rows[] = {
    ROW("", ""),
    ROW("\n\n", ""),
    ROW("a = b", "1 key a|b"),
    ROW("a = b\n", "1 key a|b"),
    ROW("a = b\r\nc=d\r\n", "1 key a|b; 2 key c|d"),
    ROW("a=b=c\n", "1 key a|b=c"),
    ROW("a =\n", "1 key a|"),
    ROW("\t\na = b ; not a comment # nor this\n", "2 key a|b ; not a comment # nor this"),
    ROW("; a = b\n# c = d\n;\n", ""),
    ROW("\xEF\xBB\xBF[gateway]\n", "1 section gateway|"),
    ROW("[site example]\n", "1 section site|example"),
    ROW("[ route  a  = /x y ] \t\r\n", "1 section route|a  = /x y"),
    ROW("[route a *.php]x]\n", "1 section route|a *.php]x"),
    ROW("[gateway\n", "1 error section without ']' at the end of the line"),
    ROW("[gateway] ; x\n", "1 error section without ']' at the end of the line"),
    ROW("[]\n[ ]\n", "1 error section without a name; 2 error section without a name"),
    ROW("[\n", "1 error section without ']' at the end of the line"),
    ROW("word\n", "1 error " NEITHER),
    ROW("= x\n", "1 error no key before the '='"),
    ROW("a = b\n c\n\td  \ne = f\n", "1 key a|b c d; 4 key e|f"),
    ROW("a =\n b\r\n  c", "1 key a|b c"),
    ROW("a = b\n ; c\n", "1 key a|b ; c"),
    /* an empty line or a comment ends a value: what follows must not go to the wrong key */
    ROW("a = b\n\n c\n", "1 key a|b; 3 error " STRAY),
    ROW("a = b\n;x = y\n c\n", "1 key a|b; 3 error " STRAY),
    ROW("[x]\n c\n d\n", "1 section x|; 2 error " STRAY),
    ROW(" a = b\n", "1 error " STRAY),
    /* what continues a refused line goes with it */
    ROW("word\n more\n more\na = b\n", "1 error " NEITHER "; 4 key a|b"),
    ROW("a = b\n c\0d\n e\nf = g\n", "1 key a|b; 2 error NUL byte in the line; 4 key f|g"),
    ROW("a\0 = b\n", "1 error NUL byte in the line"),
    ROW("a = \033[1m\n", "1 error control byte in the line"),
    ROW("a = b\rc\n", "1 error control byte in the line"),
    ROW("a = b\x7f\n", "1 error control byte in the line"),
    ROW("a = /srv/\xC3\xA4\xFF\n", "1 key a|/srv/\xC3\xA4\xFF"),
    ROW("a = b\tc\n", "1 key a|b\tc"),
};

static void test_rows(void **state)
{
    char got[OUT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        events(rows[i].text, rows[i].n, got);
        assert_string_equal(got, rows[i].events);
    }
}

/* A file that ends anywhere is read without a step out of it. */
static void test_cut_anywhere(void **state)
{
    char got[OUT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t n = 0; n <= rows[i].n; n++)
            events(rows[i].text, n, got);
    }
}

/* "k = " and a value of n bytes. */
static enum ini_type first_event(size_t n, size_t fold_at, struct ini_event *e)
{
    size_t len = 4 + n + 2;
    char *text = malloc(len);
    struct ini ini;

    assert_non_null(text);
    memcpy(text, "k = ", 4);
    memset(text + 4, 'v', n);
    for (size_t at = fold_at; fold_at && at + 1 < n; at += fold_at)
        memcpy(text + 4 + at, "\n ", 2);
    memcpy(text + 4 + n, "\n\n", 2);
    ini_init(&ini, slice_of(text, len));
    enum ini_type type = ini_next(&ini, e);
    free(text);
    return type;
}

static void test_limits(void **state)
{
    struct ini_event e;

    (void)state;
    assert_int_equal(first_event(INI_LINE_MAX - 4, 0, &e), INI_KEY);
    assert_int_equal(e.value.n, INI_LINE_MAX - 4);
    assert_int_equal(first_event(INI_LINE_MAX - 3, 0, &e), INI_ERROR);
    assert_string_equal(e.error, "line longer than 16384 bytes");
    assert_int_equal(first_event(INI_VALUE_MAX, 1000, &e), INI_KEY);
    assert_int_equal(e.value.n, INI_VALUE_MAX);
    assert_int_equal(first_event(INI_VALUE_MAX + 1, 1000, &e), INI_ERROR);
    assert_string_equal(e.error, "value longer than 65536 bytes");
    assert_int_equal(e.line, 1);
}

/* A bad header is known for one: the keys below it are not those of the section above. */
static void test_bad_header(void **state)
{
    static const char *const headers[] = {"[a", "[]", "[a\001]"};
    struct ini ini;
    struct ini_event e;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ini_init(&ini, slice_str(headers[i]));
        assert_int_equal(ini_next(&ini, &e), INI_ERROR);
        assert_true(e.header);
        assert_int_equal(ini_next(&ini, &e), INI_END);
    }
    ini_init(&ini, SLICE("word"));
    assert_int_equal(ini_next(&ini, &e), INI_ERROR);
    assert_false(e.header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bad_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
