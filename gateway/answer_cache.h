/*
 * gateway/answer_cache.h - answers of applications, kept in memory for all workers: what filters
 * made of files, or of a head only what is worth remembering.
 *
 * Key      whatever the answer may depend on: route, scheme, host, path; but for a file, the
 *          state of which is looked at apart.  There is one answer per key; asked for with
 *          another state it is dropped
 * Units    bytes; loop milliseconds
 * Limits   the answers, those that are being sent and those that are being made, together hold
 *          at most `size`; for a new one those go that nobody asked for the longest time
 * Threads  any; one lock, a leaf, for memory work only.  An answer being made is its maker's
 *          alone; a kept one does not change
 */
#ifndef GATEWAY_ANSWER_CACHE_H
#define GATEWAY_ANSWER_CACHE_H

#include <sys/stat.h>

#include "slice.h"

struct answer_cache;

/* The state of a file: another one is another file. */
struct file_state {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified, changed;
};

struct kept_answer {
    const struct field *fields;
    size_t n_fields;
    const uint8_t *body;
    size_t n_body;
    uint64_t made_ms;
};

/* size 0: nothing is kept.  NULL: memory is out. */
struct answer_cache *answer_cache_new(uint64_t size, uint64_t entry);
void answer_cache_free(struct answer_cache *c); /* nobody holds an answer any more */

struct file_state file_state_of(const struct stat *st);
bool file_state_same(const struct file_state *a, const struct file_state *b);

/* The answer for key and file (NULL: of no file), or NULL.  To be given back with
 * answer_cache_drop(). */
const struct kept_answer *answer_cache_get(struct answer_cache *c, struct slice key,
                                           const struct file_state *file, uint64_t now_ms);

/*
 * Begin an answer.  Everything is copied.  n_body: what its body will have, -1: unknown; for_ms:
 * how long it may be given, 0: as long as the file stays.  NULL: it is not to be kept, being too
 * large, or memory is out.
 */
struct kept_answer *answer_cache_make(struct answer_cache *c, struct slice key,
                                      const struct file_state *file, const struct field *fields,
                                      size_t n_fields, int64_t n_body, uint64_t now_ms,
                                      uint64_t for_ms);
/* Add body bytes.  false: it became too large, and is gone. */
bool answer_cache_add(struct answer_cache *c, struct kept_answer *k, const void *p, size_t n);
/* It is complete: keep it, in place of another of its key.  Taken over. */
void answer_cache_put(struct answer_cache *c, struct kept_answer *k);
/* The answer for key is true no longer. */
void answer_cache_forget(struct answer_cache *c, struct slice key);
/* Give back one that was got, or that is not to be kept.  NULL is fine. */
void answer_cache_drop(struct answer_cache *c, const struct kept_answer *k);

/* Bytes held, for tests. */
uint64_t answer_cache_used(struct answer_cache *c);

#endif
