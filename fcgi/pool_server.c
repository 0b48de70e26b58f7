/*
 * A pool's servers: added, retired, and the state of their processes.
 */
#include <stdlib.h>
#include <string.h>

#include "../gateway/siphash.h"
#include "pool_check.h"

/* Not secret: the same key finds the same server after a restart, and on another machine. */
static const struct siphash_key name_key = {{0x6832636769, 0x706f6f6c}};

static struct fcgi_server *server_struct_locked(struct pool *p) REQUIRES(p->mu)
{
    struct fcgi_server *sv = p->free_servers;

    if (sv) {
        p->free_servers = sv->next;
        memset(sv, 0, sizeof(*sv)); /* its lists are empty */
    } else {
        sv = calloc(1, sizeof(*sv) + 2 * p->n_workers * sizeof(struct fcgi_conn *));
    }
    if (sv)
        sv->shared = sv->idle + p->n_workers;
    return sv;
}

static bool servers_grow_locked(struct pool *p) REQUIRES(p->mu)
{
    unsigned cap = p->cap_servers ? p->cap_servers * 2 : 4;

    if (p->n_servers < p->cap_servers)
        return true;
    struct fcgi_server **more = realloc((void *)p->servers, cap * sizeof(struct fcgi_server *));
    if (!more)
        return false;
    p->servers = more;
    more = realloc((void *)p->candidates, cap * sizeof(struct fcgi_server *));
    if (!more)
        return false;
    p->candidates = more;
    p->cap_servers = cap;
    return true;
}

static void server_free_locked(struct pool *p, struct fcgi_server *sv) REQUIRES(p->mu)
{
    free(sv->name);
    sv->name = NULL;
    sv->next = p->free_servers;
    p->free_servers = sv;
}

static struct fcgi_server *server_add_locked(struct pool *p, const struct server_spec *spec)
    REQUIRES(p->mu)
{
    struct fcgi_server *sv = servers_grow_locked(p) ? server_struct_locked(p) : NULL;

    if (!sv)
        return NULL;
    sv->name = strdup(spec->name);
    if (!sv->name) {
        server_free_locked(p, sv);
        return NULL;
    }
    sv->pool = p;
    sv->slot = spec->slot;
    sv->serial = ++p->serial;
    sv->addr.storage = *spec->addr;
    sv->addr_len = spec->addr_len;
    sv->weight = spec->weight ? spec->weight : 1;
    sv->max = spec->max ? spec->max : p->max;
    sv->backup = spec->backup;
    p->n_backup += spec->backup;
    sv->state = SERVER_UP;
    sv->hash = siphash(name_key, sv->name, strlen(sv->name)).v[0];
    sv->index = p->n_servers;
    p->servers[p->n_servers++] = sv;
    checks_poke_locked(p);
    return sv;
}

struct fcgi_server *pool_server_add(struct pool *p, const struct server_spec *spec)
{
    lock_take(&p->mu);
    struct fcgi_server *sv = server_add_locked(p, spec);
    lock_drop(&p->mu);
    if (sv)
        pool_serve_waiters(p);
    return sv;
}

void server_forget_locked(struct pool *p, struct fcgi_server *sv)
{
    struct fcgi_server **at = &p->retired;

    if (sv->state != SERVER_RETIRED || sv->n_conns || sv->n_in_flight)
        return;
    while (*at != sv)
        at = &(*at)->next;
    *at = sv->next;
    server_free_locked(p, sv);
}

void server_shut_idle_locked(struct pool *p, const struct fcgi_server *sv)
{
    for (unsigned i = 0; !sv && i < p->n_servers; i++)
        server_shut_idle_locked(p, p->servers[i]);
    for (unsigned w = 0; sv && w < p->n_workers; w++) {
        for (struct fcgi_conn *fc = sv->idle[w]; fc; fc = fc->next) {
            shutdown(fc->src.fd, SHUT_RDWR);
            fc->shut = true;
        }
    }
}

void pool_server_retire(struct pool *p, struct fcgi_server *sv)
{
    lock_take(&p->mu);
    sv->state = SERVER_RETIRED;
    p->n_backup -= sv->backup;
    struct fcgi_server *last = p->servers[--p->n_servers];
    last->index = sv->index;
    p->servers[sv->index] = last;
    sv->next = p->retired;
    p->retired = sv;
    server_shut_idle_locked(p, sv);
    server_forget_locked(p, sv);
    lock_drop(&p->mu);
    pool_serve_waiters(p);
}

bool server_usable_locked(const struct fcgi_server *sv)
{
    const struct pool *p = sv->pool;
    /* Who waits in the backlog of a process that starts waits for that one.  So only where no
     * other is up, where there is a backlog, and where it may be hoped for. */
    bool starts =
        sv->state == SERVER_STARTING && p->n_up == 0 && !p->conf->listen_self && !sv->doubtful;

    if (sv->state != SERVER_UP && !starts)
        return false;
    return !sv->out || (!server_is_checked_locked(sv) && !sv->probing &&
                        sv->out_until_ms <= clock_now_ms());
}

bool server_has_room_locked(const struct fcgi_server *sv)
{
    return sv->n_in_flight < sv->max && (sv->n_idle || sv->n_conns < sv->max);
}
