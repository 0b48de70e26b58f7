#include "router.h"

#include <stdlib.h>
#include <unistd.h>

#include "auth.h"
#include "authorizer.h"
#include "counters.h"
#include "error_page.h"
#include "expand.h"
#include "filter.h"
#include "answer_cache.h"
#include "hints.h"
#include "hosts.h"
#include "limits.h"
#include "listing.h"
#include "mime.h"
#include "path.h"
#include "remote.h"
#include "resolve.h"
#include "rewrite.h"
#include "routes.h"
#include "seldom.h"
#include "try.h"
#include "websocket.h"
#include "worker.h"

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
    struct limits *limits;
    struct seldom refused_said;
};

/* One request on its way to a handler; in the stream's arena. */
struct routing {
    struct stream *s;
    struct limits *limits;
    const struct routes *routes;
    struct route_match *m;
    struct route_hit hit;
    unsigned at; /* routes tried so far */
    unsigned n_indexes;
    bool encoded_slash;  /* in the path as sent */
    bool internal;       /* X-Accel-Redirect, a rewrite or the end of a try leads here */
    unsigned n_rewrites; /* rounds of rules that changed the path */
    bool rewrite_over;   /* a rule said break */
    const struct route_entry *tried;   /* its try is behind, */
    bool found;                        /* and led to a file of its own */
    bool as_file;                      /* hit.entry is to a pool, but it is one of its files */
    const struct route_entry *allowed; /* its authorizer let the request pass; or, with
                                          satisfy = any, whatever did */
    bool is_denied; /* by deny and allow, where satisfy = any asks for more; why: */
    struct slice denied;
    int resolved; /* what the path is there; index, if that is it */
    struct slice index;
};

/* ---- making ---- */

