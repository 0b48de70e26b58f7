#include "load.h"

#include "check_auth.h"
#include "syntax.h"

/* ---- proxies in front ------------------------------------------------------------------- */

static bool any_proxy_protocol(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_listens; i++) {
        if (conf->listens[i].proxy_protocol)
            return true;
    }
    return false;
}

/* Keys that are nothing without each other: whoever wrote one of them meant something. */
static void check_trusted(struct load *l, const struct section *s)
{
    const struct conf_gateway *g = &l->conf->gateway;
    const struct schema_gateway *read = s->item;
    static const struct slice parts[] = {{"address", 7}, {"proto", 5}, {"host", 4}};

    if (g->trusted_field && !section_has(s, "trusted_proxies"))
        complain(&l->bad, section_place(s, "trusted_field"),
                 "trusted_field needs trusted_proxies: whose field is believed");
    if (section_has(s, "trusted_proxies") && !g->trusted_field && !any_proxy_protocol(l->conf))
        complain(&l->bad, section_place(s, "trusted_proxies"),
                 "trusted_proxies without trusted_field, and without proxy_protocol = on in a "
                 "[listen]");
    if ((g->trusted_proto || g->trusted_host) && !g->trusted_field)
        complain(&l->bad, section_place(s, "trusted_parts"),
                 "trusted_parts without trusted_field");
    for (unsigned i = 0; i < read->n_trusted_parts; i++) {
        struct slice part = read->trusted_parts[i];
        if (!slice_eq(part, parts[0]) && !slice_eq(part, parts[1]) && !slice_eq(part, parts[2]))
            complain(&l->bad, section_place(s, "trusted_parts"),
                     "trusted_parts = %.*s: must be address, proto or host", ECHO(part));
    }
}

/* ---- listeners -------------------------------------------------------------------------- */

static bool any_certificate(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_sites; i++) {
        if (conf->sites[i].certificate)
            return true;
    }
    return false;
}

static void check_listen(struct load *l, const struct section *s, struct names *addresses)
{
    const struct conf_listen *listen = s->item;
    struct place place = section_place(s, "address");

    for (unsigned i = 0; i < listen->n_addresses; i++) {
        struct slice address = slice_str(listen->addresses[i]);
        int known = names_add(addresses, &l->scratch, address, 0);
        if (known > 0)
            complain(&l->bad, place, "address = %s is listened on already", address.p);
        else if (known < 0)
            complain_no_memory(&l->bad);
    }
    /* Who may connect may say who he is: that is nobody's default. */
    if (listen->proxy_protocol && !section_has(&l->sections[LOAD_GATEWAY], "trusted_proxies"))
        complain(
            &l->bad, section_place(s, "proxy_protocol"),
            "proxy_protocol = on needs trusted_proxies in [gateway]: who may send the header");
    if (listen->tls && !any_certificate(l->conf))
        complain(&l->bad, section_place(s, "tls"),
                 "tls = on, but no [site] has a certificate and certificate_key");
}

/* A role that only an application can have: a CGI program has none. */
static void check_role(struct load *l, const struct section *s, const char *key,
                       const struct conf_pool *pool)
{
    if (pool && pool->cgi && section_has(s, key))
        complain(&l->bad, section_place(s, key),
                 "%s = %s: the pool runs CGI programs, which cannot be one", key, pool->name);
}

/* ---- sites ------------------------------------------------------------------------------ */

static void check_hosts(struct load *l, const struct section *s, struct names *hosts, size_t at)
{
    const struct conf_site *site = s->item;
    struct place place = section_place(s, "host");
    size_t old = 0;

    for (unsigned i = 0; i < site->n_hosts; i++) {
        int known = names_add(hosts, &l->scratch, site->hosts[i], at);
        if (known < 0) {
            complain_no_memory(&l->bad);
        } else if (known > 0 && names_find(hosts, site->hosts[i], &old)) {
            const struct section *first = &l->sections[old];
            struct place first_place = section_place(first, "host");
            complain(&l->bad, place, "host = %s is in [site %s] already, at %s:%u",
                     site->hosts[i].p, first->name, l->files[first_place.file],
                     first_place.line);
        }
    }
    if (site->n_hosts == 0 && s->index != (unsigned)l->conf->default_site)
        complain(&l->bad, place, "[site %s] has no host, so no request can reach it", s->name);
}

