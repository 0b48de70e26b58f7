#include "http2_head.h"

#include "authority.h"
#include "conn.h"

enum {
    FIELD_OVERHEAD = 32, /* RFC 9113 10.5.1 */
    FLOOD_FACTOR = 4     /* times max_size: from here on it is an attack and no mistake */
};

void h2_head_init(struct h2_head *h, size_t max_size, unsigned max_fields)
{
    *h = (struct h2_head){.max_size = max_size, .max_fields = max_fields};
    h->crumbs_end = &h->crumbs;
}

/* ---- field by field ---- */

static int keep(struct stream *s, struct slice value, struct slice *ret)
{
    struct slice copy = arena_dup(&s->arena, value);

    if (!copy.p)
        return GW_ENO_MEMORY;
    *ret = copy;
    return 0;
}

static int take_method(struct stream *s, struct h2_head *h, struct slice value)
{
    (void)h;
    return keep(s, value, &s->req.method);
}

/* What the client believes the scheme to be changes nothing: see struct request. */
static int take_scheme(struct stream *s, struct h2_head *h, struct slice value)
{
    (void)s;
    (void)h;
    (void)value;
    return 0;
}

static int take_authority(struct stream *s, struct h2_head *h, struct slice value)
{
    return keep(s, value, &h->authority);
}

static int take_path(struct stream *s, struct h2_head *h, struct slice value)
{
    struct slice target;

    (void)h;
    if (keep(s, value, &target) != 0)
        return GW_ENO_MEMORY;
    stream_set_target(s, target);
    return 0;
}

static int take_host(struct stream *s, struct h2_head *h, struct slice value)
{
    if (stream_add_field(s, SLICE("host"), value) != 0)
        return GW_ENO_MEMORY;
    h->host = s->req.fields[s->req.n_fields - 1].value;
    return 0;
}

static int take_crumb(struct stream *s, struct h2_head *h, struct slice value)
{
    struct h2_crumb *c = arena_alloc(&s->arena, sizeof(*c));

    if (!c || keep(s, value, &c->value) != 0)
        return GW_ENO_MEMORY;
    c->next = NULL;
    *h->crumbs_end = c;
    h->crumbs_end = &c->next;
    h->crumbs_len += value.n;
    return 0;
}

static int take_length(struct stream *s, struct h2_head *h, struct slice value)
{
    (void)h;
    s->req.content_length = slice_decimal(value, INT64_MAX); /* nghttp2 let only one pass */
    return stream_add_field(s, SLICE("content-length"), value);
}

static int take_expect(struct stream *s, struct h2_head *h, struct slice value)
{
    if (slice_ieq(value, SLICE("100-continue"))) /* RFC 9110 10.1.1 */
        s->req.expect_continue = true;
    else
        h->expects_else = true;
    return stream_add_field(s, SLICE("expect"), value);
}

static const struct {
    struct slice name;
    int (*take)(struct stream *s, struct h2_head *h, struct slice value);
    bool pseudo;
} special[] = {
    {{":method", 7}, take_method, true},
    {{":scheme", 7}, take_scheme, true},
    {{":authority", 10}, take_authority, true},
    {{":path", 5}, take_path, true},
    {{"host", 4}, take_host, false},
    {{"cookie", 6}, take_crumb, false},
    {{"content-length", 14}, take_length, false},
    {{"expect", 6}, take_expect, false},
};

/* Count a field.  false: it is far too much. */
static bool count(struct h2_head *h, struct slice name, struct slice value)
{
    h->size += name.n + value.n + FIELD_OVERHEAD;
    h->large |= h->size > h->max_size;
    return h->size <= FLOOD_FACTOR * h->max_size;
}

