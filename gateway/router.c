#include "router.h"

#include <stdlib.h>
#include <unistd.h>

#include "auth.h"
#include "authorizer.h"
#include "errors.h"
#include "filter.h"
#include "answer_cache.h"
#include "hints.h"
#include "hosts.h"
#include "mime.h"
#include "path.h"
#include "resolve.h"
#include "routes.h"

/* A folder leads to its index, which may be a folder again only by a strange INI. */
enum { INDEX_MAX = 5 };

struct router {
    const struct conf *conf;
    struct hosts hosts;
    struct routes *sites; /* as conf->sites */
    struct mime *mime;
    struct auth *auth;
    struct answer_cache *filter_cache;
    struct answer_cache *hints;
};

/* One request on its way to a handler; in the stream's arena. */
struct routing {
    struct stream *s;
    const struct routes *routes;
    struct route_match *m;
    struct route_hit hit;
    unsigned at; /* routes tried so far */
    unsigned n_indexes;
    bool encoded_slash;                /* in the path as sent */
    bool internal;                     /* X-Accel-Redirect leads here */
    const struct route_entry *allowed; /* its authorizer let the request pass */
    int resolved;                      /* what the path is there; index, if that is it */
    struct slice index;
};

/* ---- making ---- */

static int router_init(struct router *r, const struct conf *conf, struct pool *const *pools,
                       FILE *errors_to)
{
    int rc = hosts_init(&r->hosts, conf);

    r->sites = calloc(conf->n_sites ? conf->n_sites : 1, sizeof(*r->sites));
    r->mime = mime_new(MIME_SYSTEM_FILE);
    r->auth = auth_new();
    r->filter_cache = answer_cache_new((uint64_t)conf->gateway.filter_cache_size,
                                       (uint64_t)conf->gateway.filter_cache_entry);
    r->hints = answer_cache_new(HINTS_BYTES, 0);
    if (!r->sites || !r->mime || !r->auth || !r->filter_cache || !r->hints)
        rc = GW_ENO_MEMORY;
    for (unsigned i = 0; rc == 0 && i < conf->n_sites; i++)
        rc = routes_init(&r->sites[i], conf, &conf->sites[i], pools, errors_to);
    return rc;
}

struct router *router_new(const struct conf *conf, struct pool *const *pools, FILE *errors_to)
{
    struct router *r = calloc(1, sizeof(*r));

    if (r) {
        r->conf = conf;
        if (router_init(r, conf, pools, errors_to) == 0)
            return r;
    }
    fprintf(errors_to, "the router could not be set up\n");
    router_free(r);
    return NULL;
}

void router_free(struct router *r)
{
    if (!r)
        return;
    for (unsigned i = 0; r->sites && i < r->conf->n_sites; i++)
        routes_fini(&r->sites[i]);
    free(r->sites);
    hosts_fini(&r->hosts);
    mime_free(r->mime);
    auth_free(r->auth);
    answer_cache_free(r->filter_cache);
    answer_cache_free(r->hints);
    free(r);
}

const struct mime *router_mime(const struct router *r)
{
    return r->mime;
}

struct auth *router_auth(const struct router *r)
{
    return r->auth;
}

struct answer_cache *router_filter_cache(const struct router *r)
{
    return r->filter_cache;
}

struct answer_cache *router_hints(const struct router *r)
{
    return r->hints;
}

/* ---- answers of the router's own ---- */

static void answer_location(struct stream *s, int status, struct slice location)
{
    struct slice type;
    struct slice page = error_page(&s->arena, status, &type);
    const struct field fields[] = {
        {SLICE("Location"), location},
        {SLICE("Content-Type"), type},
    };
    struct response r = {
        .status = status,
        .fields = fields,
        .n_fields = sizeof(fields) / sizeof(fields[0]),
        .content_length = (int64_t)page.n,
    };

    stream_discard_body(s);
    stream_answer(s, &r, page);
}

/*
 * A folder without its slash (RFC 9110 15.4.2).  The Location is made from the settled path and
 * not from what the client wrote: "//elsewhere.example/x" or "/\elsewhere.example" would lead
 * to another host.
 */
static void answer_slash(struct stream *s, struct slice path)
{
    struct slice merged = path_merge_slashes(&s->arena, path);
    struct slice encoded = merged.p ? path_encode(&s->arena, merged) : merged;
    struct slice location = slice_of(NULL, 0);

    if (encoded.p)
        location = arena_printf(&s->arena, "%.*s/%s%.*s", SLICE_FMT(encoded),
                                s->req.has_query ? "?" : "", SLICE_FMT(s->req.query));
    if (location.p)
        answer_location(s, 301, location);
    else
        stream_error(s, GW_ENO_MEMORY);
}

static void answer_unauthorized(struct stream *s, const struct conf_route *route, int err)
{
    const struct field challenge = {SLICE("WWW-Authenticate"),
                                    auth_challenge(&s->arena, route->auth_realm)};

    if (err == GW_EUNAUTHORIZED && challenge.value.p)
        stream_error_fields(s, err, &challenge, 1);
    else
        stream_error(s, err);
}

