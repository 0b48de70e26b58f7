/*
 * Servers by name: host:port and srv:NAME in connect.  A name is resolved when the gateway starts,
 * then every resolve_interval, or when its answer's TTL is over if that is sooner; its servers
 * come and go with its addresses.  While it cannot be resolved its servers stay, and it is tried
 * again with a growing delay.
 *
 * All of it is the main thread's, but for the pool's servers.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../gateway/log.h"
#include "address.h"
#include "dns.h"
#include "endpoints.h"
#include "pool_priv.h"

enum {
    RETRY_MIN_MS = 1000, /* doubles, up to resolve_interval */
    TTL_MIN_MS = 1000,
};

struct named {
    struct pool *pool;
    struct loop *loop;
    struct dns *dns;
    const struct conf_address *conf;
    const char *srv; /* the service's name; NULL: a host's */
    char host[ADDRESS_HOST];
    uint16_t port;
    struct endpoints now;   /* with their servers in the pool */
    struct endpoints found; /* so far in this round */
    struct named_target *targets;
    unsigned n_left;   /* targets without an answer */
    unsigned ttl_s;    /* the least so far, 0: none */
    const char *error; /* of this round, the last one there was */
    const char *said;  /* the error that the log has */
    unsigned retry_ms; /* the last delay */
    bool asked_once;   /* a round is over */
    bool changes;      /* what comes now is a change */
    struct timer timer;
};

/* One SRV record of the round under way. */
struct named_target {
    struct named *named;
    char host[ADDRESS_HOST];
    uint16_t port;
    struct endpoint like;
};

struct pool_names {
    unsigned n;
    struct named named[];
};

/* ---- servers come and go ---- */

static void say(const struct named *n, const struct endpoint *e, const char *what)
{
    log_line(n->changes ? CONF_LOG_NOTICE : CONF_LOG_INFO, "pool=%s server=%s %s%s",
             n->pool->conf->name, e->name, what, e->backup ? ", a backup" : "");
}

static bool add_server(struct named *n, struct endpoint *e)
{
    struct server_spec spec = {.name = e->name,
                               .addr = &e->addr,
                               .addr_len = e->addr_len,
                               .weight = e->weight,
                               .max = n->conf->max,
                               .backup = e->backup,
                               .slot = SERVER_NO_SLOT};

    e->server = pool_server_add(n->pool, &spec);
    if (e->server)
        say(n, e, "comes");
    return e->server != NULL;
}

/* What was found takes the place of what was there: first the new servers come, so that there is
 * somebody at any time.  Those for whom there was no memory come in the next round. */
static const char *apply(struct named *n)
{
    unsigned kept = 0;

    endpoints_match(&n->found, &n->now);
    for (unsigned i = 0; i < n->found.n; i++) {
        struct endpoint *e = &n->found.list[i];
        if (e->server || add_server(n, e))
            n->found.list[kept++] = *e;
    }
    for (unsigned i = 0; i < n->now.n; i++) {
        struct endpoint *e = &n->now.list[i];
        if (!e->server)
            continue;
        pool_server_retire(n->pool, e->server);
        say(n, e, "goes");
    }
    const char *error = kept < n->found.n ? gw_err_text(GW_ENO_MEMORY) : NULL;
    endpoints_fini(&n->now);
    n->now = n->found;
    n->now.n = kept;
    n->found = (struct endpoints){0};
    return error;
}

/* ---- the end of a round ---- */

static void plan_next(struct named *n, bool failed)
{
    uint64_t most_ms = (uint64_t)n->pool->conf->resolve_interval_ms, ms = most_ms;

    if (failed) {
        n->retry_ms = n->retry_ms ? n->retry_ms * 2 : RETRY_MIN_MS;
        n->retry_ms = n->retry_ms < most_ms ? n->retry_ms : (unsigned)most_ms;
        ms = n->retry_ms;
    } else {
        n->retry_ms = 0;
        if (n->ttl_s && (uint64_t)n->ttl_s * 1000 < most_ms)
            ms = (uint64_t)n->ttl_s * 1000;
    }
    timer_set(n->loop, &n->timer, ms > TTL_MIN_MS ? ms : TTL_MIN_MS);
}

static void log_outcome(struct named *n, const char *error)
{
    const char *pool = n->pool->conf->name, *name = n->conf->text;

    if (error && error != n->said)
        log_line(CONF_LOG_WARN, "pool=%s %s not resolved: %s; it has %u server%s", pool, name,
                 error, n->now.n, n->now.n == 1 ? "" : "s");
    else if (!error && n->said)
        log_line(CONF_LOG_NOTICE, "pool=%s %s resolved again", pool, name);
    n->said = error;
}

static void round_over(struct named *n, const char *error)
{
    if (error)
        endpoints_fini(&n->found);
    else
        error = apply(n);
    log_outcome(n, error || n->now.n ? error : "there is no such service (target .)");
    n->changes = true;
    plan_next(n, error != NULL);
    if (n->asked_once)
        return;
    n->asked_once = true;
    lock_take(&n->pool->mu);
    n->pool->n_unresolved--;
    lock_drop(&n->pool->mu);
    pool_serve_waiters(n->pool); /* who waited for it alone hears that the pool is down */
}

/* ---- host:port ---- */

static void take_addresses(struct named *n, const char *host, const struct endpoint *like,
                           const struct dns_address *found, unsigned n_found, unsigned ttl_s)
{
    for (unsigned i = 0; i < n_found; i++) {
        if (endpoints_add(&n->found, host, &found[i].addr, found[i].len, like) < 0)
            n->error = gw_err_text(GW_ENO_MEMORY);
    }
    if (ttl_s && (n->ttl_s == 0 || ttl_s < n->ttl_s))
        n->ttl_s = ttl_s;
}

