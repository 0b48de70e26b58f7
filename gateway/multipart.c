#include "multipart.h"

#include <inttypes.h>

#include "err.h"

static void hex_of(const unsigned char *in, size_t n, char *out)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[in[i] >> 4];
        out[2 * i + 1] = hex[in[i] & 15];
    }
    out[2 * n] = '\0';
}

int multipart_init(struct multipart *m, struct arena *a, const struct ranges *ranges,
                   struct slice type, int64_t size,
                   const unsigned char boundary[MULTIPART_BOUNDARY])
{
    char mark[2 * MULTIPART_BOUNDARY + 1];

    hex_of(boundary, MULTIPART_BOUNDARY, mark);
    m->length = 0;
    m->type = arena_printf(a, "multipart/byteranges; boundary=%s", mark);
    for (unsigned i = 0; i < ranges->n; i++) {
        struct range r = ranges->at[i];
        m->text[i] = arena_printf(a,
                                  "%s--%s\r\nContent-Type: %.*s\r\nContent-Range: "
                                  "bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n\r\n",
                                  i ? "\r\n" : "", mark, SLICE_FMT(type), r.first,
                                  r.first + r.n - 1, size);
        if (!m->text[i].p)
            return GW_ENO_MEMORY;
        if (__builtin_add_overflow(m->length, r.n, &m->length) ||
            __builtin_add_overflow(m->length, (int64_t)m->text[i].n, &m->length))
            return GW_EFILE;
    }
    struct slice end = arena_printf(a, "\r\n--%s--\r\n", mark);
    m->text[ranges->n] = end;
    if (__builtin_add_overflow(m->length, (int64_t)end.n, &m->length))
        return GW_EFILE;
    return m->type.p && end.p ? 0 : GW_ENO_MEMORY;
}