static int router_init(struct router *r, const struct conf *conf, struct pool *const *pools,
                       FILE *errors_to)
{
    int rc = hosts_init(&r->hosts, conf);

    r->sites = calloc(conf->n_sites ? conf->n_sites : 1, sizeof(*r->sites));
    r->mime = mime_new(MIME_SYSTEM_FILE);
    r->auth = auth_new(conf);
    r->filter_cache = answer_cache_new((uint64_t)conf->gateway.filter_cache_size,
                                       (uint64_t)conf->gateway.filter_cache_entry);
    r->hints = answer_cache_new(HINTS_BYTES, 0);
    r->limits = limits_new(conf);
    if (!r->limits || !r->sites || !r->mime || !r->auth || !r->filter_cache || !r->hints)
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
    limits_free(r->limits);
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
    enum error_form form = error_page_form(s->req.fields, s->req.n_fields);
    struct error_page page = error_page(&s->arena, status, form, slice_of("", 0));
    const struct field fields[] = {
        {SLICE("Location"), location},
        {SLICE("Content-Type"), page.type},
        {SLICE("Vary"), SLICE("Accept")},
    };
    struct response r = {
        .status = status,
        .fields = fields,
        .n_fields = sizeof(fields) / sizeof(fields[0]),
        .content_length = (int64_t)page.body.n,
    };

    stream_discard_body(s);
    stream_answer(s, &r, page.body);
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

static void answer_redirect(struct stream *s, const struct conf_route *route)
{
    struct slice location;
    int rc = expand(s, route->redirect_to, NULL, EXPAND_URL, &location);

    if (rc == 0)
        answer_location(s, route->redirect_status, location);
    else
        stream_error(s, rc);
}

static void answer_unauthorized(struct stream *s, const struct conf_route *route,
                                const struct auth_result *res)
{
    struct field field = {SLICE("Retry-After"), {NULL, 0}};

    if (res->err == GW_EUNAUTHORIZED)
        field = (struct field){SLICE("WWW-Authenticate"),
                               auth_challenge(&s->arena, route->auth.realm)};
    else if (res->retry_s)
        field.value = arena_printf(&s->arena, "%u", res->retry_s);
    stream_error_fields(s, res->err, &field, field.value.p ? 1 : 0);
}

/* Something lies where, or as, it cannot be served, which its owner should hear of. */
static bool is_owners_fault(int err)
{
    return err == GW_ESOURCE || err == GW_ELINK || err == GW_ENOT_EXECUTABLE ||
           err == GW_EUNREADABLE;
}

static void answer_refused(struct stream *s, int err)
{
    struct seldom *said = &worker_of(s)->router->refused_said;
    char more[SELDOM_TEXT];

    if (err == GW_ESOURCE)
        counter_add(COUNTER_UNSENT);
    if (seldom_say(said, clock_now_us() * 1000, more))
        conn_log_stream(s, CONF_LOG_WARN, err, "site=%s route=\"%.*s\" path=\"%.*s\"%s",
                        s->site->name, SLICE_FMT(s->route->pattern), SLICE_FMT(s->uri), more);
    stream_error(s, err);
}

/* Methods that no application gets to see.  True: s has been answered. */
static bool answer_method(struct stream *s)
{
    bool whole = slice_eq(s->req.target, SLICE("*")); /* the server, RFC 9110 9.3.7 */

    if (!slice_eq(s->req.method, SLICE("CONNECT")) &&
        !slice_eq(s->req.method, SLICE("TRACE")) &&
        !(whole && slice_eq(s->req.method, SLICE("OPTIONS"))))
        return false;
    stream_answer_allow(s, SLICE(STREAM_ALLOW));
    return true;
}

/* ---- from path to handler ---- */

static void routing_dispatch(struct routing *g)
{
    struct stream *s = g->s;
    const struct route_entry *e = g->as_file ? g->hit.entry->files : g->hit.entry;

    /* Known before a byte of it came: refuse now (RFC 9110 15.5.14). */
    if (s->req.protocol.n && !(e->backend && e->route->websocket)) {
        open_file_unref(g->m->open);
        stream_answer_allow(s, SLICE(STREAM_ALLOW)); /* CONNECT to what knows none */
    } else if (s->body_limit && s->req.content_length >= 0 &&
               (uint64_t)s->req.content_length > s->body_limit) {
        open_file_unref(g->m->open);
        stream_error(s, GW_EBODY_LARGE);
    } else if (e->backend) {
        forward_start(s, e->pool, g->m);
    } else if (e->filter) {
        filter_start(s, e->filter, g->m);
    } else {
        files_start(s, g->m);
    }
}

static int resolve_on(struct routing *g, const struct route_hit *hit)
{
    if (!hit->entry->backend && g->encoded_slash) /* no file name has a slash */
        return GW_EREQ_PATH;
    return resolve(&g->s->arena, worker_of(g->s)->files, hit, g->m, &g->index);
}

/* The route's try.  Its last word is routed as if it had been asked for, internal routes too; on
 * the same route it is then what it is, so that nothing goes round in circles. */
static int routing_try(struct routing *g)
{
    struct route_hit hit = g->hit;
    struct try_else to;

    if (hit.entry->files)
        hit.entry = hit.entry->files;
    int rc = try_resolve(g->s, &hit, g->m, !g->encoded_slash, &to);
    g->as_file = hit.entry != g->hit.entry && rc != TRY_NOTHING;
    if (rc == RESOLVE_LISTING)
        g->index = to.path;
    if (rc == TRY_NOTHING)
        return g->hit.entry->backend ? resolve_on(g, &g->hit) : GW_ENOT_FOUND;
    if (rc != TRY_ELSE)
        return rc;
    g->tried = g->hit.entry;
    g->found = !to.internal;
    g->encoded_slash = false; /* it is from the configuration, or was decoded */
    g->internal |= to.internal;
    if (to.has_query) {
        g->s->req.query = to.query;
        g->s->req.has_query = true;
    }
    g->index = to.path;
    return RESOLVE_INDEX;
}

/* What the path is on the route in g->hit, of which nobody hears yet. */
static int routing_resolve(struct routing *g)
{
    const struct route_entry *e = g->hit.entry;

    struct route_hit hit = g->hit;

    g->as_file = false;
    g->m->document_root = e->root;
    if (e->route->redirect_status)
        return RESOLVED;
    /* What asks for a WebSocket asks for no file. */
    if (e->route->tries.n && g->tried != e &&
        !(e->route->websocket && websocket_is_asked(g->s)))
        return routing_try(g);
    if (e->files && g->tried == e && g->found) {
        g->as_file = true;
        hit.entry = e->files;
    }
    return resolve_on(g, &hit);
}

static void routing_list(struct routing *g)
{
    const struct route_entry *e = g->hit.entry;
    const struct listing_ask ask = {.root = e->root,
                                    .rel = g->index,
                                    .path = g->m->path,
                                    .links = e->links,
                                    .hidden = e->hidden,
                                    .welcome = g->s->site->is_serve};

    listing_start(g->s, &ask);
}

/* The request may have what it asks for.  False: routing goes on. */
static bool routing_act(struct routing *g)
{
    const struct conf_route *route = g->hit.entry->route;
    int rc = g->resolved;

    if (!g->s->error && !limits_admit(g->limits, g->s, LIMITS_USER_KNOWN)) {
        open_file_unref(g->m->open);
        return true;
    }
    if (route->redirect_status) {
        answer_redirect(g->s, route);
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
    case RESOLVE_LISTING:
        routing_list(g);
        return true;
    case RESOLVE_INDEX:
        if (++g->n_indexes > INDEX_MAX) {
            rc = GW_ENOT_FOUND;
            break;
        }
        g->s->uri = g->m->path = g->index; /* which another route may have: index.php */
        g->at = 0;
        return false;
    }
    if (is_owners_fault(rc))
        answer_refused(g->s, rc);
    else
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
    if (e->authorizer && g->allowed != e && !g->s->error) {
        authorizer_start(g->s, e->authorizer, g->m, routing_allowed, g);
        return true;
    }
    return routing_act(g);
}

static bool is_any(const struct conf_route *route)
{
    return route->auth.satisfy == CONF_SATISFY_ANY;
}

static void routing_authed(struct stream *s, void *arg, const struct auth_result *res)
{
    struct routing *g = arg;

    const struct route_entry *e = g->hit.entry;
    bool asks_on = is_any(e->route) && e->authorizer && res->err == GW_EUNAUTHORIZED;
    if (res->err && !asks_on) {
        answer_unauthorized(s, e->route, res);
        return;
    }
    /* For the index of a folder it is checked again, behind an authorizer's own word. */
    if (!res->err && (g->allowed != e || !s->remote_user.n)) {
        s->remote_user = res->user;
        s->auth_type = SLICE("Basic");
    }
    if (!res->err && is_any(e->route))
        g->allowed = e;
    if (!routing_take(g))
        routing_run(g);
}

/* The client's address is not let in, by why. */
static void answer_denied(struct stream *s, struct slice why)
{
    counter_add(COUNTER_DENY);
    s->err_why = why;
    stream_error(s, GW_EDENIED);
}

/*
 * deny and allow.  The first of what must be true before a route answers: who may not come in
 * from where he is is neither asked for a password nor told whether it was right.  With
 * satisfy = any he is, and an allow of his address is all it takes; that it is in no deny is
 * no such word.
 * False: s has been answered.
 */
static bool routing_admits(struct routing *g, const struct route_entry *e)
{
    const struct conf_route *route = e->route;
    struct stream *s = g->s;
    const struct cidr *rule;
    char text[CIDR_TEXT];

    if (!route->access)
        return true;
    struct cidr_address client = remote_address(s);
    if (access_ask(route->access, &client, &rule)) {
        if (rule && is_any(route))
            g->allowed = e;
        return true;
    }
    if (rule)
        cidr_text(rule, text);
    g->is_denied = true;
    g->denied = rule ? arena_printf(&s->arena, "deny=%s", text) : SLICE("in no allow");
    if (is_any(route))
        return true;
    answer_denied(s, g->denied);
    return false;
}

/*
 * Who is this for?  The page of an error is for whoever is shown the error: it is not asked.
 * Credentials are asked for before any file is looked at: a refusal must not tell what is there.
 * True: s has been answered, or will be heard of again.
 */
static bool routing_asks(struct routing *g)
{
    const struct route_entry *e = g->hit.entry;
    const struct conf_route *route = e->route;
    struct stream *s = g->s;

    /* satisfy = any was for this route, which is asked again for a folder's index. */
    bool passed = is_any(route) && g->allowed == e;
    g->is_denied = false;
    if (!passed && !routing_admits(g, e))
        return true;
    if (!limits_admit(g->limits, s, LIMITS_ROUTED))
        return true;
    passed = is_any(route) && g->allowed == e;
    if (!passed && route_needs_auth(e, &s->arena, g->m->path, s->req.has_query, s->req.query)) {
        auth_check(s, &route->auth, routing_authed, g);
        return true;
    }
    if (passed || !g->is_denied || e->authorizer)
        return false;
    answer_denied(s, g->denied);
    return true;
}

/* More than one set of rules may want: a circle. */
static bool routing_rounds(struct routing *g)
{
    if (++g->n_rewrites <= REWRITE_ROUNDS_MAX)
        return true;
    counter_add(COUNTER_REWRITES);
    stream_error(g->s, GW_EREWRITES);
    return false;
}

/* Run rules on the path.  True: s has been answered; else, where *ret_changed, all routes are to
 * be tried anew. */
static bool routing_rewrite(struct routing *g, const struct rewrite *rules, bool *ret_changed)
{
    struct stream *s = g->s;
    struct slice location;
    int status, rc = rewrite_run(rules, s, &status, &location);

    *ret_changed = rc == REWROTE_PATH || rc == REWROTE_OVER;
    if (rc < 0)
        stream_error(s, rc);
    else if (rc == REWROTE_REDIRECT)
        answer_location(s, status, location);
    if (!*ret_changed)
        return rc != REWROTE_NOTHING;
    g->rewrite_over = rc == REWROTE_OVER;
    g->m->path = s->uri;
    g->encoded_slash = path_has_encoded_slash(s->req.path);
    g->internal = true;
    g->at = 0;
    return !routing_rounds(g);
}

static void routing_run(struct routing *g)
{
    struct stream *s = g->s;
    bool changed;

    while (routes_next(g->routes, g->m->path, &g->at, &g->hit)) {
        const struct route_entry *e = g->hit.entry;
        s->route = g->m->route = e->route;
        s->body_limit = e->body_limit;
        /* Not the next best: that might have the same files. */
        if (e->route->internal && !g->internal)
            break;
        if (e->rewrite && !g->rewrite_over && !s->error) {
            if (routing_rewrite(g, e->rewrite, &changed))
                return;
            if (changed)
                continue;
        }
        if (!s->error && routing_asks(g))
            return;
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
    *g = (struct routing){
        .s = s, .limits = r->limits, .routes = &r->sites[site - r->conf->sites], .m = m};
    int rc = router_settle_path(&s->arena, s->req.path, &m->path);
    g->encoded_slash = path_has_encoded_slash(s->req.path);
    g->internal = s->is_internal;
    s->is_internal = false; /* for this target only */
    s->uri = m->path;
    bool changed;
    if (rc < 0)
        stream_error(s, rc);
    /* An application that names a path means that path, and so does error_page. */
    else if (!g->routes->rewrite || g->internal || s->error ||
             !routing_rewrite(g, g->routes->rewrite, &changed))
        routing_run(g);
}
