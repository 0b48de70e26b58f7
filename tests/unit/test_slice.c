/* gateway/slice.h: comparing, trimming, numbers, lists, fields. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/slice.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

static const struct slice none = {NULL, 0};

static void assert_slice(struct slice s, const char *want)
{
    assert_int_equal(s.n, strlen(want));
    assert_true(slice_eq(s, slice_str(want)));
}

static void of_str_and_from(void **state)
{
    (void)state;
    assert_int_equal(slice_str(NULL).n, 0);
    assert_slice(slice_str("abc"), "abc");
    assert_slice(SLICE("abc"), "abc");
    assert_slice(slice_from(SLICE("abc"), 0), "abc");
    assert_slice(slice_from(SLICE("abc"), 1), "bc");
    assert_slice(slice_from(SLICE("abc"), 3), "");
}

static void equality_is_of_bytes(void **state)
{
    (void)state;
    assert_true(slice_eq(none, SLICE("")));
    assert_true(slice_eq(SLICE("a\0b"), slice_of("a\0b", 3)));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_false(slice_eq(SLICE("a"), SLICE("ab")));
    assert_false(slice_eq(SLICE("a"), SLICE("A")));
}

static void lower_changes_ascii_letters_only(void **state)
{
    char all[256], got[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    struct slice lower = slice_lower(got, slice_of(all, sizeof(all)));
    assert_ptr_equal(lower.p, got);
    assert_int_equal(lower.n, sizeof(all));
    for (int i = 0; i < 256; i++)
        assert_int_equal((unsigned char)got[i], i >= 'A' && i <= 'Z' ? i + 32 : i);
    assert_int_equal(slice_lower(got, none).n, 0);
}

static void ieq_folds_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(slice_ieq(SLICE("Content-LENGTH"), SLICE("content-length")));
    assert_true(slice_ieq(none, SLICE("")));
    assert_false(slice_ieq(SLICE("a"), SLICE("ab")));

    const struct slice list[] = {SLICE("Range"), SLICE("If-Range")};
    assert_true(slice_ieq_any(SLICE("if-range"), list, 2));
    assert_false(slice_ieq_any(SLICE("if-range"), list, 1));
    assert_false(slice_ieq_any(SLICE("If-"), list, 2));
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char x = (char)a, y = (char)b;
            bool letters =
                a >= 'A' && a <= 'Z' ? b == a + 32 : b >= 'A' && b <= 'Z' && a == b + 32;
            assert_int_equal(slice_ieq(slice_of(&x, 1), slice_of(&y, 1)), a == b || letters);
        }
    }
}

/* One byte that differs, or only its case, at each place of texts of each length. */
static void ieq_looks_at_every_byte(void **state)
{
    char a[40], b[40];

    (void)state;
    for (size_t n = 1; n <= sizeof(a); n++) {
        for (size_t i = 0; i < n; i++) {
            memset(a, 'k', sizeof(a));
            memset(b, 'K', sizeof(b));
            assert_true(bytes_ieq(a, b, n));
            b[i] = (char)('K' ^ 0x80);
            assert_false(bytes_ieq(a, b, n));
            b[i] = 'L';
            assert_false(bytes_ieq(a, b, n));
            a[i] = 'l';
            assert_true(bytes_ieq(a, b, n));
            a[n - 1] = b[n - 1] = '@'; /* beside the letters, with '`' their 32 away */
            assert_true(bytes_ieq(a, b, n));
            b[n - 1] = '`';
            assert_false(bytes_ieq(a, b, n));
            slice_lower(a, slice_of(b, n));
            assert_true(i == n - 1 || a[i] == 'l');
            assert_int_equal(a[n - 1], '`');
        }
    }
}

static void starts_and_ends(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("/a/b"), SLICE("/a/")));
    assert_true(slice_starts(SLICE("/a"), none));
    assert_true(slice_starts(none, none));
    assert_false(slice_starts(SLICE("/a"), SLICE("/a/")));
    assert_true(slice_ends(SLICE("x.php"), SLICE(".php")));
    assert_true(slice_ends(SLICE(".php"), SLICE(".php")));
    assert_true(slice_ends(none, none));
    assert_false(slice_ends(SLICE("php"), SLICE(".php")));
    assert_false(slice_ends(SLICE("x.phq"), SLICE(".php")));
}

