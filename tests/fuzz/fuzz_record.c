/*
 * Split input gives the same records as whole input, and fcgi_record_decode agrees.  The first
 * byte says where to cut.
 */
#include <assert.h>
#include <string.h>

#include "../../fcgi/record.h"
#include "../../gateway/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static bool same(const struct buf *a, const struct buf *b)
{
    return buf_len(a) == buf_len(b) &&
           (buf_len(a) == 0 || memcmp(buf_at(a), buf_at(b), buf_len(a)) == 0);
}

/* What the reader reports for in[0..len), as text; the result of the last call. */
static ssize_t report(struct fcgi_reader *r, const uint8_t *in, size_t len, struct buf *out)
{
    struct fcgi_piece p;
    ssize_t n;

    while ((n = fcgi_reader_next(r, in, len, &p)) > 0) {
        assert((size_t)n <= len);
        if (p.begin && buf_printf(out, "[%u %u]", p.type, p.id))
            return 0;
        if (buf_append(out, p.content, p.len) || (p.end && buf_puts(out, SLICE("."))))
            return 0;
        in += n;
        len -= (size_t)n;
    }
    return n;
}

/* Every whole record at the front has its text at the front of the reader's. */
static void compare_decode(const uint8_t *in, size_t len, const struct buf *whole)
{
    struct buf text = {0};
    struct fcgi_record rec;
    ssize_t n;

    while ((n = fcgi_record_decode(in, len, &rec)) > 0) {
        assert(buf_printf(&text, "[%u %u]", rec.type, rec.id) == 0);
        assert(buf_append(&text, rec.content, rec.content_len) == 0);
        assert(buf_puts(&text, SLICE(".")) == 0);
        in += n;
        len -= (size_t)n;
    }
    assert(buf_len(&text) <= buf_len(whole));
    assert(buf_len(&text) == 0 || memcmp(buf_at(whole), buf_at(&text), buf_len(&text)) == 0);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct fcgi_reader one = {0}, two = {0};
    struct buf whole = {0}, split = {0};

    if (len < 1)
        return 0;
    size_t cut = in[0] % len;
    in++;
    len--;
    ssize_t a = report(&one, in, len, &whole);
    ssize_t b = report(&two, in, cut, &split);
    if (b == 0)
        b = report(&two, in + cut, len - cut, &split);
    assert(a == b && same(&whole, &split));
    compare_decode(in, len, &whole);
    buf_fini(&whole);
    buf_fini(&split);
    return 0;
}
