#include "params.h"

#include <fastcgi.h>
#include <limits.h>

#include "../gateway/err.h"
#include "record.h"

/* FastCGI 3.4: lengths up to 127 take one byte, others four with the top bit set. */
enum { SHORT_MAX = 127 };
static const uint32_t long_bit = UINT32_C(1) << 31;

static size_t length_size(size_t n)
{
    return n <= SHORT_MAX ? 1 : 4;
}

static uint8_t *length_put(uint8_t *at, size_t n)
{
    if (n <= SHORT_MAX)
        *at = (uint8_t)n;
    else
        be32_put(at, (uint32_t)n | long_bit);
    return at + length_size(n);
}

/* Read a length at in[*at]; false if it is not all there. */
static bool length_get(const uint8_t *in, size_t len, size_t *at, size_t *ret_n)
{
    size_t left = len - *at;

    if (left < 1 || (in[*at] > SHORT_MAX && left < 4))
        return false;
    if (in[*at] <= SHORT_MAX) {
        *ret_n = in[*at];
        *at += 1;
    } else {
        *ret_n = be32_get(in + *at) & ~long_bit;
        *at += 4;
    }
    return true;
}

int fcgi_params_put(struct buf *out, struct slice name, struct slice value)
{
    if (name.n > INT32_MAX || value.n > INT32_MAX)
        return GW_ENO_MEMORY;
    size_t size = length_size(name.n) + length_size(value.n) + name.n + value.n;
    uint8_t *at = buf_reserve(out, size);
    if (!at)
        return GW_ENO_MEMORY;
    at = length_put(at, name.n);
    at = length_put(at, value.n);
    if (name.n)
        memcpy(at, name.p, name.n);
    if (value.n)
        memcpy(at + name.n, value.p, value.n);
    buf_commit(out, size);
    return 0;
}

int fcgi_params_records(struct buf *out, uint16_t id, const uint8_t *pairs, size_t n)
{
    size_t n_records = n / FCGI_RECORD_CONTENT_MAX + (n % FCGI_RECORD_CONTENT_MAX != 0) + 1;

    if (n > SIZE_MAX / 2)
        return GW_ENO_MEMORY;
    uint8_t *at = buf_reserve(out, n + n_records * FCGI_RECORD_HEADER);
    if (!at)
        return GW_ENO_MEMORY;
    while (n) {
        size_t part = n < FCGI_RECORD_CONTENT_MAX ? n : FCGI_RECORD_CONTENT_MAX;
        fcgi_record_header(at, FCGI_PARAMS, id, (uint16_t)part, 0);
        memcpy(at + FCGI_RECORD_HEADER, pairs, part);
        at += FCGI_RECORD_HEADER + part;
        pairs += part;
        n -= part;
    }
    fcgi_record_header(at, FCGI_PARAMS, id, 0, 0); /* ends the stream, 3.3 */
    at += FCGI_RECORD_HEADER;
    buf_commit(out, (size_t)(at - (out->data + out->len)));
    return 0;
}

/* The whole pair at the front of in: its size, 0 if it is not all there, GW_EFCGI_PROTO. */
static ssize_t pair_get(const uint8_t *in, size_t len, size_t max, struct slice *ret_name,
                        struct slice *ret_value)
{
    size_t at = 0, name_len, value_len;

    if (!length_get(in, len, &at, &name_len) || !length_get(in, len, &at, &value_len))
        return 0;
    if (name_len > max || value_len > max - name_len)
        return GW_EFCGI_PROTO;
    if (len - at < name_len + value_len)
        return 0;
    *ret_name = slice_of(in + at, name_len);
    *ret_value = slice_of(in + at + name_len, value_len);
    return (ssize_t)(at + name_len + value_len);
}

/* Hand all whole pairs of in to fn; *ret_taken says how many bytes they were. */
static int pairs_take(const struct fcgi_params *p, const uint8_t *in, size_t len,
                      fcgi_params_fn *fn, void *arg, size_t *ret_taken)
{
    size_t at = 0;

    while (at < len) {
        struct slice name, value;
        ssize_t n = pair_get(in + at, len - at, p->max, &name, &value);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        at += (size_t)n;
        int err = fn(arg, name, value);
        if (err)
            return err;
    }
    *ret_taken = at;
    return 0;
}

void fcgi_params_init(struct fcgi_params *p, size_t max)
{
    *p = (struct fcgi_params){.max = max};
}

void fcgi_params_fini(struct fcgi_params *p)
{
    buf_fini(&p->partial);
}

void fcgi_params_clear(struct fcgi_params *p)
{
    buf_clear(&p->partial);
}

int fcgi_params_feed(struct fcgi_params *p, const uint8_t *in, size_t len, fcgi_params_fn *fn,
                     void *arg)
{
    size_t taken;
    int err;

    /* As a rule all pairs lie in one record, and then nothing is copied.  What stays in partial
     * is at most one pair with its lengths, so max bounds it. */
    if (buf_len(&p->partial) == 0) {
        err = pairs_take(p, in, len, fn, arg, &taken);
        if (err || taken == len)
            return err;
        return buf_append(&p->partial, in + taken, len - taken);
    }
    err = buf_append(&p->partial, in, len);
    if (err)
        return err;
    err = pairs_take(p, buf_at(&p->partial), buf_len(&p->partial), fn, arg, &taken);
    if (err)
        return err;
    buf_drop(&p->partial, taken);
    return 0;
}

int fcgi_params_end(const struct fcgi_params *p)
{
    return buf_len(&p->partial) ? GW_EFCGI_PROTO : 0;
}
