#include "load.h"

#include <stdlib.h>
#include <unistd.h>

#include "derive_files.h"
#include "family.h"
#include "fields.h"
#include "syntax.h"
#include "value.h"

enum {
    POOL_REQUESTS = 16,            /* at work at once, where nothing says more */
    POOL_REQUESTS_MOST = 65535,    /* the most that max_requests may say */
    POOL_TIMEOUT_MS = 3600 * 1000, /* long uploads, event streams: the other timeouts watch */
    CGI_TIMEOUT_MS = 60 * 1000,
};

/* printf into the configuration's memory, or NULL with a complaint. */
#define KEEP(l, ...) keep((l), arena_printf(&(l)->conf->arena, __VA_ARGS__))

static const char *keep(struct load *l, struct slice text)
{
    if (!text.p)
        complain_no_memory(&l->bad);
    return text.p;
}

/* ---- [gateway] -------------------------------------------------------------------------- */

static const char *runtime_dir(struct load *l)
{
    const char *user_dir = getenv("XDG_RUNTIME_DIR");

    if (geteuid() == 0)
        return "/run/h2cgi";
    if (user_dir && user_dir[0] == '/')
        return KEEP(l, "%s/h2cgi", user_dir);
    return KEEP(l, "/tmp/h2cgi-%ld", (long)geteuid());
}

static const char *resolver(struct load *l, const struct schema_gateway *g)
{
    const char *list = NULL;

    for (unsigned i = 0; i < g->n_resolver; i++)
        list =
            KEEP(l, "%s%s%.*s", list ? list : "", list ? "," : "", SLICE_FMT(g->resolver[i]));
    return list;
}

static void derive_trusted(struct load *l, const struct schema_gateway *read)
{
    struct conf_gateway *g = &l->conf->gateway;
    struct cidr_set *set = &g->trusted_proxies;
    size_t n = read->n_trusted_proxies;

    set->rules = arena_zalloc(&l->conf->arena, (n + 1) * sizeof(*set->rules));
    if (!set->rules) {
        complain_no_memory(&l->bad);
        return;
    }
    for (set->n = 0; set->n < n; set->n++)
        set->rules[set->n].block = read->trusted_proxies[set->n];
    cidr_set_build(set); /* all say the same */
    for (unsigned i = 0; i < read->n_trusted_parts; i++) {
        g->trusted_address |= slice_eq(read->trusted_parts[i], SLICE("address"));
        g->trusted_proto |= slice_eq(read->trusted_parts[i], SLICE("proto"));
        g->trusted_host |= slice_eq(read->trusted_parts[i], SLICE("host"));
    }
}

static void derive_gateway(struct load *l)
{
    const struct section *s = &l->sections[LOAD_GATEWAY];
    struct conf_gateway *g = &l->conf->gateway;

    *g = ((const struct schema_gateway *)s->item)->conf;
    derive_trusted(l, s->item);
    g->resolver = resolver(l, s->item);
    if (!section_has(s, "runtime_dir"))
        g->runtime_dir = runtime_dir(l);
    if (!section_has(s, "spool_dir"))
        g->spool_dir =
            geteuid() == 0 ? "/var/spool/h2cgi" : KEEP(l, "%s/spool", g->runtime_dir);
    if (!section_has(s, "pid_file"))
        g->pid_file = KEEP(l, "%s/h2cgi.pid", g->runtime_dir);
}

/* ---- deny, allow ------------------------------------------------------------------------ */

/* What the lists of a section say; outer where it has none. */
static const struct access *derive_access(struct load *l, const struct section *s,
                                          const struct access_lists *lists,
                                          const struct access *outer)
{
    const struct cidr *twice;
    char text[CIDR_TEXT];

    if (!lists->n_deny && !lists->n_allow)
        return outer;
    const struct access *access = access_new(&l->conf->arena, lists, &twice);
    if (twice) {
        cidr_text(twice, text);
        complain(&l->bad, section_place(s, "allow"), "%s is in both deny and allow", text);
    } else if (!access) {
        complain_no_memory(&l->bad);
    }
    return access;
}

/* ---- rate, requests_at_once ------------------------------------------------------------- */

static void drop_off(struct conf_limit *list, unsigned *n)
{
    if (*n == 1 && !list[0].n)
        *n = 0;
}