static void host_found(void *arg, const char *error, const struct dns_address *found,
                       unsigned n_found, unsigned ttl_s)
{
    struct named *n = arg;
    struct endpoint like = {.weight = n->conf->weight, .backup = n->conf->backup};

    n->error = error;
    take_addresses(n, n->host, &like, found, n_found, ttl_s);
    round_over(n, n->error);
}

/* ---- srv:NAME ---- */

static void target_done(struct named *n)
{
    if (--n->n_left > 0)
        return;
    free(n->targets);
    n->targets = NULL;
    if (n->found.n)
        n->error = NULL; /* of some targets, which keep what they had */
    endpoints_rank(&n->found);
    round_over(n, n->error);
}

static void target_found(void *arg, const char *error, const struct dns_address *found,
                         unsigned n_found, unsigned ttl_s)
{
    struct named_target *t = arg;
    struct named *n = t->named;

    if (error) {
        log_line(CONF_LOG_WARN, "pool=%s %s: its target %s not resolved: %s",
                 n->pool->conf->name, n->conf->text, t->host, error);
        n->error = error;
        if (endpoints_keep(&n->found, &n->now, t->host, t->port, &t->like) < 0)
            n->error = gw_err_text(GW_ENO_MEMORY);
    }
    take_addresses(n, t->host, &t->like, found, n_found, ttl_s);
    target_done(n);
}

/* The targets to ask for, in n->targets; NULL: memory is out. */
static struct named_target *take_targets(struct named *n, const struct dns_service *found,
                                         unsigned n_found, unsigned *ret_n)
{
    struct named_target *list = calloc(n_found + 1, sizeof(*list));
    unsigned k = 0;

    for (unsigned i = 0; list && i < n_found; i++) {
        if (found[i].host[0] == '\0')
            continue; /* a single dot: "decidedly not available" */
        struct named_target *t = &list[k];
        t->named = n;
        t->port = found[i].port;
        (void)snprintf(t->host, sizeof(t->host), "%s", found[i].host);
        t->like = (struct endpoint){.target = k++,
                                    .priority = found[i].priority,
                                    .srv_weight = found[i].weight,
                                    .backup = n->conf->backup};
    }
    *ret_n = k;
    n->targets = list;
    return list;
}

static void services_found(void *arg, const char *error, const struct dns_service *found,
                           unsigned n_found, unsigned ttl_s)
{
    struct named *n = arg;
    struct named_target *t = NULL;
    unsigned n_targets = 0;

    n->error = error;
    n->ttl_s = ttl_s;
    if (!error && !(t = take_targets(n, found, n_found, &n_targets)))
        n->error = gw_err_text(GW_ENO_MEMORY);
    n->n_left = n_targets + 1; /* ourselves, until all are asked: answers may come at once */
    for (unsigned i = 0; t && i < n_targets; i++)
        dns_find_addresses(n->dns, t[i].host, t[i].port, target_found, &t[i]);
    target_done(n);
}

/* ---- rounds ---- */

static void round_begin(struct named *n)
{
    n->ttl_s = 0;
    n->error = NULL;
    if (n->srv)
        dns_find_services(n->dns, n->srv, services_found, n);
    else
        dns_find_addresses(n->dns, n->host, n->port, host_found, n);
}

static void is_time(struct loop *l, struct timer *t)
{
    (void)l;
    round_begin((struct named *)(void *)((char *)t - offsetof(struct named, timer)));
}

static unsigned count_names(const struct conf_pool *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->n_connect; i++)
        n += address_is_name(c->connect[i].text);
    return n;
}

bool pool_has_names(const struct pool *p)
{
    return count_names(p->conf) > 0;
}

static bool named_init(struct named *n, const struct conf_address *a)
{
    n->conf = a;
    n->timer.fn = is_time;
    if (strncmp(a->text, ADDRESS_SRV, sizeof(ADDRESS_SRV) - 1) == 0) {
        n->srv = a->text + sizeof(ADDRESS_SRV) - 1;
        return true;
    }
    return address_split(a->text, n->host, &n->port) == 0;
}

int pool_names_start(struct pool *p, struct loop *loop, struct dns *dns)
{
    unsigned n = count_names(p->conf);
    struct pool_names *names = calloc(1, sizeof(*names) + n * sizeof(names->named[0]));

    if (!names)
        return GW_ENO_MEMORY;
    p->names = names;
    for (unsigned i = 0; i < p->conf->n_connect; i++) {
        struct named *named = &names->named[names->n];
        if (!address_is_name(p->conf->connect[i].text) ||
            !named_init(named, &p->conf->connect[i]))
            continue;
        named->pool = p;
        named->loop = loop;
        named->dns = dns;
        names->n++;
    }
    lock_take(&p->mu);
    p->n_unresolved = names->n;
    lock_drop(&p->mu);
    for (unsigned i = 0; i < names->n; i++)
        round_begin(&names->named[i]);
    return 0;
}

void pool_names_stop(struct pool *p)
{
    struct pool_names *names = p->names;

    for (unsigned i = 0; names && i < names->n; i++) {
        struct named *n = &names->named[i];
        timer_clear(&n->timer);
        endpoints_fini(&n->now);
        endpoints_fini(&n->found);
        free(n->targets);
    }
    free(names);
    p->names = NULL;
}
