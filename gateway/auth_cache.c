#include "auth_cache.h"

void auth_cache_init(struct auth_cache *c)
{
    memset(c->sets, 0, sizeof(c->sets));
    lock_init(&c->mu);
}

void auth_cache_fini(struct auth_cache *c)
{
    lock_fini(&c->mu);
}

/* The tag is the output of a keyed hash, so neither its spread nor the time a comparison takes
 * is in a client's hands. */
static struct auth_cache_entry *set_of(struct auth_cache *c, struct siphash_tag tag)
{
    return c->sets[tag.v[0] % AUTH_CACHE_SETS];
}

static bool same(struct siphash_tag a, struct siphash_tag b)
{
    return a.v[0] == b.v[0] && a.v[1] == b.v[1];
}

enum auth_cached auth_cache_has(struct auth_cache *c, struct siphash_tag tag, uint64_t now_ms)
{
    struct auth_cache_entry *set = set_of(c, tag);
    uint64_t until_ms = 0;

    lock_take(&c->mu);
    for (unsigned i = 0; i < AUTH_CACHE_WAYS; i++) {
        if (set[i].until_ms && same(set[i].tag, tag))
            until_ms = set[i].until_ms;
    }
    lock_drop(&c->mu);
    if (until_ms > now_ms)
        return AUTH_CACHED_RIGHT;
    return until_ms && until_ms + AUTH_CACHE_KNOWN_MS - AUTH_CACHE_MS > now_ms
               ? AUTH_CACHED_KNOWN
               : AUTH_CACHED_NOT;
}

void auth_cache_put(struct auth_cache *c, struct siphash_tag tag, uint64_t now_ms)
{
    struct auth_cache_entry *set = set_of(c, tag);
    unsigned at = 0;

    lock_take(&c->mu);
    for (unsigned i = 0; i < AUTH_CACHE_WAYS; i++) {
        if (set[i].until_ms && same(set[i].tag, tag)) {
            at = i;
            break;
        }
        if (set[i].until_ms < set[at].until_ms)
            at = i;
    }
    set[at] = (struct auth_cache_entry){tag, now_ms + AUTH_CACHE_MS};
    lock_drop(&c->mu);
}
