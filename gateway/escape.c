#include "escape.h"

#include "err.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The character at the front of s: its length and code point, or 1 and -1 for a byte that begins
 * none (RFC 3629 3, 4). */
static size_t next_char(struct slice s, int32_t *ret_code)
{
    static const struct {
        unsigned char mask, mark;
        int32_t least;
    } leads[] = {
        {0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    unsigned char first = (unsigned char)s.p[0];
    size_t n = 0;

    while (n < 4 && (first & leads[n].mask) != leads[n].mark)
        n++;
    *ret_code = -1;
    if (n == 4 || s.n < n + 1)
        return 1;
    int32_t code = first & ~leads[n].mask & 0xff;
    for (size_t i = 1; i <= n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c & 0xc0) != 0x80)
            return 1;
        code = code << 6 | (c & 0x3f);
    }
    if (code < leads[n].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 1;
    *ret_code = code;
    return n + 1;
}

/* C0, DEL, C1, and what turns or hides the text around it (Unicode's Bidi_Control). */
static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

typedef struct slice replace_fn(int32_t code, char scratch[8]);

/* Each character as replace has it; p NULL: as it is. */
static int escape(struct buf *out, struct slice text, replace_fn *replace)
{
    char scratch[8];

    while (text.n) {
        int32_t code;
        size_t n = next_char(text, &code);
        struct slice put = code < 0 ? SLICE(REPLACEMENT) : replace(code, scratch);
        if (!put.p)
            put = slice_of(text.p, n);
        if (buf_puts(out, put) < 0)
            return GW_ENO_MEMORY;
        text = slice_from(text, n);
    }
    return 0;
}

static struct slice in_html(int32_t code, char scratch[8])
{
    (void)scratch;
    switch (code) {
    case '&':
        return SLICE("&amp;");
    case '<':
        return SLICE("&lt;");
    case '>':
        return SLICE("&gt;");
    case '"':
        return SLICE("&quot;");
    case '\'':
        return SLICE("&#39;");
    default:
        return is_control(code) ? SLICE(REPLACEMENT) : slice_of(NULL, 0);
    }
}

static struct slice in_json(int32_t code, char scratch[8])
{
    static const char digits[] = "0123456789abcdef";

    if (code == '"')
        return SLICE("\\\"");
    if (code == '\\')
        return SLICE("\\\\");
    if (code >= 0x20)
        return slice_of(NULL, 0);
    memcpy(scratch, "\\u00", 4); /* NOLINT(bugprone-not-null-terminated-result): a slice */
    scratch[4] = digits[code >> 4];
    scratch[5] = digits[code & 15];
    return slice_of(scratch, 6);
}

static struct slice in_text(int32_t code, char scratch[8])
{
    (void)scratch;
    return is_control(code) ? SLICE(REPLACEMENT) : slice_of(NULL, 0);
}

int escape_html(struct buf *out, struct slice text)
{
    return escape(out, text, in_html);
}

int escape_json(struct buf *out, struct slice text)
{
    return escape(out, text, in_json);
}

int escape_text(struct buf *out, struct slice text)
{
    return escape(out, text, in_text);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

int escape_segment(struct buf *out, struct slice name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = (char *)buf_reserve(out, 3 * name.n), *start = at;

    if (!at)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (is_unreserved(name.p[i])) {
            *at++ = name.p[i];
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    buf_commit(out, (size_t)(at - start));
    return 0;
}