static void check_site(struct load *l, const struct section *s)
{
    const struct conf_site *site = s->item;

    if (site->certificate && !site->certificate_key)
        complain(&l->bad, section_place(s, "certificate"),
                 "certificate without certificate_key");
    if (site->certificate_key && !site->certificate)
        complain(&l->bad, section_place(s, "certificate_key"),
                 "certificate_key without certificate");
    check_role(l, s, "authorizer", site->authorizer);
    check_site_auth(l, s, site);
    /* The route that derive.c made has the place of its site. */
    if (!site->root && site->routes[0].line == site->line && site->routes[0].file == site->file)
        complain(&l->bad, s->place, "[site %s] has neither a root nor a [route]", s->name);
}

/* ---- routes ----------------------------------------------------------------------------- */

/* Keys that are given where they mean nothing.  what: "a route with a redirect", ... */
static void check_modes(struct load *l, const struct section *s, unsigned mode,
                        const char *what)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        if (s->given[i].line && keys[i].modes && !(keys[i].modes & mode))
            complain(&l->bad, s->given[i], "\"%s\" has no meaning in %s", keys[i].name, what);
    }
}

/* Where a route to a pool finds its script. */
static void check_script(struct load *l, const struct section *s,
                         const struct conf_route *route)
{
    const struct conf_pool *pool = &l->conf->pools[route->pool];
    const struct conf_site *site = &l->conf->sites[s->index];

    if (route->script || route->root)
        return;
    if (route->suffix.n) {
        if (!site->root)
            complain(&l->bad, s->place,
                     "[route %s %s] looks for files, but neither it nor its site has a root",
                     s->name, route->pattern.p);
    } else if (pool->cgi) {
        complain(&l->bad, s->place,
                 "[route %s %s] needs root or script, since pool \"%s\" runs CGI programs",
                 s->name, route->pattern.p, pool->name);
    }
}

/* A route to a pool that looks for files first. */
static void check_try(struct load *l, const struct section *s, const struct conf_route *route)
{
    static const char *const of_files[] = {"precompressed", "listing", "unsent"};
    const struct conf_pool *pool = &l->conf->pools[route->pool];
    struct place place = section_place(s, "try");

    for (size_t i = 0; i < sizeof(of_files) / sizeof(of_files[0]); i++) {
        if (!route->tries.n && section_has(s, of_files[i]))
            complain(&l->bad, section_place(s, of_files[i]),
                     "\"%s\" has no meaning in a route to a pool without try", of_files[i]);
    }
    if (!route->tries.n)
        return;
    /* What it finds would be the programs, whose text is nobody's business. */
    if (route->suffix.n)
        complain(
            &l->bad, place,
            "try in a route to scripts (*%.*s) would send them as files; it belongs in the "
            "[site]",
            SLICE_FMT(route->suffix));
    else if (pool->cgi && !route->script)
        complain(&l->bad, place,
                 "try in a route to a folder of CGI programs would send them as files; with it "
                 "the route needs script");
    else if (!route->root && !l->conf->sites[s->index].root)
        complain(&l->bad, place,
                 "try looks for files, but neither the route nor its site has "
                 "a root");
}

/* What a route to files says of requests to applications is for its filter and authorizer. */
static void check_roles(struct load *l, const struct section *s, const struct conf_route *route)
{
    static const char *const of_filter[] = {"filter_cache", "request_body", "response_body",
                                            "early_hints", "early_hint"};
    bool files = !section_has(s, "pool") && !section_has(s, "redirect");
    bool filtered = section_has(s, "filter");

    check_role(l, s, "authorizer", route->authorizer);
    check_role(l, s, "filter", route->filter);
    for (size_t i = 0; i < sizeof(of_filter) / sizeof(of_filter[0]); i++) {
        if (files && !filtered && section_has(s, of_filter[i]))
            complain(&l->bad, section_place(s, of_filter[i]),
                     "\"%s\" has no meaning in a route without a pool or filter", of_filter[i]);
    }
    if (filtered && route->filter_cache &&
        (route->authorizer || (route->auth.basic && !route->auth_match)))
        complain(&l->bad, section_place(s, "filter_cache"),
                 "filter_cache = on keeps nothing where clients have to be let in (%s)",
                 route->authorizer ? "authorizer" : "auth = basic");
    if (!section_has(s, "pool") && !filtered && !route->authorizer &&
        section_has(s, "env.NAME"))
        complain(&l->bad, section_place(s, "env.NAME"),
                 "\"env.NAME\" has no meaning in a route without a pool, filter or authorizer");
}

