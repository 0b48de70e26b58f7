/* fcgi/lines.c: every split gives the same lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../fcgi/lines.h"

/* What came out: each line between brackets. */
struct seen {
    char text[16384];
    size_t len;
};

static void on_line(void *user, struct slice text)
{
    struct seen *seen = user;

    assert_true(text.n > 0 && text.n <= LINES_MAX);
    assert_true(seen->len + text.n + 3 < sizeof seen->text);
    seen->text[seen->len++] = '[';
    memcpy(seen->text + seen->len, text.p, text.n);
    seen->len += text.n;
    seen->text[seen->len++] = ']';
    seen->text[seen->len] = '\0';
}

static void cut(struct slice a, struct slice b, struct seen *seen, struct lines *l)
{
    *seen = (struct seen){0};
    lines_init(l, on_line, seen);
    lines_feed(l, a);
    lines_feed(l, b);
    lines_flush(l);
}

static void every_split(void **state)
{
    static const struct {
        const char *in, *out, *last;
    } rows[] = {
        {"", "", ""},
        {"\n", "", ""},
        {"one\n", "[one]", "one"},
        {"one\ntwo\n", "[one][two]", "two"},
        {"one\r\n\r\n \t\ntwo", "[one][two]", "two"},
        {" indented \nlast\n\n\n", "[ indented ][last]", "last"},
        {"a\rb\n", "[a\rb]", "a\rb"},
    };
    struct seen seen;
    struct lines l;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice in = slice_str(rows[i].in);
        for (size_t k = 0; k <= in.n; k++) {
            cut(slice_of(in.p, k), slice_from(in, k), &seen, &l);
            assert_string_equal(seen.text, rows[i].out);
            assert_string_equal(l.last, rows[i].last);
        }
    }
}

/* Lengths around the limit: one line, one line, two pieces. */
static void long_lines_come_in_pieces(void **state)
{
    static const size_t lengths[] = {LINES_MAX - 1, LINES_MAX, LINES_MAX + 1,
                                     2 * LINES_MAX + 1};
    static const unsigned pieces[] = {1, 1, 2, 3};
    char text[3 * LINES_MAX];
    struct seen seen;
    struct lines l;

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = lengths[i];
        text[n] = '\n';
        for (size_t k = 0; k <= n + 1; k += k + 70 < n - 70 ? 67 : 1) {
            unsigned brackets = 0;
            cut(slice_of(text, k), slice_of(text + k, n + 1 - k), &seen, &l);
            for (size_t at = 0; at < seen.len; at++)
                brackets += seen.text[at] == '[';
            assert_int_equal(brackets, pieces[i]);
            assert_int_equal(seen.len, n + 2 * (size_t)pieces[i]);
        }
        text[n] = 'x';
    }
    assert_true(strlen(l.last) < sizeof l.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split),
        cmocka_unit_test(long_lines_come_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