/* ---- early_hint, push ------------------------------------------------------------------- */

static void derive_hints(struct conf_route *route, const struct conf_site *site)
{
    if (!route->n_early_hint) {
        route->early_hint = site->early_hint;
        route->n_early_hint = site->n_early_hint;
    }
    if (route->n_early_hint == 1 && !route->early_hint[0].n)
        route->n_early_hint = 0;
    if (route->push < 0)
        route->push = site->push;
}

/* The very rules of the site, so that they count over all routes that have them. */
static void derive_limits(struct conf_route *route, const struct conf_site *site)
{
    if (!route->n_rate) {
        route->rate = site->rate;
        route->n_rate = site->n_rate;
    }
    if (!route->n_at_once) {
        route->at_once = site->at_once;
        route->n_at_once = site->n_at_once;
    }
    drop_off(route->rate, &route->n_rate);
    drop_off(route->at_once, &route->n_at_once);
    if (route->limits_dry_run < 0)
        route->limits_dry_run = site->limits_dry_run;
}

/* ---- families --------------------------------------------------------------------------- */

/* A list of a family: elements that begin with a struct conf_pair. */
struct pairs {
    const char *list;
    unsigned n;
    size_t size; /* of an element */
    bool any_case;
};

static struct slice pair_name(const struct pairs *p, unsigned i)
{
    return ((const struct conf_pair *)(const void *)(p->list + i * p->size))->name;
}

static bool pairs_have(const struct pairs *p, struct slice name)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct slice other = pair_name(p, i);
        if (p->any_case ? slice_ieq(other, name) : slice_eq(other, name))
            return true;
    }
    return false;
}

/* The inner list behind what the outer one has of other names.  NULL when memory is out. */
static char *merge_pairs(struct load *l, struct pairs outer, struct pairs inner,
                         unsigned *ret_n)
{
    char *all = arena_zalloc(&l->conf->arena, (outer.n + (size_t)inner.n + 1) * inner.size);
    unsigned n = 0;

    if (!all) {
        complain_no_memory(&l->bad);
        return NULL;
    }
    for (unsigned i = 0; i < outer.n; i++) {
        if (!pairs_have(&inner, pair_name(&outer, i)))
            memcpy(all + n++ * outer.size, outer.list + i * outer.size, outer.size);
    }
    if (inner.n)
        memcpy(all + n * inner.size, inner.list, inner.n * inner.size);
    *ret_n = n + inner.n;
    return all;
}

