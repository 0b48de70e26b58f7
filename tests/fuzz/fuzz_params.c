/*
 * Split input gives the same pairs as whole input, and what was read encodes and reads back.
 * The first byte says where to cut.
 */
#include <assert.h>
#include <string.h>

#include "../../fcgi/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static bool same(const struct buf *a, const struct buf *b)
{
    return buf_len(a) == buf_len(b) &&
           (buf_len(a) == 0 || memcmp(buf_at(a), buf_at(b), buf_len(a)) == 0);
}

static int encode(void *arg, struct slice name, struct slice value)
{
    return fcgi_params_put(arg, name, value);
}

/* Read in[0..len) cut in two and encode what came; the first error. */
static int reencode(const uint8_t *in, size_t len, size_t cut, struct buf *out)
{
    struct fcgi_params p;

    fcgi_params_init(&p, 512);
    int err = fcgi_params_feed(&p, in, cut, encode, out);
    if (!err)
        err = fcgi_params_feed(&p, in + cut, len - cut, encode, out);
    if (!err)
        err = fcgi_params_end(&p);
    fcgi_params_fini(&p);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct buf whole = {0}, split = {0}, again = {0};

    if (len < 1)
        return 0;
    size_t cut = in[0] % len;
    int a = reencode(in + 1, len - 1, len - 1, &whole);
    int b = reencode(in + 1, len - 1, cut, &split);
    assert(a == b && same(&whole, &split));
    if (buf_len(&whole))
        assert(reencode(buf_at(&whole), buf_len(&whole), 0, &again) == 0);
    assert(same(&whole, &again));
    buf_fini(&whole);
    buf_fini(&split);
    buf_fini(&again);
    return 0;
}
