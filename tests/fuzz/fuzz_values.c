/*
 * A GET_VALUES_RESULT split in two says the same as a whole one, and what is said is in range.
 * The first byte says where to cut.
 */
#include <assert.h>

#include "../../fcgi/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static int read_cut(const uint8_t *in, size_t len, size_t cut, struct fcgi_values *ret)
{
    struct fcgi_values_reader v;

    fcgi_values_init(&v);
    int err = fcgi_values_feed(&v, in, cut);
    if (!err)
        err = fcgi_values_feed(&v, in + cut, len - cut);
    if (!err)
        err = fcgi_values_end(&v, ret);
    fcgi_values_fini(&v);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct fcgi_values whole = {0}, split = {0};

    if (len < 1)
        return 0;
    size_t cut = in[0] % len;
    int a = read_cut(in + 1, len - 1, len - 1, &whole);
    int b = read_cut(in + 1, len - 1, cut, &split);
    assert(a == b);
    assert(whole.max_conns == split.max_conns && whole.max_reqs == split.max_reqs &&
           whole.mpxs == split.mpxs);
    assert(whole.max_conns <= 1000000 && whole.max_reqs <= 1000000);
    return 0;
}