/* What a site says of a family is what its routes say of it, name by name, where they do not. */
#define DERIVE_FAMILY(l, site, route, list, family)                                            \
    do {                                                                                       \
        struct pairs outer_ = {(const void *)(site)->list, (site)->n_##list,                   \
                               sizeof(*(site)->list), (family)->any_case};                     \
        struct pairs inner_ = {(const void *)(route)->list, (route)->n_##list,                 \
                               sizeof(*(route)->list), (family)->any_case};                    \
        if (outer_.n)                                                                          \
            (route)->list = (void *)merge_pairs((l), outer_, inner_, &(route)->n_##list);      \
    } while (0)

static void derive_families(struct load *l, struct conf_route *route,
                            const struct conf_site *site)
{
    DERIVE_FAMILY(l, site, route, env, &family_env);
    DERIVE_FAMILY(l, site, route, header, &family_header);
    DERIVE_FAMILY(l, site, route, expires_ext, &family_expires);
    DERIVE_FAMILY(l, site, route, error_pages, &family_error_page);
    if (route->error_page_intercept < 0)
        route->error_page_intercept = site->error_page_intercept;
    DERIVE_FAMILY(l, site, route, types, &family_type);
    if (route->expires.kind == CONF_EXPIRES_UNSET)
        route->expires = site->expires;
    route->has_field_rules = route->n_header || route->n_expires_ext || site->hsts.n ||
                             route->expires.kind > CONF_EXPIRES_OFF;
}

static void derive_site_fields(struct conf_site *site)
{
    site->has_field_rules = site->n_header || site->n_expires_ext || site->hsts.n ||
                            site->expires.kind > CONF_EXPIRES_OFF;
}

/* ---- auth, satisfy ---------------------------------------------------------------------- */

static bool is_anybody(const struct conf_auth *a)
{
    return a->n_users == 1 && slice_eq(a->users[0], SLICE("*"));
}

/* Key by key, but who may come in is one list of users and groups. */
static void derive_auth(struct conf_auth *a, const struct conf_auth *site)
{
    if (a->basic < 0)
        a->basic = site->basic;
    if (a->satisfy < 0)
        a->satisfy = site->satisfy;
    if (!a->realm)
        a->realm = site->realm;
    if (!a->file)
        a->file = site->file;
    if (!a->group_file)
        a->group_file = site->group_file;
    if (!a->n_users && !a->n_groups) {
        a->users = site->users;
        a->n_users = site->n_users;
        a->groups = site->groups;
        a->n_groups = site->n_groups;
    }
    if (is_anybody(a))
        a->n_users = 0;
}

/* ---- [pool] ----------------------------------------------------------------------------- */

static void derive_processes(const struct section *s, struct conf_pool *pool)
{
    if (section_has(s, "processes"))
        pool->processes = pool->range.max;
    else if (pool->cgi)
        /* A runner runs one program at a time. */
        pool->processes = section_has(s, "max_requests") ? pool->max_requests : POOL_REQUESTS;
    else
        pool->processes = pool->spawn ? 1 : 0;
    pool->min_processes = section_has(s, "processes") ? pool->range.min : pool->processes;
}

/* A successor runs beside the process it replaces, on a socket of its own; a quarter of a pool
 * may be replaced at a time. */
static void derive_slots(struct conf_pool *pool)
{
    bool replaces = pool->max_requests_per_process || pool->max_age_ms || pool->max_memory;
    bool one_address = pool->self_address && !strstr(pool->self_address, "{slot}");

    pool->slots = pool->processes;
    if (pool->processes && replaces && !one_address)
        pool->slots += (pool->processes + 3) / 4;
}

/* Where the programs of listen = self will be found; to all others the pool is one of processes
 * like any. */
static void derive_self(struct conf_pool *pool)
{
    if (!pool->spawn || !pool->listen_self || pool->n_connect != 1)
        return;
    pool->self_address = pool->connect[0].text;
    pool->n_connect = 0;
}

static void derive_balance(struct conf_pool *pool)
{
    struct slice key = slice_str(pool->balance_key);

    if (slice_starts(key, SLICE("field ")))
        pool->balance_field = slice_trim(slice_from(key, sizeof("field ") - 1));
}

static void derive_pool(const struct section *s, struct conf_pool *pool)
{
    derive_self(pool);
    derive_processes(s, pool);
    derive_slots(pool);
    derive_balance(pool);
    if (!section_has(s, "max_requests"))
        pool->max_requests =
            pool->n_connect ? POOL_REQUESTS : pool->processes * pool->requests_per_process;
    if (pool->max_requests > POOL_REQUESTS_MOST)
        pool->max_requests = POOL_REQUESTS_MOST;
    if (!section_has(s, "keepalive"))
        pool->keepalive = pool->max_requests;
    if (!section_has(s, "timeout"))
        pool->timeout_ms = pool->cgi ? CGI_TIMEOUT_MS : POOL_TIMEOUT_MS;
}

/* ---- [route] ---------------------------------------------------------------------------- */

static bool has_tcp(const struct conf_pool *pool)
{
    for (unsigned i = 0; i < pool->n_connect; i++) {
        if (!syntax_is_unix(slice_str(pool->connect[i].text)))
            return true;
    }
    return false;
}

/* The index of the section called name in the arrays of conf, or -1 with a complaint. */
static int reference(struct load *l, struct place place, enum schema_section kind,
                     const char *name)
{
    struct nearest near = nearest_init(slice_str(name));
    size_t at;

    if (names_find(&l->names[kind], slice_str(name), &at))
        return (int)l->sections[at].index;
    for (size_t i = 0; i < l->n_sections && !complaints_full(&l->bad); i++) {
        if (l->sections[i].kind == kind)
            nearest_try(&near, slice_str(l->sections[i].name));
    }
    complain(&l->bad, place, "there is no [%s %.*s]%s", schema_kind(kind)->name,
             ECHO(slice_str(name)), nearest_text(&near, &l->scratch));
    return -1;
}

static const struct conf_pool *pool_called(struct load *l, const struct section *s,
                                           const char *key, const char *name)
{
    int at = name ? reference(l, section_place(s, key), SCHEMA_POOL, name) : -1;

    return at < 0 ? NULL : &l->conf->pools[at];
}

static const struct conf_pool *route_authorizer(struct load *l, const struct section *s,
                                                const struct conf_site *site, const char *name)
{
    if (!name)
        return site->authorizer;
    return strcmp(name, "off") == 0 ? NULL : pool_called(l, s, "authorizer", name);
}

static const struct conf_compress *compress_if_on(const struct conf_compress *c)
{
    return c->n ? c : NULL;
}

/* Copy what was read of a route behind the routes its site has by now. */
static void take_route(struct load *l, struct section *s)
{
    const struct schema_route *read = s->item;
    int at = reference(l, s->place, SCHEMA_SITE, s->name);

    if (at < 0) {
        s->broken = true;
        return;
    }
    struct conf_site *site = &l->conf->sites[at];
    struct conf_route *route = &site->routes[site->n_routes++];

    *route = read->conf;
    route->file = l->files[s->place.file];
    route->line = s->place.line;
    route->pool =
        read->pool ? reference(l, section_place(s, "pool"), SCHEMA_POOL, read->pool) : -1;
    route->authorizer = route_authorizer(l, s, site, read->authorizer);
    route->access = derive_access(l, s, &route->lists, site->access);
    derive_auth(&route->auth, &site->auth);
    derive_limits(route, site);
    derive_hints(route, site);
    derive_families(l, route, site);
    derive_files_route(l, s, read, route, site);
    route->compress = compress_if_on(compress_derive(l, s, &read->compress, site->compress));
    route->filter = pool_called(l, s, "filter", read->filter);
    if (route->websocket_timeout_ms < 0)
        route->websocket_timeout_ms = site->websocket_timeout_ms;
    l->conf->gateway.websocket |= route->websocket;
    if (route->script_check == CONF_UNSET && route->pool >= 0)
        route->script_check = has_tcp(&l->conf->pools[route->pool]) ? CONF_OFF : CONF_ON;
    s->index = (unsigned)at;
    s->item = route;
}

/* Memory for the routes of each site; one without any gets the one that serves its files. */
static bool take_route_arrays(struct load *l)
{
    struct conf *conf = l->conf;
    unsigned *n = arena_zalloc(&l->scratch, (conf->n_sites + (size_t)1) * sizeof(*n));
    size_t at;

    if (!n)
        return false;
    for (size_t i = 0; i < l->n_sections; i++) {
        const struct section *s = &l->sections[i];
        if (s->kind == SCHEMA_ROUTE && !s->broken &&
            names_find(&l->names[SCHEMA_SITE], slice_str(s->name), &at))
            n[l->sections[at].index]++;
    }
    for (unsigned i = 0; i < conf->n_sites; i++) {
        struct conf_site *site = &conf->sites[i];
        site->routes = arena_zalloc(&conf->arena, (n[i] + (size_t)1) * sizeof(*site->routes));
        if (!site->routes)
            return false;
    }
    return true;
}

/* What no route of a site takes is a file of its root, as in the peers. */
static bool needs_files_route(const struct conf_site *site)
{
    if (site->n_routes && !site->root)
        return false;
    for (unsigned i = 0; i < site->n_routes; i++) {
        const struct conf_route *r = &site->routes[i];
        if (!r->exact && r->suffix.n == 0 && slice_eq(r->prefix, SLICE("/")))
            return false;
    }
    return true;
}

static bool files_route(struct load *l, struct conf_site *site)
{
    struct schema_route route = {0};

    if (value_defaults(&l->conf->arena, SCHEMA_ROUTE, &route) < 0)
        return false;
    route.conf.pattern = route.conf.prefix = SLICE("/");
    route.conf.pool = -1;
    route.conf.authorizer = site->authorizer;
    route.conf.access = site->access;
    derive_auth(&route.conf.auth, &site->auth);
    derive_limits(&route.conf, site);
    derive_hints(&route.conf, site);
    route.conf.compress = compress_if_on(site->compress);
    derive_families(l, &route.conf, site);
    derive_files_route(l, NULL, NULL, &route.conf, site);
    route.conf.file = site->file;
    route.conf.line = site->line;
    site->routes[site->n_routes++] = route.conf;
    return true;
}

/* ---- all of it -------------------------------------------------------------------------- */

/* Number the sections of each kind, but not the broken ones. */
static void number_sections(struct load *l, unsigned counts[SCHEMA_SECTIONS])
{
    for (size_t i = 0; i < l->n_sections; i++) {
        struct section *s = &l->sections[i];
        if (!s->broken)
            s->index = counts[s->kind]++;
    }
}

static bool take_arrays(struct load *l)
{
    struct conf *conf = l->conf;
    unsigned counts[SCHEMA_SECTIONS] = {0};

    number_sections(l, counts);
    conf->n_listens = counts[SCHEMA_LISTEN];
    conf->n_sites = counts[SCHEMA_SITE];
    conf->n_pools = counts[SCHEMA_POOL];
    conf->listens = arena_zalloc(&conf->arena, conf->n_listens * sizeof(*conf->listens) + 1);
    conf->sites = arena_zalloc(&conf->arena, conf->n_sites * sizeof(*conf->sites) + 1);
    conf->pools = arena_zalloc(&conf->arena, conf->n_pools * sizeof(*conf->pools) + 1);
    return conf->listens && conf->sites && conf->pools;
}

/* Copy what was read of a section that is not a route to its place in the arrays. */
static void take_section(struct load *l, struct section *s)
{
    struct conf *conf = l->conf;
    const char *file = l->files[s->place.file];
    const struct schema_site *read;

    switch (s->kind) {
    case SCHEMA_LISTEN:
        conf->listens[s->index] = *(const struct conf_listen *)s->item;
        conf->listens[s->index].name = s->name;
        conf->listens[s->index].access =
            derive_access(l, s, &conf->listens[s->index].lists, NULL);
        s->item = &conf->listens[s->index];
        break;
    case SCHEMA_SITE:
        read = s->item;
        conf->sites[s->index] = read->conf;
        conf->sites[s->index].authorizer = pool_called(l, s, "authorizer", read->authorizer);
        derive_files_site(l, s, read, &conf->sites[s->index]);
        conf->sites[s->index].access = derive_access(l, s, &conf->sites[s->index].lists, NULL);
        derive_site_fields(&conf->sites[s->index]);
        conf->sites[s->index].compress =
            compress_derive(l, s, &((const struct schema_site *)s->item)->compress, NULL);
        conf->sites[s->index].name = s->name;
        conf->sites[s->index].file = file;
        conf->sites[s->index].line = s->place.line;
        s->item = &conf->sites[s->index];
        break;
    case SCHEMA_POOL:
        conf->pools[s->index] = *(const struct conf_pool *)s->item;
        conf->pools[s->index].name = s->name;
        conf->pools[s->index].file = file;
        conf->pools[s->index].line = s->place.line;
        s->item = &conf->pools[s->index];
        derive_pool(s, s->item);
        break;
    case SCHEMA_GATEWAY:
    case SCHEMA_ROUTE:
    case SCHEMA_SECTIONS:
        break;
    }
}

static void default_site(struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_sites; i++) {
        for (unsigned k = 0; k < conf->sites[i].n_hosts; k++) {
            if (slice_eq(conf->sites[i].hosts[k], SLICE("*"))) {
                conf->default_site = (int)i;
                return;
            }
        }
    }
}

bool conf_derive(struct load *l)
{
    struct conf *conf = l->conf;

    if (l->n_sections == 0 || !take_arrays(l))
        return false;
    conf->path = l->files[0];
    derive_gateway(l);
    for (size_t i = 0; i < l->n_sections; i++) {
        if (!l->sections[i].broken)
            take_section(l, &l->sections[i]);
    }
    if (!take_route_arrays(l))
        return false;
    for (size_t i = 0; i < l->n_sections; i++) {
        if (l->sections[i].kind == SCHEMA_ROUTE && !l->sections[i].broken)
            take_route(l, &l->sections[i]);
    }
    for (unsigned i = 0; i < conf->n_sites; i++) {
        if (needs_files_route(&conf->sites[i]) && !files_route(l, &conf->sites[i]))
            return false;
    }
    default_site(conf);
    return true;
}
