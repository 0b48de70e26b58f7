/*
 * The body of an application that chunks it itself (RFC 9112 7.1) and says so: Mojolicious as a CGI
 * program, scripts that write whole responses.  RFC 3875 6.3.4 leaves no room for it, and the field
 * goes no further; the chunks would be taken for the body's own bytes.
 *
 * Some say it and send none.  So beside a Content-Length it is not believed, and what does not begin
 * with the digit of a size is passed on as it is.
 */
#include "forward.h"
#include "h1chunk.h"

static bool is_chunked(const struct response_head *h)
{
    const struct field *f = fields_find(h->fields, h->n_fields, SLICE("Transfer-Encoding"));

    return f && h->content_length < 0 && slice_ieq(slice_trim(f->value), SLICE("chunked"));
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

int forward_chunks_begin(struct forward *f, const struct response_head *h)
{
    if (!is_chunked(h))
        return 0;
    f->chunks = arena_zalloc(&f->s->arena, sizeof(*f->chunks));
    return f->chunks ? 0 : GW_ENO_MEMORY;
}

void forward_chunks(struct forward *f, const uint8_t *p, size_t n)
{
    struct slice data;

    if (!f->chunks_seen && !is_hex(*p)) {
        f->chunks = NULL;
        forward_body_out(f, p, n);
        return;
    }
    f->chunks_seen = true;
    while (n && !h1_chunked_done(f->chunks)) {
        ssize_t used = h1_chunked_next(f->chunks, p, n, &data);
        if (used < 0) {
            forward_fail(f, GW_ECGI_CHUNKED);
            return;
        }
        if (data.n)
            forward_body_out(f, (const uint8_t *)data.p, data.n);
        if (f->s->finished || f->s->over)
            return; /* the stream was aborted, and closed() was called */
        p += used;
        n -= (size_t)used;
    }
}

bool forward_chunks_short(const struct forward *f)
{
    return f->chunks && f->chunks_seen && !h1_chunked_done(f->chunks);
}
