#include "field_rules.h"

#include <time.h>

#include "../conf/fields.h"
#include "expand.h"
#include "httpdate.h"

/* The list under way; it has room for all. */
struct list {
    struct field *fields;
    size_t n;
};

static bool list_has(const struct list *l, struct slice name)
{
    return fields_find(l->fields, l->n, name) != NULL;
}

static void list_add(struct list *l, struct slice name, struct slice value)
{
    l->fields[l->n++] = (struct field){name, value};
}

static void list_drop(struct list *l, struct slice name)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (!slice_ieq(l->fields[i].name, name))
            l->fields[n++] = l->fields[i];
    }
    l->n = n;
}

/* What applies: the route's, which has the site's; before it is known the site's. */
struct rules {
    const struct conf_header *headers;
    unsigned n_headers;
    const struct conf_expires_ext *exts;
    unsigned n_exts;
    const struct conf_expires *expires;
};

static struct rules rules_of(const struct stream *s)
{
    const struct conf_route *r = s->route;
    const struct conf_site *site = s->site;

    return r ? (struct rules){r->header, r->n_header, r->expires_ext, r->n_expires_ext,
                              &r->expires}
             : (struct rules){site->header, site->n_header, site->expires_ext,
                              site->n_expires_ext, &site->expires};
}

/* ---- expires ---------------------------------------------------------------------------- */

/* Behind the last dot of the path's last segment; empty if there is none. */
static struct slice ext_of(struct slice path)
{
    for (size_t i = path.n; i > 0 && path.p[i - 1] != '/'; i--) {
        if (path.p[i - 1] == '.')
            return slice_from(path, i);
    }
    return slice_of("", 0);
}

static const struct conf_expires *expires_of(const struct rules *rules, struct slice path)
{
    struct slice ext = ext_of(path);

    for (unsigned i = 0; ext.n && i < rules->n_exts; i++) {
        if (slice_ieq(rules->exts[i].pair.name, ext))
            return &rules->exts[i].expires;
    }
    return rules->expires;
}

/* Only what a cache may keep because of it, and where nobody said something else: an answer that
 * sets a cookie is somebody's own. */
static bool may_expire(const struct stream *s, const struct list *l, int status)
{
    bool safe = slice_eq(s->req.method, SLICE("GET")) || slice_eq(s->req.method, SLICE("HEAD"));

    return safe && (status == 200 || status == 203 || status == 206 || status == 304) &&
           !list_has(l, SLICE("Cache-Control")) && !list_has(l, SLICE("Expires")) &&
           !list_has(l, SLICE("Set-Cookie"));
}

static int add_expires(struct stream *s, const struct rules *rules, struct list *l, int status)
{
    const struct conf_expires *e = expires_of(rules, s->uri);

    if (e->kind <= CONF_EXPIRES_OFF || !may_expire(s, l, status))
        return 0;
    char *date = arena_alloc(&s->arena, HTTPDATE_LEN + 1);
    if (!date)
        return GW_ENO_MEMORY;
    int64_t at = e->kind == CONF_EXPIRES_PAST ? 0 : (int64_t)time(NULL) + e->age_s;
    list_add(l, SLICE("Expires"), httpdate_format(date, at)); /* for HTTP/1.0 */
    list_add(l, SLICE("Cache-Control"), e->cache_control);
    return 0;
}

/* ---- header.NAME ------------------------------------------------------------------------ */

/* A 304 tells nothing of the content that it does not have (RFC 9110 15.4.5). */
static bool is_of_content(struct slice name)
{
    return slice_ieq(name, SLICE("Content-Type")) ||
           slice_ieq(name, SLICE("Content-Encoding")) ||
           slice_ieq(name, SLICE("Content-Language")) ||
           slice_ieq(name, SLICE("Content-Disposition"));
}

static int put_header(struct stream *s, const struct conf_header *h, struct list *l)
{
    struct slice value;
    int rc = expand(s, h->value, NULL, EXPAND_FIELD, &value);

    if (rc < 0)
        return rc == GW_EVARS ? 0 : rc; /* counted */
    value = slice_trim(value);
    if (!value.n)
        return 0;
    if (h->action == CONF_HEADER_SET)
        list_drop(l, h->pair.name);
    if (h->action != CONF_HEADER_DEFAULT || !list_has(l, h->pair.name))
        list_add(l, h->pair.name, value);
    return 0;
}

static int apply_header(struct stream *s, const struct conf_header *h, struct list *l,
                        struct response *r)
{
    switch (h->action) {
    case CONF_HEADER_OFF:
        return 0;
    case CONF_HEADER_REMOVE:
        list_drop(l, h->pair.name);
        r->no_server |= slice_ieq(h->pair.name, SLICE("Server"));
        return 0;
    case CONF_HEADER_SET:
    case CONF_HEADER_ADD:
    case CONF_HEADER_DEFAULT:
        break;
    }
    if ((r->status >= 400 && !h->always) || (r->status == 304 && is_of_content(h->pair.name)))
        return 0;
    return put_header(s, h, l);
}

/* ---- hsts ------------------------------------------------------------------------------- */

/* RFC 6797 7.2: not over a connection that anybody could have written on. */
static void apply_hsts(const struct stream *s, struct list *l)
{
    if (!s->site || !s->site->hsts.n)
        return;
    list_drop(l, SLICE("Strict-Transport-Security"));
    if (slice_eq(s->req.scheme, SLICE("https")))
        list_add(l, SLICE("Strict-Transport-Security"), s->site->hsts);
}

/* ---- all -------------------------------------------------------------------------------- */

enum { MORE = 3 }; /* Expires, Cache-Control, Strict-Transport-Security */

int field_rules_apply(struct stream *s, struct response *r)
{
    struct rules rules = rules_of(s);
    size_t room = r->n_fields + rules.n_headers + MORE;
    struct list l = {.fields = arena_alloc(&s->arena, room * sizeof(*l.fields))};

    if (!l.fields)
        return GW_ENO_MEMORY;
    for (; l.n < r->n_fields; l.n++)
        l.fields[l.n] = r->fields[l.n];
    int rc = add_expires(s, &rules, &l, r->status);
    for (unsigned i = 0; rc == 0 && i < rules.n_headers; i++)
        rc = apply_header(s, &rules.headers[i], &l, r);
    apply_hsts(s, &l);
    r->fields = l.fields;
    r->n_fields = l.n;
    return rc;
}
