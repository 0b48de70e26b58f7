/*
 * A chunked body fed in two parts, and byte by byte, gives the same data, end or error as fed
 * whole; and one made of the data it gave is read back.  The first two bytes say where to cut.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../gateway/h1chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

struct result {
    ssize_t rc; /* bytes that belong to the body, or the error */
    bool done;
    size_t n;
    uint8_t *data;
};

static struct result decode(const uint8_t *in, size_t len, size_t cut, size_t step)
{
    struct result r = {.data = malloc(len + 1)};
    struct h1_chunked k = {0};
    size_t at = 0, end = cut;

    assert(r.data);
    for (; !h1_chunked_done(&k); end = end + step < len ? end + step : len) {
        while (at < end && !h1_chunked_done(&k)) {
            struct slice data;
            ssize_t used = h1_chunked_next(&k, in + at, end - at, &data);
            if (used < 0) {
                r.rc = used;
                return r;
            }
            assert(used > 0 && (size_t)used <= end - at && data.n <= (size_t)used);
            if (data.n)
                memcpy(r.data + r.n, data.p, data.n);
            r.n += data.n;
            at += (size_t)used;
        }
        if (end == len)
            break;
    }
    r.done = h1_chunked_done(&k);
    r.rc = (ssize_t)at;
    return r;
}

static void check_same(const struct result *a, const struct result *b)
{
    assert(a->rc == b->rc && a->done == b->done && a->n == b->n);
    assert(memcmp(a->data, b->data, a->n) == 0);
}

static void check_back(const struct result *a)
{
    uint8_t *text = malloc(a->n + 64);

    assert(text);
    size_t n = 0;
    if (a->n) {
        n = (size_t)snprintf((char *)text, 64, "%zx\r\n", a->n);
        memcpy(text + n, a->data, a->n);
        memcpy(text + n + a->n, "\r\n", 2);
        n += a->n + 2;
    }
    memcpy(text + n, "0\r\n\r\n", 5);
    n += 5;
    struct result back = decode(text, n, n, 1);
    assert(back.done && back.rc == (ssize_t)n && back.n == a->n);
    assert(memcmp(back.data, a->data, a->n) == 0);
    free(back.data);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    if (len < 2)
        return 0;
    size_t cut = (size_t)(in[0] << 8 | in[1]) % (len - 1);
    in += 2;
    len -= 2;
    struct result whole = decode(in, len, len, 1);
    struct result split = decode(in, len, cut, len + 1);
    struct result bytes = decode(in, len, 0, 1);
    check_same(&whole, &split);
    check_same(&whole, &bytes);
    if (whole.done)
        check_back(&whole);
    free(whole.data);
    free(split.data);
    free(bytes.data);
    return 0;
}
