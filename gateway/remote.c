#include "remote.h"

#include "conn.h"
#include "forwarded.h"

bool remote_is_trusted(const struct conf_gateway *conf, const struct conn *c)
{
    struct cidr_address peer = cidr_address_of(&c->peer.sa);

    /* Of a client that a PROXY header does not name nobody can say that it is a proxy. */
    return conf->trusted_field != CONF_TRUST_NONE && !c->is_unnamed &&
           cidr_set_find(&conf->trusted_proxies, &peer) != NULL;
}

int remote_take(struct stream *s, const struct conf_gateway *conf)
{
    struct forwarded f;

    forwarded_walk(s->req.fields, s->req.n_fields, conf->trusted_field, &conf->trusted_proxies,
                   &f);
    if (conf->trusted_proto && f.proto.n)
        s->req.scheme = f.proto;
    if (conf->trusted_host && f.host.n)
        s->req.authority = f.host;
    if (!conf->trusted_address || !f.known)
        return 0;
    struct remote *r = arena_alloc(&s->arena, sizeof(*r));
    if (!r)
        return GW_ENO_MEMORY;
    *r = (struct remote){.address = f.address, .port = f.port};
    cidr_address_text(&f.address, r->text);
    s->remote = r;
    return 0;
}

const char *remote_text(const struct stream *s)
{
    return s->remote ? s->remote->text : s->conn->peer_text;
}

uint16_t remote_port(const struct stream *s)
{
    return s->remote ? s->remote->port : s->conn->peer_port;
}

struct cidr_address remote_address(const struct stream *s)
{
    return s->remote ? s->remote->address : cidr_address_of(&s->conn->peer.sa);
}

uint64_t remote_key(const struct cidr_address *a)
{
    unsigned n = a->family == CIDR_V4 ? 4 : a->family == CIDR_V6 ? 8 : 0;
    uint64_t key = a->family == CIDR_V4; /* apart from every IPv6 that begins with 32 zeros */

    for (unsigned i = 0; i < n; i++)
        key = key << 8 | a->ip[i];
    return key;
}