/* Names that begin with a slash, as the fields that name something below them do. */
static void check_absolute(struct load *l, const struct section *s, const char *key,
                           const struct slice *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!slice_starts(names[i], SLICE("/")))
            complain(&l->bad, section_place(s, key), "%s = %.*s: must begin with a slash", key,
                     ECHO(names[i]));
    }
}

/* A limit of its own for users, where nobody is asked for a name, would never count any. */
static void check_limits(struct load *l, const struct section *s, const char *key,
                         const struct conf_limit *list, unsigned n)
{
    const struct conf_route *route = s->item;

    if (!section_has(s, key) || route->auth.basic || route->authorizer)
        return;
    for (unsigned i = 0; i < n; i++) {
        if (list[i].by == CONF_BY_USER)
            complain(&l->bad, section_place(s, key),
                     "%s = %.*s: no user is known without auth or authorizer", key,
                     ECHO(list[i].text));
    }
}

static void check_route(struct load *l, const struct section *s)
{
    const struct conf_route *route = s->item;
    const struct conf_site *site = &l->conf->sites[s->index];
    /* The name of a pool that is not there was complained of; the route is one to a pool. */
    bool to_pool = section_has(s, "pool");

    if (to_pool && section_has(s, "redirect"))
        complain(&l->bad, section_place(s, "redirect"), "a route has a pool or a redirect");
    else if (to_pool)
        check_modes(l, s, SCHEMA_TO_POOL, "a route to a pool");
    else if (section_has(s, "redirect"))
        check_modes(l, s, SCHEMA_TO_TARGET, "a route with a redirect");
    else
        check_modes(l, s, SCHEMA_FILES, "a route without a pool");
    check_route_auth(l, s, route);
    check_roles(l, s, route);
    check_limits(l, s, "rate", route->rate, route->n_rate);
    check_limits(l, s, "requests_at_once", route->at_once, route->n_at_once);
    check_absolute(l, s, "sendfile_root", route->sendfile_root, route->n_sendfile_root);
    check_absolute(l, s, "accel_redirect", route->accel_redirect, route->n_accel_redirect);
    if (route->pool >= 0) {
        check_script(l, s, route);
        check_try(l, s, route);
    }
    if (!to_pool && !section_has(s, "redirect") && !route->root && !site->root)
        complain(
            &l->bad, s->place,
            "[route %s %s] has neither a pool, a redirect nor a root, and its site no root",
            s->name, route->pattern.p);
}

/* Two routes of a site for the same paths. */
static void check_twice(struct load *l, const struct section *s, struct names *patterns,
                        size_t at)
{
    const struct conf_route *route = s->item;
    struct slice key =
        arena_printf(&l->scratch, "%s %c%.*s*%.*s", s->name, route->exact ? '=' : ' ',
                     SLICE_FMT(route->prefix), SLICE_FMT(route->suffix));
    int known = key.p ? names_add(patterns, &l->scratch, key, at) : -1;
    size_t old = 0;

    if (known < 0) {
        complain_no_memory(&l->bad);
    } else if (known > 0 && names_find(patterns, key, &old)) {
        struct place first = l->sections[old].place;
        complain(&l->bad, s->place, "[route %s %s%s] is given twice, first at %s:%u", s->name,
                 route->exact ? "= " : "", route->pattern.p, l->files[first.file], first.line);
    }
}

/* ---- pools ------------------------------------------------------------------------------ */

static void check_numbers(struct load *l, const struct section *s, const struct conf_pool *pool)
{
    unsigned room = pool->processes * pool->requests_per_process;

    if (!pool->n_connect && pool->max_requests > room)
        complain(&l->bad, section_place(s, "max_requests"),
                 "max_requests = %u, but %u processes take %u at once each", pool->max_requests,
                 pool->processes, pool->requests_per_process);
    if (pool->keepalive > pool->max_requests)
        complain(&l->bad, section_place(s, "keepalive"),
                 "keepalive = %u is over max_requests = %u", pool->keepalive,
                 pool->max_requests);
}

