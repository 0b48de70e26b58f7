/*
 * gateway/filter_cache.h - what filters made of files, kept in memory for all workers.
 *
 * Key      whatever else the answer may depend on: route, scheme, host, path.  There is one
 *          answer per key; asked for with another state of the file it is dropped
 * Units    bytes; loop milliseconds
 * Limits   the answers, those that are being sent and those that are being made, together hold
 *          at most `size`; for a new one those go that nobody asked for the longest time
 * Threads  any; one lock, a leaf, for memory work only.  An answer being made is its maker's
 *          alone; a kept one does not change
 */
#ifndef GATEWAY_FILTER_CACHE_H
#define GATEWAY_FILTER_CACHE_H

#include <sys/stat.h>

#include "slice.h"

struct filter_cache;

/* The state of a file: another one is another file. */
struct filter_file {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified, changed;
};

struct filter_kept {
    const struct field *fields;
    size_t n_fields;
    const uint8_t *body;
    size_t n_body;
    uint64_t made_ms;
};

/* size 0: nothing is kept.  NULL: memory is out. */
struct filter_cache *filter_cache_new(uint64_t size, uint64_t entry);
void filter_cache_free(struct filter_cache *c); /* nobody holds an answer any more */

struct filter_file filter_file_of(const struct stat *st);
bool filter_file_same(const struct filter_file *a, const struct filter_file *b);

/* The answer for key and file, or NULL.  To be given back with filter_cache_drop(). */
const struct filter_kept *filter_cache_get(struct filter_cache *c, struct slice key,
                                           const struct filter_file *file, uint64_t now_ms);

/*
 * Begin an answer.  Everything is copied.  n_body: what its body will have, -1: unknown; for_ms:
 * how long it may be given, 0: as long as the file stays.  NULL: it is not to be kept, being too
 * large, or memory is out.
 */
struct filter_kept *filter_cache_make(struct filter_cache *c, struct slice key,
                                      const struct filter_file *file,
                                      const struct field *fields, size_t n_fields,
                                      int64_t n_body, uint64_t now_ms, uint64_t for_ms);
/* Add body bytes.  false: it became too large, and is gone. */
bool filter_cache_add(struct filter_cache *c, struct filter_kept *k, const void *p, size_t n);
/* It is complete: keep it, in place of another of its key.  Taken over. */
void filter_cache_put(struct filter_cache *c, struct filter_kept *k);
/* Give back one that was got, or that is not to be kept.  NULL is fine. */
void filter_cache_drop(struct filter_cache *c, const struct filter_kept *k);

/* Bytes held, for tests. */
uint64_t filter_cache_used(struct filter_cache *c);

#endif