/* Methods that no application gets to see.  True: s has been answered. */
static bool answer_method(struct stream *s)
{
    const struct field allow = {SLICE("Allow"),
                                SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")};

    if (slice_eq(s->req.method, SLICE("CONNECT")) || slice_eq(s->req.method, SLICE("TRACE"))) {
        stream_error_fields(s, GW_EREQ_METHOD, &allow, 1);
        return true;
    }
    if (slice_eq(s->req.method, SLICE("OPTIONS")) && slice_eq(s->req.target, SLICE("*"))) {
        struct response r = {
            .status = 204, .fields = &allow, .n_fields = 1, .content_length = -1};
        stream_answer(s, &r, slice_of("", 0)); /* RFC 9110 9.3.7: the server as a whole */
        return true;
    }
    return false;
}

/* ---- from path to handler ---- */

static void routing_dispatch(struct routing *g)
{
    struct stream *s = g->s;
    const struct route_entry *e = g->hit.entry;

    /* Known before a byte of it came: refuse now (RFC 9110 15.5.14). */
    if (s->body_limit && s->req.content_length >= 0 &&
        (uint64_t)s->req.content_length > s->body_limit) {
        if (g->m->file_fd >= 0)
            close(g->m->file_fd);
        stream_error(s, GW_EBODY_LARGE);
    } else if (e->backend) {
        forward_start(s, e->pool, g->m);
    } else if (e->filter) {
        filter_start(s, e->filter, g->m);
    } else {
        files_start(s, g->m);
    }
}

/* What the path is on the route in g->hit, of which nobody hears yet. */
static int routing_resolve(struct routing *g)
{
    const struct route_entry *e = g->hit.entry;

    g->m->document_root = e->root;
    if (e->route->redirect_status)
        return RESOLVED;
    if (!e->backend && g->encoded_slash) /* no file name has a slash */
        return GW_EREQ_PATH;
    return resolve(&g->s->arena, &g->hit, g->m, &g->index);
}

/* The request may have what it asks for.  False: routing goes on. */
static bool routing_act(struct routing *g)
{
    const struct conf_route *route = g->hit.entry->route;
    int rc = g->resolved;

    if (route->redirect_status) {
        answer_location(g->s, route->redirect_status, slice_str(route->redirect));
        return true;
    }
    switch (rc) {
    case RESOLVED:
        routing_dispatch(g);
        return true;
    case RESOLVE_NEXT:
        return false;
    case RESOLVE_SLASH:
        answer_slash(g->s, g->m->path);
        return true;
    case RESOLVE_INDEX:
        if (++g->n_indexes > INDEX_MAX) {
            rc = GW_ENOT_FOUND;
            break;
        }
        g->m->path = g->index; /* which another route may have: index.php */
        g->at = 0;
        return false;
    }
    stream_error(g->s, rc);
    return true;
}

static void routing_run(struct routing *g);

static void routing_allowed(struct stream *s, void *arg)
{
    struct routing *g = arg;

    (void)s;
    g->allowed = g->hit.entry;
    if (!routing_act(g))
        routing_run(g);
}

/* The route in g->hit applies and its credentials are shown.  False: it does not after all.
 * The path is looked at before an authorizer is asked, so that it can be told SCRIPT_FILENAME;
 * what was found is not told before it agreed.  It is asked once for a folder and its index. */
static bool routing_take(struct routing *g)
{
    const struct route_entry *e = g->hit.entry;

    g->resolved = routing_resolve(g);
    if (g->resolved == RESOLVE_NEXT)
        return false;
    if (e->authorizer && g->allowed != e) {
        authorizer_start(g->s, e->authorizer, g->m, routing_allowed, g);
        return true;
    }
    return routing_act(g);
}

static void routing_authed(struct stream *s, void *arg, const struct auth_result *res)
{
    struct routing *g = arg;

    if (res->err) {
        answer_unauthorized(s, g->hit.entry->route, res->err);
        return;
    }
    /* For the index of a folder it is checked again, behind an authorizer's own word. */
    if (g->allowed != g->hit.entry || !s->remote_user.n) {
        s->remote_user = res->user;
        s->auth_type = SLICE("Basic");
    }
    if (!routing_take(g))
        routing_run(g);
}

static void routing_run(struct routing *g)
{
    struct stream *s = g->s;

    while (routes_next(g->routes, g->m->path, &g->at, &g->hit)) {
        const struct route_entry *e = g->hit.entry;
        s->route = g->m->route = e->route;
        s->body_limit = e->body_limit;
        /* Not the next best: that might have the same files. */
        if (e->route->internal && !g->internal)
            break;
        /* Before any file is looked at: a refusal must not tell what is there. */
        if (route_needs_auth(e, &s->arena, g->m->path, s->req.has_query, s->req.query)) {
            auth_check(s, e->route, routing_authed, g);
            return;
        }
        if (routing_take(g))
            return;
    }
    stream_error(s, GW_ENOT_FOUND);
}

void router_handle(struct router *r, struct stream *s)
{
    const struct conf_site *site = hosts_find(&r->hosts, s->req.authority);
    struct routing *g = arena_zalloc(&s->arena, sizeof(*g));
    struct route_match *m = arena_zalloc(&s->arena, sizeof(*m));

    s->handler = NULL;
    s->handler_state = NULL;
    s->site = site;
    s->route = NULL;
    /* A local redirect's new target is checked again, with what it needs. */
    s->remote_user = s->auth_type = slice_of("", 0);
    if (answer_method(s))
        return;
    if (!site || !g || !m) {
        stream_error(s, site ? GW_ENO_MEMORY : GW_EMISDIRECTED);
        return;
    }
    m->site = site;
    m->file_fd = -1;
    *g = (struct routing){.s = s, .routes = &r->sites[site - r->conf->sites], .m = m};
    int rc = router_settle_path(&s->arena, s->req.path, &m->path);
    g->encoded_slash = path_has_encoded_slash(s->req.path);
    g->internal = s->is_internal;
    s->is_internal = false; /* for this target only */
    if (rc < 0)
        stream_error(s, rc);
    else
        routing_run(g);
}
