#include "http2_head.h"

#include <nghttp2/nghttp2.h>

#include "authority.h"
#include "conn.h"
#include "hosts.h"
#include "tls.h"

enum {
    FIELD_OVERHEAD = 32, /* RFC 9113 10.5.1 */
    FLOOD_FACTOR = 4     /* times max_size: from here on it is an attack and no mistake */
};

void h2_head_init(struct h2_head *h, size_t max_size, unsigned max_fields)
{
    *h = (struct h2_head){.max_size = max_size, .max_fields = max_fields};
    h->crumbs_end = &h->crumbs;
}

/* ---- what a field may look like (RFC 9113 8.2, 8.3) ---- */

static const uint8_t *bytes(struct slice s)
{
    return (const uint8_t *)(s.p ? s.p : "");
}

static bool is_value(struct slice value)
{
    return nghttp2_check_header_value_rfc9113(bytes(value), value.n);
}

/* A token; :protocol is one too (RFC 8441 4). */
static bool is_method(struct slice value)
{
    return nghttp2_check_method(bytes(value), value.n);
}

static bool is_path(struct slice value)
{
    return nghttp2_check_path(bytes(value), value.n);
}

static bool is_authority(struct slice value)
{
    return nghttp2_check_authority(bytes(value), value.n);
}

/* RFC 3986 3.1 */
static bool is_scheme(struct slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        char ch = value.p[i], lower = (char)(ch | 0x20);
        bool letter = lower >= 'a' && lower <= 'z';
        bool other = (ch >= '0' && ch <= '9') || ch == '+' || ch == '-' || ch == '.';
        if (!letter && (i == 0 || !other))
            return false;
    }
    return value.n > 0;
}

static bool is_length(struct slice value)
{
    return slice_decimal(value, INT64_MAX) >= 0;
}

static bool is_te(struct slice value)
{
    return slice_ieq(value, SLICE("trailers"));
}

/* Of one connection (RFC 9113 8.2.2). */
static bool is_never(struct slice value)
{
    (void)value;
    return false;
}