static void find_finds_the_first(void **state)
{
    (void)state;
    assert_int_equal(slice_find(SLICE("a,b,c"), ','), 1);
    assert_int_equal(slice_find(SLICE(",a"), ','), 0);
    assert_int_equal(slice_find(SLICE("abc"), ','), -1);
    assert_int_equal(slice_find(none, ','), -1);
    assert_int_equal(slice_find(SLICE("a\0b"), 'b'), 2);
    /* nothing beyond n is looked at */
    assert_int_equal(slice_find(slice_of("ab,", 2), ','), -1);
}

static void trim_takes_spaces_and_tabs(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},           {" ", ""},    {" \t \t", ""},       {"a", "a"},
        {" a", "a"},        {"a\t", "a"}, {"\t a b \t", "a b"}, {"\r\na\n", "\r\na\n"},
        {"\va\f", "\va\f"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_slice(slice_trim(slice_str(rows[i].in)), rows[i].want);
    assert_int_equal(slice_trim(none).n, 0);
}

static void decimal_reads_digits_up_to_max(void **state)
{
    static const struct {
        const char *in;
        int64_t max, want;
    } rows[] = {
        {"", 10, -1},
        {"0", 0, 0},
        {"1", 0, -1},
        {"0", INT64_MAX, 0},
        {"00012", 12, 12},
        {"12", 12, 12},
        {"13", 12, -1},
        {"20", 12, -1},
        {"9", 8, -1},
        {"+1", 10, -1},
        {"-1", 10, -1},
        {" 1", 10, -1},
        {"1 ", 10, -1},
        {"0x1", 10, -1},
        {"1a", 100, -1},
        {"9223372036854775806", INT64_MAX, INT64_MAX - 1},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
        {"9223372036854775808", INT64_MAX, -1},
        {"18446744073709551616", INT64_MAX, -1},
        {"99999999999999999999999999999999", INT64_MAX, -1},
        {"65535", 65535, 65535},
        {"65536", 65535, -1},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_int_equal(slice_decimal(slice_str(rows[i].in), rows[i].max), rows[i].want);
    assert_int_equal(slice_decimal(SLICE("1\0"), 10), -1);
}

/* Every max and value of two digits, against plain arithmetic. */
static void decimal_is_exact_at_its_border(void **state)
{
    (void)state;
    for (int max = 0; max <= 120; max++) {
        for (int v = 0; v <= 120; v++) {
            char text[16];
            snprintf(text, sizeof(text), "%d", v);
            assert_int_equal(slice_decimal(slice_str(text), max), v <= max ? v : -1);
        }
    }
}

static void list_next_skips_empty_elements(void **state)
{
    static const struct {
        const char *in;
        const char *want[5];
    } rows[] = {
        {"", {NULL}},
        {",", {NULL}},
        {" , ,\t,", {NULL}},
        {"a", {"a"}},
        {"a,b", {"a", "b"}},
        {" a , b c ,\t d", {"a", "b c", "d"}},
        {",,a,,b,", {"a", "b"}},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct slice list = slice_str(rows[i].in), item = SLICE("untouched");
        size_t k = 0;
        for (; rows[i].want[k]; k++) {
            assert_true(slice_list_next(&list, &item));
            assert_slice(item, rows[i].want[k]);
        }
        assert_false(slice_list_next(&list, &item));
        assert_int_equal(list.n, 0);
        if (k == 0)
            assert_slice(item, "untouched");
    }
}

static void fields_find_takes_the_first_of_a_name(void **state)
{
    const struct field fields[] = {
        {SLICE("host"), SLICE("a")},
        {SLICE("Cookie"), SLICE("1")},
        {SLICE("cookie"), SLICE("2")},
    };

    (void)state;
    assert_ptr_equal(fields_find(fields, 3, SLICE("COOKIE")), &fields[1]);
    assert_ptr_equal(fields_find(fields, 3, SLICE("Host")), &fields[0]);
    assert_null(fields_find(fields, 1, SLICE("cookie")));
    assert_null(fields_find(fields, 3, SLICE("cooki")));
    assert_null(fields_find(NULL, 0, SLICE("host")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_str_and_from),
        cmocka_unit_test(equality_is_of_bytes),
        cmocka_unit_test(lower_changes_ascii_letters_only),
        cmocka_unit_test(ieq_folds_ascii_letters_only),
        cmocka_unit_test(ieq_looks_at_every_byte),
        cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(find_finds_the_first),
        cmocka_unit_test(trim_takes_spaces_and_tabs),
        cmocka_unit_test(decimal_reads_digits_up_to_max),
        cmocka_unit_test(decimal_is_exact_at_its_border),
        cmocka_unit_test(list_next_skips_empty_elements),
        cmocka_unit_test(fields_find_takes_the_first_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
