/* gateway/escape.h: every byte and every kind of broken UTF-8, in each form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/escape.h"

#define BAD "\xef\xbf\xbd"

typedef int escape_fn(struct buf *out, struct slice text);

static void expect(escape_fn *fn, struct slice text, const char *want)
{
    struct buf out = {0};

    assert_int_equal(fn(&out, text), 0);
    if (!slice_eq(buf_slice(&out), slice_str(want)))
        fail_msg("got \"%.*s\", want \"%s\"", SLICE_FMT(buf_slice(&out)), want);
    buf_fini(&out);
}

static void html(void **state)
{
    (void)state;
    expect(escape_html, SLICE(""), "");
    expect(escape_html, SLICE("plain name.txt"), "plain name.txt");
    expect(escape_html, SLICE("<script>alert(\"1\" & '2')</script>"),
           "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
    expect(escape_html, SLICE("a\nb\tc\x7f"), "a" BAD "b" BAD "c" BAD);
    expect(escape_html, SLICE("\0"), BAD);
    expect(escape_html, SLICE("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
           "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
    expect(escape_html, SLICE("txt\xe2\x80\xaegpj"), "txt" BAD "gpj"); /* U+202E */
    expect(escape_html, SLICE("\xc2\x85"), BAD);                       /* C1 */
}

/* RFC 3629 3 and 4: each is broken in its own way, and one byte is one replacement. */
static void broken_utf8(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"\x80", BAD},      /* a continuation alone */
        {"a\xc3", "a" BAD}, /* cut short */
        {"\xe2\x82z", BAD BAD "z"},
        {"\xc0\xaf", BAD BAD}, /* overlong slash */
        {"\xe0\x80\xaf", BAD BAD BAD},
        {"\xc1\xbf", BAD BAD},
        {"\xed\xa0\x80", BAD BAD BAD},         /* surrogate */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* beyond U+10FFFF */
        {"\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD},
        {"\xff\xfe", BAD BAD},
        {"caf\xe9", "caf" BAD},                   /* Latin-1 */
        {"\xf4\x8f\xbf\xbd", "\xf4\x8f\xbf\xbd"}, /* the last ones are fine */
        {"\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect(escape_html, slice_str(rows[i].text), rows[i].want);
        expect(escape_json, slice_str(rows[i].text), rows[i].want);
        expect(escape_text, slice_str(rows[i].text), rows[i].want);
    }
}

static void json(void **state)
{
    (void)state;
    expect(escape_json, SLICE("a\"b\\c</x>"), "a\\\"b\\\\c</x>");
    expect(escape_json, SLICE("\n\x01\x1f"), "\\u000a\\u0001\\u001f");
}

static void text(void **state)
{
    (void)state;
    expect(escape_text, SLICE("a\nb<c>\r"), "a" BAD "b<c>" BAD);
}

static void segment(void **state)
{
    char all[256];
    struct buf out = {0};

    (void)state;
    expect(escape_segment, SLICE("a b"), "a%20b");
    expect(escape_segment, SLICE("a:b?c#d%e/"), "a%3Ab%3Fc%23d%25e%2F");
    expect(escape_segment, SLICE("caf\xe9"), "caf%E9");
    expect(escape_segment, SLICE("-._~09azAZ"), "-._~09azAZ");
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    assert_int_equal(escape_segment(&out, slice_of(all, sizeof(all))), 0);
    /* 66 unreserved characters, three bytes for each of the others, nothing else */
    assert_int_equal(buf_len(&out), 66 + 3 * (256 - 66));
    assert_null(memchr(buf_at(&out), '"', buf_len(&out)));
    assert_null(memchr(buf_at(&out), '<', buf_len(&out)));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html), cmocka_unit_test(broken_utf8), cmocka_unit_test(json),
        cmocka_unit_test(text), cmocka_unit_test(segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
