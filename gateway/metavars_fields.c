#include "metavars_fields.h"

#include "../fcgi/params.h"

/*
 * Fields that do not go to the application under their own name, by the variable they would be.
 * Proxy would become HTTP_PROXY, which HTTP libraries take for their configuration
 * (CVE-2016-5385).  What belongs to one connection or to the framing of the body ends here (RFC
 * 9110 7.6.1): an application that sees HTTP_TRANSFER_ENCODING would decode what has been
 * decoded.
 */
static const struct slice dropped[] = {
#define NAME(literal)                                                                          \
    {                                                                                          \
        "HTTP_" literal, sizeof("HTTP_" literal) - 1                                           \
    }
    NAME("CONNECTION"),
    NAME("CONTENT_LENGTH"),
    NAME("CONTENT_TYPE"),
    NAME("EXPECT"),
    NAME("HTTP2_SETTINGS"),
    NAME("HOST"),
    NAME("KEEP_ALIVE"),
    NAME("PROXY"),
    NAME("PROXY_AUTHORIZATION"),
    NAME("PROXY_CONNECTION"),
    NAME("TE"),
    NAME("TRAILER"),
    NAME("TRANSFER_ENCODING"),
    NAME("UPGRADE"),
#undef NAME
};

/* One field on its way.  Index + 1 throughout, so that zeroed memory says "none". */
struct var {
    struct slice name; /* HTTP_NAME; n = 0: the field does not pass */
    uint32_t next;     /* the same name again */
    uint32_t last;     /* of the first of a name: the last one so far */
    uint32_t chain;    /* of the first of a name: another name with its hash */
    bool first;
    bool plain; /* the field's name has letters, digits and hyphens only */
};

enum { VAR_BUCKETS = 64 };

/*
 * The byte of a variable for that of a field's name, 0 for one that must not be there.  "a_b"
 * and "a.b" would come out as the variable of "a-b", so that a client could speak for a proxy in
 * front of us: they are dropped, unless the configuration wants them (underscores = pass).
 */
static char variable_byte(char c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return c;
    if (c >= 'a' && c <= 'z')
        return (char)(c & ~0x20);
    return c == '-' || c == '_' || c == '.' ? '_' : 0;
}

/* "User-Agent" to "HTTP_USER_AGENT" in out, which has room for name.n + 5 bytes; empty if it
 * must not become a variable.  *ret_hash is FNV-1a of it. */
static struct slice variable_name(char *out, struct slice name, bool *ret_plain,
                                  uint32_t *ret_hash)
{
    uint32_t h = 2166136261u;
    char *at = mempcpy(out, "HTTP_", 5);

    *ret_plain = true;
    for (size_t i = 0; i < name.n; i++) {
        char c = variable_byte(name.p[i]);
        if (!c)
            return slice_of(out, 0);
        if (c == '_' && name.p[i] != '-')
            *ret_plain = false;
        *at++ = c;
        h = (h ^ (unsigned char)c) * 16777619u;
    }
    *ret_hash = h ^ h >> 16;
    return slice_of(out, name.n ? name.n + 5 : 0);
}

static bool passes(const struct route_match *m, struct slice name)
{
    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        if (slice_eq(name, dropped[i]))
            return false;
    }
    /* A password for our check is none of the application's business; where the route checks
     * nothing, the application may (Basic or Bearer of its own). */
    if (m->route->auth.basic > 0 && slice_eq(name, SLICE("HTTP_AUTHORIZATION")))
        return false;
    return !fields_find(m->vars, m->n_vars, name) && !metavars_env_has(m->route, name);
}

/*
 * Behind the others of its name, or as the first of it.  Fields that are spelled differently are
 * never one list: the plain spelling has the variable, else the one that came first.
 * head_fields bounds the number of fields, so the chains stay short; *link is a bucket.
 */
static void var_link(struct var *vars, const struct field *fields, uint32_t i, uint32_t *link)
{
    struct var *own = &vars[i], *old = NULL;

    while (*link && !slice_eq(vars[*link - 1].name, own->name))
        link = &vars[*link - 1].chain;
    if (*link)
        old = &vars[*link - 1];
    if (old && slice_ieq(fields[*link - 1].name, fields[i].name)) {
        vars[old->last - 1].next = i + 1;
        old->last = i + 1;
        return;
    }
    if (old && !own->plain)
        return;
    if (old) {
        old->first = false;
        own->chain = old->chain;
    }
    own->first = true;
    own->last = i + 1;
    *link = i + 1;
}

static bool underscores_pass(const struct route_match *m)
{
    int own = m->route->underscores;

    return (own >= 0 ? own : (int)m->site->underscores) == CONF_UNDERSCORES_PASS;
}

/* One for each field, those of one name linked; NULL when memory is out. */
static struct var *vars_of(const struct request *req, const struct route_match *m,
                           struct arena *a)
{
    uint32_t buckets[VAR_BUCKETS] = {0};
    struct var *vars = arena_zalloc(a, req->n_fields * sizeof(*vars));
    bool any = underscores_pass(m);
    size_t room = 0;

    for (size_t i = 0; i < req->n_fields; i++)
        room += req->fields[i].name.n + 5;
    char *names = arena_alloc(a, room);
    if (!vars || !names)
        return NULL;
    for (uint32_t i = 0; i < req->n_fields; i++) {
        uint32_t hash = 0; /* set with every name; GCC cannot see it */
        struct var *v = &vars[i];
        v->name = variable_name(names, req->fields[i].name, &v->plain, &hash);
        if (v->name.n && (v->plain || any) && passes(m, v->name)) {
            var_link(vars, req->fields, i, &buckets[hash % VAR_BUCKETS]);
            names += v->name.n;
        }
    }
    return vars;
}

/* The values of field i and those of its name behind it as one (RFC 9110 5.3; Cookie: RFC 9113
 * 8.2.3).  p is NULL when memory is out. */
static struct slice joined_value(struct arena *a, const struct field *fields,
                                 const struct var *vars, uint32_t i)
{
    struct slice sep = slice_eq(vars[i].name, SLICE("HTTP_COOKIE")) ? SLICE("; ") : SLICE(", ");
    size_t n = fields[i].value.n;

    if (!vars[i].next)
        return fields[i].value.p ? fields[i].value : slice_of("", 0);
    for (uint32_t k = vars[i].next; k; k = vars[k - 1].next)
        n += sep.n + fields[k - 1].value.n;
    char *p = arena_alloc(a, n), *at = p;
    if (!p)
        return slice_of(NULL, 0);
    at = mempcpy(at, fields[i].value.p, fields[i].value.n);
    for (uint32_t k = vars[i].next; k; k = vars[k - 1].next) {
        at = mempcpy(at, sep.p, sep.n);
        at = mempcpy(at, fields[k - 1].value.p, fields[k - 1].value.n);
    }
    return slice_of(p, n);
}

int metavars_put_fields(struct stream *s, const struct route_match *m, struct buf *out)
{
    const struct request *req = &s->req;
    const struct var *vars;

    if (!req->n_fields)
        return 0;
    vars = vars_of(req, m, &s->arena);
    if (!vars)
        return GW_ENO_MEMORY;
    for (uint32_t i = 0; i < req->n_fields; i++) {
        if (!vars[i].first)
            continue;
        struct slice value = joined_value(&s->arena, req->fields, vars, i);
        if (!value.p || fcgi_params_put(out, vars[i].name, value) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}
