/*
 * A head fed in two parts gives the same as fed whole.  The first byte says where to cut.
 */
#include <assert.h>
#include <string.h>

#include "../../fcgi/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static bool same(const struct buf *a, const struct buf *b)
{
    return buf_len(a) == buf_len(b) &&
           (buf_len(a) == 0 || memcmp(buf_at(a), buf_at(b), buf_len(a)) == 0);
}

static void summarize(struct buf *out, const struct response_head *h)
{
    assert(buf_printf(out, "%d %d %d %lld|", h->kind, h->status, h->nph,
                      (long long)h->content_length) == 0);
    assert(buf_puts(out, h->reason) == 0 && buf_puts(out, h->location) == 0);
    for (size_t i = 0; i < h->n_fields; i++) {
        assert(buf_puts(out, h->fields[i].name) == 0);
        assert(buf_puts(out, h->fields[i].value) == 0);
        assert(memchr(h->fields[i].value.p, '\n', h->fields[i].value.n) == NULL);
    }
}

/* Feed in cut in two; how many bytes are the head, 0, or the error. */
static ssize_t parse(const uint8_t *in, size_t len, size_t cut, struct buf *out)
{
    struct response_parser p;
    struct arena arena;

    arena_init(&arena);
    response_parser_init(&p, &arena, 1000);
    ssize_t r = response_parser_feed(&p, in, cut);
    if (r == 0) {
        r = response_parser_feed(&p, in + cut, len - cut);
        if (r > 0)
            r += (ssize_t)cut;
    }
    assert(r <= (ssize_t)len && (r > 0) == p.done);
    if (p.done) {
        assert(p.head.status >= 100 && p.head.status <= 599);
        summarize(out, &p.head);
    }
    response_parser_fini(&p);
    arena_fini(&arena);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct buf whole = {0}, split = {0};

    if (len < 1)
        return 0;
    size_t cut = in[0] % len;
    in++;
    len--;
    ssize_t a = parse(in, len, len, &whole);
    ssize_t b = parse(in, len, cut, &split);
    /* Over the limit and malformed at once: which is seen first depends on the split. */
    assert(a == b || (a < 0 && b < 0));
    assert(same(&whole, &split));
    buf_fini(&whole);
    buf_fini(&split);
    return 0;
}
