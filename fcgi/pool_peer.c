/*
 * Whose a pool's servers may be: peer_user, looked at for each connection that is opened.
 */
#include <string.h>
#include <unistd.h>

#include "../gateway/log.h"
#include "identity.h"
#include "peer.h"
#include "pool_priv.h"

static int find_uid(struct pool *p, const char *name, FILE *errors_to)
{
    struct identity id;
    struct arena arena;

    arena_init(&arena);
    int err = identity_find(&arena, name, &id);
    arena_fini(&arena);
    if (err == 0) {
        p->peer_user = id.uid;
        return 0;
    }
    fprintf(errors_to, "pool %s: user %s: %s\n", p->conf->name, name, strerror(err));
    return -1;
}

int pool_peers_init(struct pool *p, FILE *errors_to)
{
    const struct conf_pool *c = p->conf;
    const char *name = c->peer_user ? c->peer_user : c->user;

    if (!c->peer_user && !(c->spawn && c->listen_self))
        return 0;
    p->peers = c->listen_self ? POOL_PEERS_LISTENER : POOL_PEERS_OWNER;
    p->peer_user = geteuid(); /* processes without a user of their own are the gateway's */
    return name ? find_uid(p, name, errors_to) : 0;
}

static int judge(const struct fcgi_server *sv, int rc, const char *text)
{
    if (rc == GW_EBACKEND_PEER)
        log_line(CONF_LOG_ERROR, "pool=%s server=%s not trusted: %s", sv->pool->conf->name,
                 sv->name, text);
    return rc;
}

int pool_peer_before(const struct fcgi_server *sv)
{
    const struct pool *p = sv->pool;
    char text[PEER_TEXT];

    if (p->peers != POOL_PEERS_OWNER || sv->addr.sa.sa_family != AF_UNIX)
        return 0;
    return judge(sv, peer_owner(sv->addr.un.sun_path, p->peer_user, text), text);
}

int pool_peer_after(const struct fcgi_server *sv, int fd)
{
    const struct pool *p = sv->pool;
    char text[PEER_TEXT];

    if (p->peers != POOL_PEERS_LISTENER || sv->addr.sa.sa_family != AF_UNIX)
        return 0;
    return judge(sv, peer_listener(fd, p->peer_user, text), text);
}

void pool_peers_look(struct pool *p)
{
    for (unsigned i = 0; i < p->n_servers; i++)
        (void)pool_peer_before(p->servers[i]); /* who is not there yet may come */
}
