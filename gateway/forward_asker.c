/*
 * Who asks a pool: for the turns of its queue, and the choice of a server.
 */
#include "forward.h"
#include "remote.h"
#include "siphash.h"

/* Not secret: the same value finds the same server after a restart, and on another machine. */
static const struct siphash_key value_key = {{0x6832636769, 0x6669656c64}};

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
    struct cidr_address client = remote_address(f->s);
    a->client = remote_key(&client);
    if (c->balance != CONF_BALANCE_HASH)
        return;
    a->balance_key =
        c->balance_field.n ? field_key(f->s, c->balance_field, a->client) : a->client;
}
