/*
 * Who asks a pool: for the turns of its queue, and the choice of a server.
 */
#include "conn.h"
#include "forward.h"
#include "siphash.h"

/* Not secret: the same value finds the same server after a restart, and on another machine. */
static const struct siphash_key value_key = {{0x6832636769, 0x6669656c64}};

/* IPv4 as it is, also where it came as IPv6; IPv6 by its first 64 bits, since whoever has one
 * address of a /64 has all of them; 0 for all on a unix socket. */
uint64_t client_key(const union sockaddr_any *peer)
{
    const uint8_t *a;
    uint64_t key = 0;

    if (peer->sa.sa_family == AF_INET)
        return 1ULL << 32 | ntohl(peer->in.sin_addr.s_addr);
    if (peer->sa.sa_family != AF_INET6)
        return 0;
    a = peer->in6.sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr))
        return 1ULL << 32 | (uint64_t)a[12] << 24 | (uint64_t)a[13] << 16 |
               (uint64_t)a[14] << 8 | a[15];
    for (int i = 0; i < 8; i++)
        key = key << 8 | a[i];
    return key;
}

static uint64_t field_key(const struct stream *s, struct slice name, uint64_t none)
{
    for (size_t i = 0; i < s->req.n_fields; i++) {
        const struct field *f = &s->req.fields[i];
        if (slice_ieq(f->name, name))
            return siphash(value_key, f->value.p, f->value.n).v[0];
    }
    return none;
}

void forward_asker(struct forward *f)
{
    const struct conf_pool *c = pool_conf(f->pool);
    struct fcgi_asker *a = &f->asker;

    /* The site stands for its owner.  It lives as long as the pool. */
    a->tenant = (uint64_t)(uintptr_t)f->s->site;
    a->client = client_key(&f->s->conn->peer);
    if (c->balance != CONF_BALANCE_HASH)
        return;
    a->balance_key =
        c->balance_field.n ? field_key(f->s, c->balance_field, a->client) : a->client;
}
