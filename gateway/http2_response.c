/*
 * Response heads as the library wants them: one block of the stream's arena holds the array and
 * all strings.
 */
#include "http2_session.h"

#include "stream.h"

enum {
    STATUS_LEN = 3,
    LENGTH_LEN = 20, /* 2^63 - 1 has 19 digits */
    OURS = 4         /* :status, date, server, content-length */
};

struct builder {
    struct h2_block *block;
    char *at; /* next free byte for strings */
};

static const uint8_t kept = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;

/* Room for n more fields whose strings have text bytes together. */
static int begin(struct stream *s, size_t n, size_t text, struct h2_block *block,
                 struct builder *ret)
{
    char *p = arena_alloc(&s->arena, n * sizeof(nghttp2_nv) + text);

    if (!p)
        return GW_ENO_MEMORY;
    *block = (struct h2_block){.nv = (nghttp2_nv *)(void *)p};
    *ret = (struct builder){.block = block, .at = p + n * sizeof(nghttp2_nv)};
    return 0;
}

/* Both strings are already where they stay. */
static void add_kept(struct builder *b, struct slice name, struct slice value)
{
    b->block->nv[b->block->n++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.p,
        .value = (uint8_t *)(uintptr_t)value.p,
        .namelen = name.n,
        .valuelen = value.n,
        .flags = kept,
    };
}

static struct slice copy(struct builder *b, struct slice text)
{
    struct slice to = {b->at, text.n};

    if (text.n)
        memcpy(b->at, text.p, text.n);
    b->at += text.n;
    return to;
}

/* RFC 9113 8.2: names go out in lower case. */
static struct slice copy_lower(struct builder *b, struct slice text)
{
    struct slice to = slice_lower(b->at, text);

    b->at += text.n;
    return to;
}

static void add_status(struct builder *b, int status)
{
    struct slice value = {b->at, STATUS_LEN};

    *b->at++ = (char)('0' + status / 100 % 10);
    *b->at++ = (char)('0' + status / 10 % 10);
    *b->at++ = (char)('0' + status % 10);
    add_kept(b, SLICE(":status"), value);
}

static void add_length(struct builder *b, int64_t length)
{
    char digits[LENGTH_LEN];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + length % 10);
    } while ((length /= 10) > 0);
    add_kept(b, SLICE("content-length"), copy(b, slice_of(digits + at, sizeof(digits) - at)));
}

static void add_fields(struct builder *b, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct slice name = copy_lower(b, fields[i].name);
        add_kept(b, name, copy(b, fields[i].value));
    }
}

static size_t text_len(const struct field *fields, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += fields[i].name.n + fields[i].value.n;
    return sum;
}

int h2_response_block(struct stream *s, const struct response *r, struct slice date,
                      struct h2_block *ret)
{
    size_t text = STATUS_LEN + LENGTH_LEN + date.n + text_len(r->fields, r->n_fields);
    struct builder b;

    if (begin(s, r->n_fields + OURS, text, ret, &b) != 0)
        return GW_ENO_MEMORY;
    add_status(&b, r->status);
    if (!fields_find(r->fields, r->n_fields, SLICE("date"))) /* RFC 9110 6.6.1 */
        add_kept(&b, SLICE("date"), copy(&b, date));
    if (!r->no_server && !fields_find(r->fields, r->n_fields, SLICE("server")))
        add_kept(&b, SLICE("server"), SLICE("h2cgi"));
    if (r->content_length >= 0)
        add_length(&b, r->content_length);
    add_fields(&b, r->fields, r->n_fields);
    return 0;
}

int h2_interim_block(struct stream *s, int status, const struct field *fields, size_t n_fields,
                     struct h2_block *ret)
{
    struct builder b;

    if (begin(s, n_fields + 1, STATUS_LEN + text_len(fields, n_fields), ret, &b) != 0)
        return GW_ENO_MEMORY;
    add_status(&b, status);
    add_fields(&b, fields, n_fields);
    return 0;
}
