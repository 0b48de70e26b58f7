/*
 * A request head fed in two parts, and byte by byte, gives the same as fed whole, and what it
 * gives keeps its promises.  The first two bytes say where to cut.
 */
#include <assert.h>
#include <string.h>

#include "../../gateway/authority.h"
#include "../../gateway/h1parse.h"

enum { MAX_BYTES = 2000, MAX_FIELDS = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

/* Feed in[0..cut), then step bytes more each time. */
static ssize_t parse(struct h1_head *h, const uint8_t *in, size_t len, size_t cut, size_t step)
{
    h1_head_init(h, MAX_BYTES, MAX_FIELDS);
    for (size_t n = cut;; n = n + step < len ? n + step : len) {
        ssize_t rc = h1_head_parse(h, in, n);
        if (rc != 0 || n == len)
            return rc;
    }
}

static void check_inside(struct h1_span s, ssize_t n)
{
    assert((ssize_t)s.at + (ssize_t)s.n <= n);
}

static void check_head(const struct h1_head *h, const char *in, ssize_t n)
{
    struct field fields[MAX_FIELDS];
    unsigned hosts = 0;

    check_inside(h->method, n);
    check_inside(h->target, n);
    check_inside(h->origin, n);
    check_inside(h->authority, n);
    assert(h->method.n > 0 && h->target.n > 0 && h->n_fields <= MAX_FIELDS && n <= MAX_BYTES);
    assert(!h->chunked || (h->content_length < 0 && h->version == 11));
    assert(h->authority.n ? authority_valid(h1_slice(in, h->authority)) : h->version == 10);
    h1_head_fields(h, in, fields);
    for (uint32_t i = 0; i < h->n_fields; i++) {
        struct slice value = fields[i].value;
        assert(fields[i].name.n > 0 && slice_find(fields[i].name, ' ') < 0);
        assert(h1_value_ok(value) && slice_eq(value, slice_trim(value)));
        assert(value.p + value.n <= in + n);
        hosts += slice_ieq(fields[i].name, SLICE("Host"));
    }
    assert(hosts <= 1 && (hosts == 1 || h->version == 10));
    assert(memcmp(in + n - 4, "\r\n\r\n", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct h1_head whole, split, bytes;

    if (len < 2)
        return 0;
    size_t cut = (size_t)(in[0] << 8 | in[1]) % (len - 1);
    in += 2;
    len -= 2;
    ssize_t rc = parse(&whole, in, len, len, 1);
    assert(parse(&split, in, len, cut, len + 1) == rc);
    assert(parse(&bytes, in, len, 0, 1) == rc);
    assert(whole.at <= len && split.at <= len && bytes.at <= len);
    assert(memcmp(&whole.method, &bytes.method, sizeof(whole.method)) == 0);
    assert(memcmp(&whole.target, &bytes.target, sizeof(whole.target)) == 0);
    if (rc > 0) {
        assert(memcmp(&whole, &split, sizeof(whole)) == 0);
        assert(memcmp(&whole, &bytes, sizeof(whole)) == 0);
        check_head(&whole, (const char *)in, rc);
    }
    return 0;
}
