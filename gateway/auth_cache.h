/*
 * gateway/auth_cache.h - passwords that were right a moment ago, or today, as keyed hashes.
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

enum {
    AUTH_CACHE_SETS = 1024,
    AUTH_CACHE_WAYS = 4,
    AUTH_CACHE_MS = 60 * 1000,             /* right without being verified again */
    AUTH_CACHE_KNOWN_MS = 24 * 3600 * 1000 /* known to have been right */
};

enum auth_cached { AUTH_CACHED_NOT, AUTH_CACHED_KNOWN, AUTH_CACHED_RIGHT };

struct auth_cache_entry {
    struct siphash_tag tag;
    uint64_t until_ms; /* to be AUTH_CACHED_RIGHT; 0: free */
};

struct auth_cache {
    struct lock mu;
    struct auth_cache_entry sets[AUTH_CACHE_SETS][AUTH_CACHE_WAYS]; /* m */
};

void auth_cache_init(struct auth_cache *c);
void auth_cache_fini(struct auth_cache *c);

/* tag: the keyed hash of file, its content, user and password. */
enum auth_cached auth_cache_has(struct auth_cache *c, struct siphash_tag tag, uint64_t now_ms);
/* It was verified, and right, at now_ms. */
void auth_cache_put(struct auth_cache *c, struct siphash_tag tag, uint64_t now_ms);

#endif