/* runtime_dir/POOL.SLOT.sock, as the spawner names it. */
static void check_socket_path(struct load *l, const struct section *s,
                              const struct conf_pool *pool)
{
    const char *folder = l->conf->gateway.runtime_dir;
    int n =
        snprintf(NULL, 0, "%s/%s.%u.sock", folder ? folder : "", pool->name, pool->slots - 1);

    if (n > SYNTAX_UNIX_MAX)
        complain(&l->bad, s->place,
                 "[pool %s]: its sockets in %s have names of over %d bytes; choose a shorter "
                 "runtime_dir",
                 pool->name, folder, SYNTAX_UNIX_MAX);
}

/* Processes of their own socket. */
static void check_self(struct load *l, const struct section *s, const struct conf_pool *pool)
{
    struct place place = section_place(s, "listen");

    if (!pool->self_address)
        complain(&l->bad, place,
                 "listen = self needs connect with the one address that the program binds");
    else if (pool->processes > 1 && !strstr(pool->self_address, "{slot}"))
        complain(&l->bad, section_place(s, "processes"),
                 "%u processes cannot all bind %s; {slot} in it stands for the number of each",
                 pool->processes, pool->self_address);
}

static void check_processes(struct load *l, const struct section *s,
                            const struct conf_pool *pool)
{
    if (pool->spawn && pool->listen_self)
        check_self(l, s, pool);
    else
        check_socket_path(l, s, pool);
}

static void check_servers(struct load *l, const struct section *s, const struct conf_pool *pool)
{
    unsigned n_backup = 0;

    for (unsigned i = 0; i < pool->n_connect; i++) {
        const struct conf_address *server = &pool->connect[i];
        n_backup += server->backup;
        if (server->max > pool->max_requests)
            complain(&l->bad, section_place(s, "connect"),
                     "%s: max=%u is over max_requests = %u", server->text, server->max,
                     pool->max_requests);
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(pool->connect[k].text, server->text) == 0)
                complain(&l->bad, section_place(s, "connect"), "%s is given twice",
                         server->text);
        }
    }
    if (n_backup && n_backup == pool->n_connect)
        complain(&l->bad, section_place(s, "connect"),
                 "every server is a backup; one at least must not be");
    if (pool->listen_self && section_has(s, "connect") && pool->connect &&
        (pool->connect->weight != 1 || pool->connect->max || pool->connect->backup))
        complain(&l->bad, section_place(s, "connect"),
                 "the address of listen = self has no options");
}

static void check_health(struct load *l, const struct section *s, const struct conf_pool *pool)
{
    static const char *const needs[] = {"health_timeout", "health_path", "health_script"};
    struct slice path = slice_str(pool->health_path);

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (pool->n_connect && !pool->health_interval_ms && section_has(s, needs[i]))
            complain(&l->bad, section_place(s, needs[i]), "%s without health_interval",
                     needs[i]);
    }
    if (pool->health_script && !pool->health_path)
        complain(&l->bad, section_place(s, "health_script"),
                 "health_script without health_path");
    bool ok = !path.n || path.p[0] == '/';
    for (size_t i = 0; i < path.n; i++) /* RFC 3986 2 has no other bytes */
        ok &= path.p[i] > ' ' && path.p[i] < 0x7f && path.p[i] != '#';
    if (!ok)
        complain(&l->bad, section_place(s, "health_path"),
                 "health_path = %.*s: must be a path as in a URL, from its first slash",
                 ECHO(path));
}

static void check_names(struct load *l, const struct section *s, const struct conf_pool *pool)
{
    bool any_name = false;

    for (unsigned i = 0; i < pool->n_connect; i++)
        any_name |= syntax_is_name(slice_str(pool->connect[i].text));
    if (!any_name && section_has(s, "resolve_interval"))
        complain(&l->bad, section_place(s, "resolve_interval"),
                 "resolve_interval without a name in connect");
    if (pool->self_address && syntax_is_srv(slice_str(pool->self_address)))
        complain(&l->bad, section_place(s, "connect"),
                 "listen = self needs an address that a program can bind, not srv:");
}

/* Whose a server is can be seen of unix sockets only, and those of h2cgi are its own. */
static void check_peer_user(struct load *l, const struct section *s,
                            const struct conf_pool *pool)
{
    bool any_unix = pool->self_address && syntax_is_unix(slice_str(pool->self_address));

    if (!pool->peer_user || pool->cgi)
        return;
    for (unsigned i = 0; i < pool->n_connect; i++)
        any_unix |= syntax_is_unix(slice_str(pool->connect[i].text));
    if (pool->spawn && !pool->listen_self)
        complain(&l->bad, section_place(s, "peer_user"),
                 "peer_user without listen = self: the sockets are h2cgi's own");
    else if (!any_unix)
        complain(&l->bad, section_place(s, "peer_user"),
                 "peer_user without a unix: address in connect");
}

