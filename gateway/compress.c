#include "compress.h"

#include <ctype.h>

#include "cache_control.h"
#include "err.h"

/* ---- types ---- */

/* Does text match a pattern in which * stands for any run of characters?  Without regard to
 * case (RFC 9110 8.3.1). */
static bool glob(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, since = 0;

    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            since = t;
        } else if (p < pattern.n &&
                   tolower((unsigned char)pattern.p[p]) == tolower((unsigned char)text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1; /* the last star takes one more */
            t = ++since;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool compress_has_type(const struct conf_compress *c, struct slice type)
{
    ssize_t semicolon = slice_find(type, ';');

    type = slice_trim(semicolon < 0 ? type : slice_of(type.p, (size_t)semicolon));
    bool events = slice_ieq(type, SLICE("text/event-stream"));
    for (unsigned i = 0; i < c->n_types; i++) {
        if (events ? slice_ieq(c->types[i], type) : glob(c->types[i], type))
            return true;
    }
    return false;
}

/* ---- what may be compressed ---- */

/* Encoded already, or with a sum over the bytes as they are. */
static bool forbids(const struct field *f)
{
    static const struct slice names[] = {
        {"Content-MD5", 11}, {"Digest", 6}, {"Content-Digest", 14}, {"Repr-Digest", 11}};

    if (slice_ieq(f->name, SLICE("Content-Encoding")))
        return f->value.n && !slice_ieq(f->value, SLICE("identity"));
    return slice_ieq_any(f->name, names, sizeof(names) / sizeof(names[0]));
}

static bool is_small(const struct conf_compress *c, int64_t length)
{
    return length >= 0 && (length == 0 || length < c->min);
}

/* Ranges are of what is not encoded. */
static bool is_part(const struct response *r)
{
    return r->status == 206 || fields_find(r->fields, r->n_fields, SLICE("Content-Range"));
}

/* A 304 of which nobody knows what the 200 would have been. */
static bool is_blank(const struct response *r)
{
    return r->status == 304 && !r->whole_type.n &&
           !fields_find(r->fields, r->n_fields, SLICE("Content-Type"));
}

/* May a response like r be compressed, or the whole that it is a part of or stands for? */
static bool is_kind(const struct conf_compress *c, const struct response *r)
{
    const struct field *type = fields_find(r->fields, r->n_fields, SLICE("Content-Type"));
    bool stands_for = r->status == 304 || is_part(r);
    bool known = r->whole_type.n > 0;

    if (r->status < 200 || r->status == 204 || r->status == 205)
        return false;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (forbids(&r->fields[i]))
            return false;
    }
    if (cache_control_of(r->fields, r->n_fields).no_transform)
        return false;
    if (is_blank(r))
        return true;
    if (!known && (!type || !compress_has_type(c, type->value)))
        return false;
    if (known && !compress_has_type(c, r->whole_type))
        return false;
    return !is_small(c, known ? r->whole_length : stands_for ? -1 : r->content_length);
}

/* ---- who takes it ---- */

static void rank(const struct conf_compress *c, const struct accept_encoding *a,
                 struct compress_choice *ret)
{
    for (unsigned i = 0; i < c->n; i++) {
        enum coding coding = c->order[i];
        uint16_t q = a->q[coding];
        if (q == 0 || q < a->q[CODING_IDENTITY])
            continue;
        unsigned at = ret->n++;
        for (; at > 0 && a->q[ret->codings[at - 1]] < q; at--)
            ret->codings[at] = ret->codings[at - 1];
        ret->codings[at] = coding;
    }
}

/* Was the client's copy compressed?  Then its If-None-Match has what weaken() makes of etag. */
static bool has_weak(const struct request *req, const struct field *etag)
{
    for (size_t i = 0; etag && i < req->n_fields; i++) {
        struct slice list = req->fields[i].value, item;
        if (!slice_ieq(req->fields[i].name, SLICE("If-None-Match")))
            continue;
        while (slice_list_next(&list, &item)) {
            if (slice_starts(item, SLICE("W/")) && slice_eq(slice_from(item, 2), etag->value))
                return true;
        }
    }
    return false;
}

void compress_choose(const struct conf_compress *c, const struct request *req,
                     const struct response *r, struct compress_choice *ret)
{
    struct accept_encoding a;

    *ret = (struct compress_choice){.varies = is_kind(c, r)};
    /* Caches of the time of HTTP/1.0 know no Vary. */
    if (!ret->varies || req->version < HTTP_1_1 || is_part(r))
        return;
    accept_encoding_read(req->fields, req->n_fields, &a);
    rank(c, &a, ret);
    if (ret->n && cache_control_of(req->fields, req->n_fields).no_transform)
        ret->n = 0;
    if (is_blank(r) && !has_weak(req, fields_find(r->fields, r->n_fields, SLICE("ETag"))))
        ret->n = 0;
}

/* ---- the head ---- */

/* All fields Vary together name Accept-Encoding, or everything. */
static bool vary_has(const struct response *r)
{
    for (size_t i = 0; i < r->n_fields; i++) {
        struct slice list = r->fields[i].value, item;
        if (!slice_ieq(r->fields[i].name, SLICE("Vary")))
            continue;
        while (slice_list_next(&list, &item)) {
            if (slice_eq(item, SLICE("*")) || slice_ieq(item, SLICE("Accept-Encoding")))
                return true;
        }
    }
    return false;
}

/* The first field Vary with Accept-Encoding behind it, or a new one. */
static int vary_add(struct arena *a, struct field *fields, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        struct slice *value = &fields[i].value;
        if (!slice_ieq(fields[i].name, SLICE("Vary")) || value->n == 0)
            continue;
        *value = arena_printf(a, "%.*s, Accept-Encoding", SLICE_FMT(*value));
        return value->p ? 0 : GW_ENO_MEMORY;
    }
    fields[(*n)++] = (struct field){SLICE("Vary"), SLICE("Accept-Encoding")};
    return 0;
}

/* What is encoded is the same to a reader, not byte for byte (8.8.1). */
static int weaken(struct arena *a, struct slice *etag)
{
    if (slice_starts(*etag, SLICE("W/")))
        return 0;
    *etag = arena_printf(a, "W/%.*s", SLICE_FMT(*etag));
    return etag->p ? 0 : GW_ENO_MEMORY;
}

int compress_head(struct arena *a, enum coding coding, struct response *r)
{
    struct field *fields = arena_alloc(a, (r->n_fields + 2) * sizeof(*fields));
    bool encoded = coding != CODING_IDENTITY;
    size_t n = 0;
    int rc = 0;

    if (!fields)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < r->n_fields && rc == 0; i++) {
        struct field f = r->fields[i];
        if (encoded && (slice_ieq(f.name, SLICE("Accept-Ranges")) ||
                        slice_ieq(f.name, SLICE("Content-Encoding"))))
            continue;
        if (encoded && slice_ieq(f.name, SLICE("ETag")))
            rc = weaken(a, &f.value);
        fields[n++] = f;
    }
    if (rc == 0 && !vary_has(r))
        rc = vary_add(a, fields, &n);
    if (encoded && r->status != 304) {
        fields[n++] = (struct field){SLICE("Content-Encoding"), coding_name(coding)};
        r->content_length = -1;
    }
    r->fields = fields;
    r->n_fields = n;
    return rc;
}
