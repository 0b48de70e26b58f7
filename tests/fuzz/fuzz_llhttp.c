/*
 * The first request of a connection as h1parse.c and h1chunk.c read it, and as llhttp does, the
 * parser of Node.js: what both take must be the same message, with the same end and the same
 * body, and where only one takes it the class of disagreement must be in llhttp_known.h, with
 * who is right.  One that is not there is a finding.
 *
 * A message that one of them still waits for is compared only if the other has all of it.
 * llhttp is built in its strict mode from the sources that Debian's node-llhttp installs; where
 * they are not installed this target is left out.  With LLHTTP_SHOW in the environment it tells
 * the class of each disagreement.
 */
#include <assert.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../gateway/err.h"
#include "../../gateway/h1chunk.h"
#include "../../gateway/h1parse.h"
#include "llhttp_known.h"

enum { MAX_FIELDS = 100, MAX_BYTES = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

/* What a parser made of it.  Slices point into the input, but for bodies. */
struct reading {
    enum reading_end end;
    int err;     /* REFUSED: enum gw_err, or llhttp's with its own sign */
    size_t used; /* WHOLE: bytes of the message; REFUSED, ours: where */
    struct slice method, target;
    unsigned major, minor;
    bool keep;
    unsigned n_fields;
    struct field fields[MAX_FIELDS + 1];
    uint8_t *body;
    size_t body_n;
};

static void add_body(struct reading *r, const void *p, size_t n)
{
    if (n)
        memcpy(r->body + r->body_n, p, n);
    r->body_n += n;
}

/* ---- ours ---- */

/* The place of the byte that is refused: the decoder says only that there is one. */
static size_t refused_at(const uint8_t *in, size_t len, size_t at)
{
    struct h1_chunked k = {0};
    struct slice data;

    while (at < len && h1_chunked_next(&k, in + at, 1, &data) == 1)
        at++;
    return at;
}

static void our_body(struct reading *r, const struct h1_head *h, const uint8_t *in, size_t len,
                     size_t at)
{
    struct h1_chunked k = {0};
    size_t begin = at;

    if (!h->chunked) {
        uint64_t n = h->content_length > 0 ? (uint64_t)h->content_length : 0;
        if (n > len - at)
            return;
        add_body(r, in + at, (size_t)n);
        r->used = at + (size_t)n;
        r->end = WHOLE;
        return;
    }
    while (at < len && !h1_chunked_done(&k)) {
        struct slice data;
        ssize_t used = h1_chunked_next(&k, in + at, len - at, &data);
        if (used < 0) {
            r->end = REFUSED;
            r->err = (int)used;
            r->used = refused_at(in, len, begin);
            return;
        }
        add_body(r, data.p, data.n);
        at += (size_t)used;
    }
    r->used = at;
    r->end = h1_chunked_done(&k) ? WHOLE : UNFINISHED;
}

static void read_ours(struct reading *r, struct h1_head *h, const uint8_t *in, size_t len)
{
    const char *text = (const char *)in;

    h1_head_init(h, MAX_BYTES, MAX_FIELDS);
    ssize_t n = h1_head_parse(h, in, len);
    r->end = n < 0 ? REFUSED : UNFINISHED;
    if (n < 0)
        r->err = (int)n;
    r->used = h->at;
    if (n <= 0)
        return;
    r->method = h1_slice(text, h->method);
    r->target = h1_slice(text, h->target);
    r->major = 1;
    r->minor = h->version % 10;
    r->keep = h->persistent;
    r->n_fields = h->n_fields;
    h1_head_fields(h, text, r->fields);
    our_body(r, h, in, len, (size_t)n);
}

/* ---- llhttp's ---- */

static struct reading *reading_of(llhttp_t *p)
{
    return p->data;
}

/* A span may come in several pieces that follow each other. */
static void span(struct slice *s, const char *at, size_t n)
{
    *s = s->n && s->p + s->n == at ? slice_of(s->p, s->n + n) : slice_of(at, n);
}

static int on_method(llhttp_t *p, const char *at, size_t n)
{
    span(&reading_of(p)->method, at, n);
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    span(&reading_of(p)->target, at, n);
    return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t n)
{
    struct reading *r = reading_of(p);

    if (!(p->flags & F_TRAILING) && r->n_fields <= MAX_FIELDS)
        span(&r->fields[r->n_fields].name, at, n);
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct reading *r = reading_of(p);

    if (!(p->flags & F_TRAILING) && r->n_fields <= MAX_FIELDS)
        span(&r->fields[r->n_fields].value, at, n);
    return 0;
}

static int on_value_complete(llhttp_t *p)
{
    struct reading *r = reading_of(p);

    if (!(p->flags & F_TRAILING) && r->n_fields <= MAX_FIELDS)
        r->n_fields++;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    add_body(reading_of(p), at, n);
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    struct reading *r = reading_of(p);

    r->major = p->http_major;
    r->minor = p->http_minor;
    r->keep = llhttp_should_keep_alive(p);
    r->end = WHOLE;
    return HPE_PAUSED;
}

static void read_theirs(struct reading *r, const uint8_t *in, size_t len)
{
    llhttp_settings_t settings;
    llhttp_t parser;

    llhttp_settings_init(&settings);
    settings.on_method = on_method;
    settings.on_url = on_url;
    settings.on_header_field = on_name;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_complete;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = r;
    r->err = (int)llhttp_execute(&parser, (const char *)in, len);
    if (r->end == WHOLE) {
        r->used = (size_t)((const uint8_t *)llhttp_get_error_pos(&parser) - in);
        r->err = 0;
    } else {
        r->end = r->err ? REFUSED : UNFINISHED;
    }
}

/* ---- beside each other ---- */

static void show(const char *who, const struct reading *r, const char *err)
{
    fprintf(stderr,
            "%s: %s %s used=%zu method=%.*s target=%.*s %u.%u keep=%d fields=%u body=%zu\n",
            who, reading_end_names[r->end], r->err ? err : "", r->used, SLICE_FMT(r->method),
            SLICE_FMT(r->target), r->major, r->minor, r->keep, r->n_fields, r->body_n);
}

static _Noreturn void finding(const struct known_case *c, const struct reading *ours,
                              const struct reading *theirs)
{
    fprintf(stderr, "not in llhttp_known.h: %s %s\n",
            c->differs ? "both take it, but not" : "one takes it",
            c->differs ? difference_names[c->differs] : "");
    show("ours", ours, gw_err_name(ours->err));
    show("llhttp", theirs, llhttp_errno_name((llhttp_errno_t)theirs->err));
    abort();
}

static bool same_fields(const struct reading *a, const struct reading *b)
{
    if (a->n_fields != b->n_fields)
        return false;
    for (unsigned i = 0; i < a->n_fields; i++) {
        if (!slice_eq(a->fields[i].name, b->fields[i].name) ||
            !slice_eq(slice_trim(a->fields[i].value), slice_trim(b->fields[i].value)))
            return false;
    }
    return true;
}

/* The first thing in which two readings of a whole message differ. */
static enum difference difference(const struct reading *a, const struct reading *b)
{
    if (!slice_eq(a->method, b->method) || !slice_eq(a->target, b->target))
        return REQUEST_LINE;
    /* We know 1.0 and 1.1, and take what is above for the latter. */
    if (a->major != b->major || a->minor != (b->minor > 0))
        return VERSION;
    if (!same_fields(a, b))
        return FIELDS;
    if (a->body_n != b->body_n || memcmp(a->body, b->body, a->body_n) != 0)
        return BODY;
    if (a->used != b->used)
        return LENGTH;
    return a->keep != b->keep ? PERSISTENCE : SAME;
}

static void compare(const struct reading *ours, const struct reading *theirs,
                    const struct h1_head *h, struct slice in)
{
    struct known_case c = {
        .in = in,
        .head = h,
        .stop = ours->used,
        .ours = ours->end,
        .our_err = ours->err,
        .theirs = theirs->end,
        .their_err = theirs->err,
    };

    if (ours->end != WHOLE && theirs->end != WHOLE)
        return;
    if (ours->end == theirs->end) {
        c.differs = difference(ours, theirs);
        if (c.differs == SAME)
            return;
    }
    const struct known_class *k = known_find(&c);
    if (!k)
        finding(&c, ours, theirs);
    if (getenv("LLHTTP_SHOW"))
        fprintf(stderr, "class: %s\n", k->what);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static struct reading ours, theirs; /* large */
    struct h1_head h;

    ours = (struct reading){.body = malloc(len + 1)};
    theirs = (struct reading){.body = malloc(len + 1)};
    assert(ours.body && theirs.body);
    read_ours(&ours, &h, in, len);
    read_theirs(&theirs, in, len);
    compare(&ours, &theirs, &h, slice_of(in, len));
    free(ours.body);
    free(theirs.body);
    return 0;
}