/* "address" or "field NAME". */
static void check_balance(struct load *l, const struct section *s, const struct conf_pool *pool)
{
    struct slice key = slice_str(pool->balance_key), name = pool->balance_field;
    bool ok = slice_eq(key, SLICE("address")) || name.n;

    for (size_t i = 0; i < name.n; i++) /* RFC 9110 5.6.2 */
        ok &= name.p[i] > ' ' && name.p[i] < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", name.p[i]);
    if (!ok)
        complain(&l->bad, section_place(s, "balance_key"),
                 "balance_key = %.*s: must be address or field NAME", ECHO(key));
    if (section_has(s, "balance_key") && pool->balance != CONF_BALANCE_HASH)
        complain(&l->bad, section_place(s, "balance_key"),
                 "balance_key without balance = hash");
}

static void check_multiplex(struct load *l, const struct section *s,
                            const struct conf_pool *pool)
{
    if (pool->multiplex && pool->keepalive == 0)
        complain(&l->bad, section_place(s, "multiplex"),
                 "multiplex = auto with keepalive = 0, which closes a connection behind each "
                 "request");
    if (!pool->multiplex && section_has(s, "multiplex_requests"))
        complain(&l->bad, section_place(s, "multiplex_requests"),
                 "multiplex_requests without multiplex = auto");
}

static void check_pool(struct load *l, const struct section *s)
{
    const struct conf_pool *pool = s->item;
    bool connects = section_has(s, "connect") && !(pool->spawn && pool->listen_self);
    int ways = connects + (section_has(s, "spawn") != 0) + pool->cgi;

    if (ways != 1) {
        complain(&l->bad, s->place, "[pool %s] needs %s connect, spawn or cgi = on", pool->name,
                 ways ? "only one of" : "one of");
        return;
    }
    if (connects) {
        check_modes(l, s, SCHEMA_CONNECT, "a pool with connect");
    } else if (pool->cgi) {
        check_modes(l, s, SCHEMA_CGI, "a pool with cgi = on");
        check_processes(l, s, pool);
    } else {
        check_modes(l, s, SCHEMA_SPAWN, "a pool with spawn");
        check_processes(l, s, pool);
    }
    check_numbers(l, s, pool);
    check_servers(l, s, pool);
    check_health(l, s, pool);
    check_names(l, s, pool);
    check_peer_user(l, s, pool);
    check_balance(l, s, pool);
    check_multiplex(l, s, pool);
}

/* ---- all -------------------------------------------------------------------------------- */

static void check_required(struct load *l, const struct section *s)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        if (keys[i].section == s->kind && keys[i].required && !s->given[i].line)
            complain(&l->bad, s->place, "[%s %s] needs %s", schema_kind(s->kind)->name, s->name,
                     keys[i].name);
    }
}

static void check_any(struct load *l, enum schema_section kind, const char *what)
{
    for (size_t i = 0; i < l->n_sections; i++) {
        if (l->sections[i].kind == kind)
            return;
    }
    complain(&l->bad, (struct place){0, 1}, "there is no [%s], so %s", schema_kind(kind)->name,
             what);
}

void conf_check(struct load *l)
{
    struct names addresses = {0}, hosts = {0}, patterns = {0};

    if (!l->unread) {
        check_any(l, SCHEMA_LISTEN, "nothing to listen on");
        check_any(l, SCHEMA_SITE, "nothing to serve");
    }
    for (size_t i = 0; i < l->n_sections; i++) {
        const struct section *s = &l->sections[i];
        if (s->broken)
            continue;
        check_required(l, s);
        switch (s->kind) {
        case SCHEMA_LISTEN:
            check_listen(l, s, &addresses);
            break;
        case SCHEMA_SITE:
            check_site(l, s);
            check_hosts(l, s, &hosts, i);
            break;
        case SCHEMA_ROUTE:
            check_route(l, s);
            check_twice(l, s, &patterns, i);
            break;
        case SCHEMA_POOL:
            check_pool(l, s);
            break;
        case SCHEMA_GATEWAY:
            check_trusted(l, s);
            break;
        case SCHEMA_SECTIONS:
            break;
        }
    }
}
