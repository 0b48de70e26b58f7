/*
 * The body of an application that chunks it itself (RFC 9112 7.1) and says so: Mojolicious as a CGI
 * program, scripts that write whole responses.  RFC 3875 6.3.4 leaves no room for it, and the field
 * goes no further; the chunks would be taken for the body's own bytes.
 *
 * Some say it and send none.  So beside a Content-Length it is not believed, and what does not begin
 * with the size of a chunk is passed on as it is.
 */
#include "forward.h"
#include "h1chunk.h"

struct forward_chunks {
    struct h1_chunked parse;
    bool sure;                     /* they are chunks */
    uint8_t n_held;                /* until then: */
    uint8_t held[H1_CHUNK_DIGITS]; /* what may be the first one's size */
};

static bool ends_size(uint8_t c)
{
    return c == '\r' || c == ';' || c == ' ' || c == '\t';
}

int forward_chunks_begin(struct forward *f, const struct response_head *h)
{
    const struct field *te = fields_find(h->fields, h->n_fields, SLICE("Transfer-Encoding"));

    if (!te || h->content_length >= 0 || !slice_ieq(slice_trim(te->value), SLICE("chunked")))
        return 0;
    f->chunks = arena_zalloc(&f->s->arena, sizeof(*f->chunks));
    return f->chunks ? 0 : GW_ENO_MEMORY;
}

/* false: f has failed or ended. */
static bool take_apart(struct forward *f, const uint8_t *p, size_t n)
{
    struct h1_chunked *parse = &f->chunks->parse;
    struct slice data;

    while (n && !h1_chunked_done(parse)) { /* what follows them is nobody's */
        ssize_t used = h1_chunked_next(parse, p, n, &data);
        if (used < 0) {
            forward_fail(f, GW_ECGI_CHUNKED);
            return false;
        }
        if (data.n)
            forward_body_out(f, (const uint8_t *)data.p, data.n);
        if (f->s->finished || f->s->over)
            return false;
        p += used;
        n -= (size_t)used;
    }
    return true;
}

/* They are no chunks after all. */
static void pass_on(struct forward *f)
{
    const struct forward_chunks *k = f->chunks;

    f->chunks = NULL;
    if (k->n_held)
        forward_body_out(f, k->held, k->n_held);
}

void forward_chunks(struct forward *f, const uint8_t *p, size_t n)
{
    struct forward_chunks *k = f->chunks;

    for (; n && !k->sure && is_hex_digit((char)*p) && k->n_held < sizeof(k->held); p++, n--)
        k->held[k->n_held++] = *p;
    if (n == 0)
        return;
    if (!k->sure && (k->n_held == 0 || !ends_size(*p))) {
        pass_on(f);
        if (!f->s->finished && !f->s->over)
            forward_body_out(f, p, n);
        return;
    }
    bool goes_on = k->sure || take_apart(f, k->held, k->n_held);
    k->sure = true;
    if (goes_on)
        (void)take_apart(f, p, n);
}

bool forward_chunks_end(struct forward *f)
{
    if (f->chunks && !f->chunks->sure)
        pass_on(f);
    if (!f->chunks || h1_chunked_done(&f->chunks->parse))
        return !f->s->finished && !f->s->over;
    forward_fail(f, GW_ECGI_CHUNKED);
    return false;
}