int h2_head_field(struct stream *s, struct h2_head *h, struct slice name, struct slice value)
{
    size_t i = 0, n = sizeof(special) / sizeof(special[0]);

    if (!count(h, name, value))
        return GW_ECLIENT_FLOOD;
    while (i < n && !slice_eq(name, special[i].name))
        i++;
    bool counts =
        i == n || !(special[i].pseudo || (special[i].take == take_crumb && h->crumbs));
    if (counts && ++h->n_fields > h->max_fields)
        h->large = true;
    if (h->large)
        return 0;
    return i < n ? special[i].take(s, h, value) : stream_add_field(s, name, value);
}

int h2_head_trailer(struct h2_head *h, struct slice name, struct slice value)
{
    return count(h, name, value) ? 0 : GW_ECLIENT_FLOOD;
}

/* ---- the whole ---- */

/* RFC 9113 8.2.3: before anybody else sees them, crumbs are joined. */
static int join_crumbs(struct stream *s, const struct h2_head *h)
{
    size_t n = 0;

    if (!h->crumbs)
        return 0;
    if (!h->crumbs->next)
        return stream_add_field(s, SLICE("cookie"), h->crumbs->value);
    for (const struct h2_crumb *c = h->crumbs; c; c = c->next)
        n += c->value.n + 2;
    char *joined = arena_alloc(&s->arena, n), *at = joined;
    if (!joined)
        return GW_ENO_MEMORY;
    for (const struct h2_crumb *c = h->crumbs; c; c = c->next) {
        if (c->value.n)
            memcpy(at, c->value.p, c->value.n);
        at += c->value.n;
        *at++ = ';';
        *at++ = ' ';
    }
    return stream_add_field(s, SLICE("cookie"), slice_of(joined, n - 2));
}

/* Without the port where it is the scheme's own or empty (RFC 3986 6.2.3). */
static struct slice without_default_port(struct slice authority, struct slice port)
{
    if (slice_ends(authority, SLICE(":")))
        authority.n--;
    else if (slice_ends(authority, port))
        authority.n -= port.n;
    return authority;
}

/* RFC 9113 8.3.1: Host must not name another entity than :authority, once normalized. */
static bool same_authority(struct slice a, struct slice b, bool tls)
{
    struct slice port = tls ? SLICE(":443") : SLICE(":80");

    return slice_ieq(without_default_port(a, port), without_default_port(b, port));
}

static int settle_authority(struct stream *s, const struct h2_head *h)
{
    struct request *req = &s->req;

    if (h->authority.p && h->host.p && !same_authority(h->authority, h->host, s->conn->is_tls))
        return GW_ECLIENT_PROTO;
    req->authority = h->authority.p ? h->authority : h->host;
    /* Missing, empty, with userinfo (RFC 9113 8.3.1, RFC 9110 4.2.4) or no host at all. */
    return req->authority.p && authority_valid(req->authority) ? 0 : GW_ECLIENT_PROTO;
}

/* nghttp2 checks this for http and https only; other schemes are answered as well. */
static bool path_fits(const struct request *req)
{
    if (slice_eq(req->target, SLICE("*")))
        return slice_eq(req->method, SLICE("OPTIONS"));
    return req->target.n > 0 && req->target.p[0] == '/';
}

int h2_head_done(struct stream *s, struct h2_head *h, bool end_stream)
{
    struct request *req = &s->req;

    req->version = HTTP_2;
    req->scheme = s->conn->is_tls ? SLICE("https") : SLICE("http");
    req->has_body = !end_stream;
    req->expect_continue &= !end_stream;
    if (h->large)
        return GW_EREQ_HEAD_LARGE;
    if (join_crumbs(s, h) != 0)
        return GW_ENO_MEMORY;
    if (settle_authority(s, h) != 0)
        return GW_ECLIENT_PROTO;
    if (slice_eq(req->method, SLICE("CONNECT"))) /* nghttp2: it has no :path and no :scheme */
        return GW_EREQ_METHOD;
    if (!path_fits(req))
        return GW_ECLIENT_PROTO;
    return h->expects_else ? GW_EREQ_EXPECT : 0;
}
