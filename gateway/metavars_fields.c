#include "metavars_fields.h"

#include "../fcgi/params.h"

/*
 * Fields that do not go to the application under their own name.  Proxy would become
 * HTTP_PROXY, which HTTP libraries take for their configuration (CVE-2016-5385).  What belongs
 * to one connection or to the framing of the body ends here (RFC 9110 7.6.1): an application
 * that sees HTTP_TRANSFER_ENCODING would decode what has been decoded.
 */
static const struct slice dropped[] = {
#define NAME(literal)                                                                          \
    {                                                                                          \
        literal, sizeof(literal) - 1                                                           \
    }
    NAME("Connection"),
    NAME("Content-Length"),
    NAME("Content-Type"),
    NAME("Expect"),
    NAME("HTTP2-Settings"),
    NAME("Host"),
    NAME("Keep-Alive"),
    NAME("Proxy"),
    NAME("Proxy-Authorization"),
    NAME("Proxy-Connection"),
    NAME("TE"),
    NAME("Trailer"),
    NAME("Transfer-Encoding"),
    NAME("Upgrade"),
#undef NAME
};

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/*
 * Only letters, digits and hyphens: "a_b" and "a.b" would come out as the variable of "a-b", so
 * that a client could speak for a proxy in front of us.
 */
static bool name_is_plain(struct slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = lower((unsigned char)name.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return name.n > 0;
}

static bool field_passes(const struct conf_route *route, const struct field *f)
{
    if (!name_is_plain(f->name))
        return false;
    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        if (slice_ieq(f->name, dropped[i]))
            return false;
    }
    /* A password for our check is none of the application's business; where the route checks
     * nothing, the application may (Basic or Bearer of its own). */
    return !route->auth_basic || !slice_ieq(f->name, SLICE("Authorization"));
}

/* Fields of one name, in order.  Index + 1 throughout, so that zeroed memory says "none". */
struct field_link {
    uint32_t next;  /* the same name again */
    uint32_t last;  /* of the first of a name: the last one so far */
    uint32_t chain; /* of the first of a name: another name with its hash */
    bool first;
};

enum { FIELD_BUCKETS = 64 };

static size_t field_bucket(struct slice name)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ lower((unsigned char)name.p[i])) * 16777619u;
    return (h ^ h >> 16) % FIELD_BUCKETS;
}

/* Link the fields that pass; head_fields bounds their number, so the buckets stay short. */
static void link_fields(const struct request *req, const struct conf_route *route,
                        struct field_link *links)
{
    uint32_t buckets[FIELD_BUCKETS] = {0};

    for (uint32_t i = 0; i < req->n_fields; i++) {
        const struct field *f = &req->fields[i];
        if (!field_passes(route, f))
            continue;
        uint32_t *bucket = &buckets[field_bucket(f->name)];
        uint32_t at = *bucket;
        while (at && !slice_ieq(req->fields[at - 1].name, f->name))
            at = links[at - 1].chain;
        if (at) {
            links[links[at - 1].last - 1].next = i + 1;
            links[at - 1].last = i + 1;
        } else {
            links[i] = (struct field_link){.last = i + 1, .chain = *bucket, .first = true};
            *bucket = i + 1;
        }
    }
}

/* "User-Agent" to "HTTP_USER_AGENT". */
static struct slice variable_name(struct arena *a, struct slice name)
{
    static const char prefix[] = "HTTP_";
    char *p = arena_alloc(a, sizeof(prefix) + name.n);

    if (!p)
        return slice_of(NULL, 0);
    char *out = mempcpy(p, prefix, sizeof(prefix) - 1);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        out[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
    }
    return slice_of(p, sizeof(prefix) - 1 + name.n);
}

/* The values of field i and those of its name behind it as one (RFC 9110 5.3; Cookie: RFC 9113
 * 8.2.3).  p is NULL when memory is out. */
static struct slice joined_value(struct arena *a, const struct field *fields,
                                 const struct field_link *links, uint32_t i)
{
    struct slice sep = slice_ieq(fields[i].name, SLICE("Cookie")) ? SLICE("; ") : SLICE(", ");
    size_t n = fields[i].value.n;

    if (!links[i].next)
        return fields[i].value.p ? fields[i].value : slice_of("", 0);
    for (uint32_t k = links[i].next; k; k = links[k - 1].next)
        n += sep.n + fields[k - 1].value.n;
    char *p = arena_alloc(a, n + 1), *at = p;
    if (!p)
        return slice_of(NULL, 0);
    at = mempcpy(at, fields[i].value.p, fields[i].value.n);
    for (uint32_t k = links[i].next; k; k = links[k - 1].next) {
        at = mempcpy(at, sep.p, sep.n);
        at = mempcpy(at, fields[k - 1].value.p, fields[k - 1].value.n);
    }
    return slice_of(p, n);
}

int metavars_put_fields(struct stream *s, const struct conf_route *route, struct buf *out)
{
    const struct request *req = &s->req;
    struct arena *a = &s->arena;
    struct field_link *links;

    if (!req->n_fields)
        return 0;
    links = arena_zalloc(a, req->n_fields * sizeof(*links));
    if (!links)
        return GW_ENO_MEMORY;
    link_fields(req, route, links);
    for (uint32_t i = 0; i < req->n_fields; i++) {
        if (!links[i].first)
            continue;
        struct slice name = variable_name(a, req->fields[i].name);
        struct slice value = joined_value(a, req->fields, links, i);
        if (!name.p || !value.p)
            return GW_ENO_MEMORY;
        if (!metavars_env_has(route, name) && fcgi_params_put(out, name, value) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}
