/*
 * gateway/auth_cache.h - passwords that were right a moment ago, as keyed hashes.
 *
 * Size     4096 entries in sets of four; the oldest of a set makes room
 * Units    milliseconds, monotonic
 * Threads  any; it has a lock of its own, a leaf
 */
#ifndef GATEWAY_AUTH_CACHE_H
#define GATEWAY_AUTH_CACHE_H

#include <stdbool.h>

#include "lock.h"
#include "siphash.h"

enum { AUTH_CACHE_SETS = 1024, AUTH_CACHE_WAYS = 4, AUTH_CACHE_MS = 60 * 1000 };

struct auth_cache_entry {
    struct siphash_tag tag;
    uint64_t until_ms; /* 0: free */
};

struct auth_cache {
    struct lock mu;
    struct auth_cache_entry sets[AUTH_CACHE_SETS][AUTH_CACHE_WAYS]; /* m */
};

void auth_cache_init(struct auth_cache *c);
void auth_cache_fini(struct auth_cache *c);

bool auth_cache_has(struct auth_cache *c, struct siphash_tag tag, uint64_t now_ms);
void auth_cache_put(struct auth_cache *c, struct siphash_tag tag, uint64_t now_ms);

#endif