/* Not empty, lower case, tokens (RFC 9113 8.2.1); a colon is for pseudo-fields. */
static bool is_name(struct slice name)
{
    return name.n && name.p[0] != ':' && nghttp2_check_header_name(bytes(name), name.n);
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

static int take_protocol(struct stream *s, struct h2_head *h, struct slice value)
{
    (void)h;
    return keep(s, value, &s->req.protocol);
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
    s->req.content_length = slice_decimal(value, INT64_MAX);
    return stream_add_field(s, SLICE("content-length"), value);
}

static int take_expect(struct stream *s, struct h2_head *h, struct slice value)
{
    struct slice list = value, expectation;

    while (slice_list_next(&list, &expectation)) { /* RFC 9110 10.1.1 */
        if (slice_ieq(expectation, SLICE("100-continue")))
            s->req.expect_continue = true;
        else
            h->expects_else = true;
    }
    return stream_add_field(s, SLICE("expect"), value);
}

/* One that says nothing we understand is a field like others. */
static int take_priority(struct stream *s, struct h2_head *h, struct slice value)
{
    (void)priority_parse(value, &h->priority);
    return stream_add_field(s, SLICE("priority"), value);
}

static const struct special {
    struct slice name;
    bool (*fits)(struct slice value);
    int (*take)(struct stream *s, struct h2_head *h, struct slice value); /* NULL: as others */
    bool once;
} specials[] = {
    {{":method", 7}, is_method, take_method, true},
    {{":scheme", 7}, is_scheme, take_scheme, true},
    {{":authority", 10}, is_authority, take_authority, true},
    {{":path", 5}, is_path, take_path, true},
    {{":protocol", 9}, is_method, take_protocol, true},
    {{"host", 4}, is_authority, take_host, true},
    {{"content-length", 14}, is_length, take_length, true},
    {{"cookie", 6}, is_value, take_crumb, false},
    {{"expect", 6}, is_value, take_expect, false},
    {{"priority", 8}, is_value, take_priority, false},
    {{"te", 2}, is_te, NULL, false},
    {{"connection", 10}, is_never, NULL, false},
    {{"keep-alive", 10}, is_never, NULL, false},
    {{"proxy-connection", 16}, is_never, NULL, false},
    {{"transfer-encoding", 17}, is_never, NULL, false},
    {{"upgrade", 7}, is_never, NULL, false},
};

enum {
    N_SPECIALS = sizeof(specials) / sizeof(specials[0]),
    METHOD = 1 << 0, /* in h2_head.seen: places in the table */
    SCHEME = 1 << 1,
    PATH = 1 << 3,
    PROTOCOL = 1 << 4,
};

static const struct special *special_find(struct slice name)
{
    for (size_t i = 0; i < N_SPECIALS; i++) {
        if (slice_eq(name, specials[i].name))
            return &specials[i];
    }
    return NULL;
}

static bool is_pseudo(struct slice name)
{
    return name.n && name.p[0] == ':';
}

/* RFC 9113 8.2.1, 8.3: pseudo-fields first, those we know, once. */
static bool well_formed(struct h2_head *h, const struct special *sp, struct slice name,
                        struct slice value)
{
    bool pseudo = is_pseudo(name);

    if (pseudo && (!sp || h->regular_seen))
        return false;
    if (!pseudo && !sp && !is_name(name))
        return false;
    h->regular_seen |= !pseudo;
    if (!(sp ? sp->fits : is_value)(value))
        return false;
    unsigned bit = sp && sp->once ? 1u << (sp - specials) : 0;
    bool again = h->seen & bit;
    h->seen |= bit;
    return !again;
}

/* Count a field.  false: it is far too much. */
static bool count(struct h2_head *h, struct slice name, struct slice value)
{
    h->size += name.n + value.n + FIELD_OVERHEAD;
    h->large |= h->size > h->max_size;
    return h->size <= FLOOD_FACTOR * h->max_size;
}

int h2_head_field(struct stream *s, struct h2_head *h, struct slice name, struct slice value)
{
    const struct special *sp = special_find(name);

    if (!count(h, name, value))
        return GW_ECLIENT_FLOOD;
    if (!well_formed(h, sp, name, value))
        return GW_ECLIENT_PROTO;
    bool counts = !is_pseudo(name) && !(sp && sp->take == take_crumb && h->crumbs);
    if (counts && ++h->n_fields > h->max_fields)
        h->large = true;
    if (h->large)
        return 0;
    return sp && sp->take ? sp->take(s, h, value) : stream_add_field(s, name, value);
}

void h2_head_begin_trailers(struct h2_head *h)
{
    h->size = 0;
    h->n_fields = 0;
    h->large = false;
}

int h2_head_trailer(struct h2_head *h, struct slice name, struct slice value)
{
    if (!count(h, name, value))
        return GW_ECLIENT_FLOOD;
    if (++h->n_fields > h->max_fields)
        h->large = true;
    const struct special *sp = special_find(name); /* no Connection here either */
    bool fits = is_name(name) && (sp ? sp->fits : is_value)(value);
    return fits ? 0 : GW_ECLIENT_PROTO;
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

    if (h->authority.p && h->host.p &&
        !same_authority(h->authority, h->host, s->conn->is_https))
        return GW_ECLIENT_PROTO;
    req->authority = h->authority.p ? h->authority : h->host;
    /* Missing, empty, with userinfo (RFC 9113 8.3.1, RFC 9110 4.2.4) or no host at all. */
    return req->authority.p && authority_valid(req->authority) ? 0 : GW_ECLIENT_PROTO;
}

/* A client may use a connection for other hosts too, as long as the certificate covers them (RFC
 * 9113 9.1.1).  HTTP/1.1 has no such rule: what stands between may send many hosts one way. */
static bool is_misdirected(const struct stream *s)
{
    const struct tls *tls = s->conn->tls;

    return tls && !tls_answers_for(tls, host_of_authority(s->req.authority));
}

/* RFC 9113 8.3.1; a fragment stays with the client (RFC 9110 7.1). */
static bool path_fits(const struct request *req)
{
    if (slice_eq(req->target, SLICE("*")))
        return slice_eq(req->method, SLICE("OPTIONS"));
    return slice_starts(req->target, SLICE("/")) && slice_find(req->target, '#') < 0;
}

/* Are the pseudo-fields there that the method wants?  CONNECT has no other (RFC 9113 8.5) unless
 * it is an extended one, which we may not have said that we take (RFC 8441 3, 4). */
static bool pseudo_complete(const struct stream *s, const struct h2_head *h, bool connect)
{
    if (h->seen & PROTOCOL && !(connect && conn_limits(s->conn)->websocket))
        return false;
    if (connect && !(h->seen & PROTOCOL))
        return !(h->seen & (SCHEME | PATH));
    return (h->seen & (METHOD | SCHEME | PATH)) == (METHOD | SCHEME | PATH);
}

/* RFC 8441 5: a WebSocket is asked for as over HTTP/1.1 with GET. */
static int settle_protocol(struct request *req, bool end_stream)
{
    req->method = SLICE("GET");
    req->has_body = req->expect_continue = false;
    if (!slice_ieq(req->protocol, SLICE("websocket")))
        return GW_EREQ_PROTOCOL;
    return end_stream || req->content_length >= 0 ? GW_EWEBSOCKET : 0;
}

int h2_head_done(struct stream *s, struct h2_head *h, bool end_stream)
{
    struct request *req = &s->req;

    req->version = HTTP_2;
    req->scheme = s->conn->is_https ? SLICE("https") : SLICE("http");
    req->has_body = !end_stream;
    req->expect_continue &= !end_stream;
    bool connect = slice_eq(req->method, SLICE("CONNECT"));
    bool extended = h->seen & PROTOCOL;
    if (!pseudo_complete(s, h, connect) || (end_stream && req->content_length > 0))
        return GW_ECLIENT_PROTO;
    if (h->large)
        return GW_EREQ_HEAD_LARGE;
    if (join_crumbs(s, h) != 0)
        return GW_ENO_MEMORY;
    if (settle_authority(s, h) != 0)
        return GW_ECLIENT_PROTO;
    if (connect && !extended) /* RFC 9113 8.5: :authority is a host and a port */
        return h->authority.p && authority_has_port(h->authority) ? GW_EREQ_METHOD
                                                                  : GW_ECLIENT_PROTO;
    if (!path_fits(req))
        return GW_ECLIENT_PROTO;
    if (req->method.n > REQUEST_METHOD_MAX)
        return GW_EREQ_METHOD_LONG;
    if (req->target.n > REQUEST_TARGET_MAX)
        return GW_EREQ_URI_LONG;
    if (is_misdirected(s))
        return GW_EMISDIRECTED;
    if (extended)
        return settle_protocol(req, end_stream);
    return h->expects_else ? GW_EREQ_EXPECT : 0;
}
