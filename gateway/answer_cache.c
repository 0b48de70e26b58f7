#include "answer_cache.h"

#include <stdlib.h>
#include <sys/random.h>

#include "lock.h"
#include "siphash.h"

enum {
    BUCKETS_MAX = 64 * 1024,
    BUCKETS_MIN = 64,
    BODY_FIRST = 4096, /* room for a body of unknown length, doubled as it grows */
};

/* Field keys: I set when made   o its maker's, then constant   m under the cache's mu */
struct answer {
    struct kept_answer kept;      /* o  what callers see; first, so that one is the other */
    struct slice key;             /* I */
    uint64_t hash;                /* I */
    struct file_state file;       /* I */
    uint64_t until_ms;            /* I  0: no limit of time */
    uint8_t *body;                /* o  kept.body, to be written */
    size_t body_cap;              /* o */
    size_t head_size;             /* I  bytes of this, its key and its fields */
    unsigned n_refs;              /* m  who has it, and the table */
    struct answer *next;          /* m  of its bucket */
    struct answer *newer, *older; /* m  by last use */
};

struct answer_cache {
    uint64_t size, entry;           /* I */
    struct siphash_key hash_key;    /* I  so that nobody can choose keys of one bucket */
    unsigned n_buckets;             /* I  a power of two */
    struct lock mu;                 /*    leaf */
    struct answer **buckets;        /* m */
    struct answer *newest, *oldest; /* m */
    uint64_t used;                  /* m  of all answers there are */
};

struct file_state file_state_of(const struct stat *st)
{
    return (struct file_state){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool file_state_same(const struct file_state *a, const struct file_state *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

static const struct file_state no_file;

/* ---- the cache ---- */

struct answer_cache *answer_cache_new(uint64_t size, uint64_t entry)
{
    struct answer_cache *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->size = size;
    c->entry = entry;
    c->n_buckets = BUCKETS_MIN;
    while (c->n_buckets < BUCKETS_MAX && c->n_buckets < size / BODY_FIRST)
        c->n_buckets *= 2;
    c->buckets = calloc(c->n_buckets, sizeof(struct answer *));
    if (!c->buckets || getrandom(&c->hash_key, sizeof(c->hash_key), 0) < 0) {
        free((void *)c->buckets);
        free(c);
        return NULL;
    }
    lock_init(&c->mu);
    return c;
}

static void answer_free(struct answer *a)
{
    free(a->body);
    free(a);
}

void answer_cache_free(struct answer_cache *c)
{
    if (!c)
        return;
    while (c->newest) {
        struct answer *a = c->newest;
        c->newest = a->older;
        answer_free(a);
    }
    lock_fini(&c->mu);
    free((void *)c->buckets);
    free(c);
}

uint64_t answer_cache_used(struct answer_cache *c)
{
    lock_take(&c->mu);
    uint64_t used = c->used;
    lock_drop(&c->mu);
    return used;
}

/* ---- the table ---- */

static struct answer **bucket_of(struct answer_cache *c, uint64_t hash)
{
    return &c->buckets[hash & (c->n_buckets - 1)];
}

static void use_unlink_locked(struct answer_cache *c, struct answer *a) REQUIRES(c->mu)
{
    *(a->newer ? &a->newer->older : &c->newest) = a->older;
    *(a->older ? &a->older->newer : &c->oldest) = a->newer;
    a->newer = a->older = NULL;
}

static void use_front_locked(struct answer_cache *c, struct answer *a) REQUIRES(c->mu)
{
    a->older = c->newest;
    if (a->older)
        a->older->newer = a;
    else
        c->oldest = a;
    c->newest = a;
}

/* One reference less; *gone collects those that nobody has, to be freed without the lock. */
static void unref_locked(struct answer_cache *c, struct answer *a, struct answer **gone)
    REQUIRES(c->mu)
{
    if (--a->n_refs)
        return;
    c->used -= a->head_size + a->body_cap;
    a->next = *gone;
    *gone = a;
}

static void remove_locked(struct answer_cache *c, struct answer *a, struct answer **gone)
    REQUIRES(c->mu)
{
    struct answer **at = bucket_of(c, a->hash);

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    use_unlink_locked(c, a);
    unref_locked(c, a, gone);
}

static struct answer *find_locked(struct answer_cache *c, uint64_t hash, struct slice key)
    REQUIRES(c->mu)
{
    struct answer *a = *bucket_of(c, hash);

    while (a && !(a->hash == hash && slice_eq(a->key, key)))
        a = a->next;
    return a;
}

/* n more bytes are held; false: there is no room for them. */
static bool reserve_locked(struct answer_cache *c, uint64_t n, struct answer **gone)
    REQUIRES(c->mu)
{
    while (c->oldest && c->used + n > c->size)
        remove_locked(c, c->oldest, gone);
    if (c->used + n > c->size)
        return false;
    c->used += n;
    return true;
}

static void free_all(struct answer *gone)
{
    while (gone) {
        struct answer *a = gone;
        gone = a->next;
        answer_free(a);
    }
}

static uint64_t hash_of(const struct answer_cache *c, struct slice key)
{
    return siphash(c->hash_key, key.p, key.n).v[0];
}

const struct kept_answer *answer_cache_get(struct answer_cache *c, struct slice key,
                                           const struct file_state *file, uint64_t now_ms)
{
    uint64_t hash = hash_of(c, key);
    struct answer *gone = NULL;

    lock_take(&c->mu);
    struct answer *a = find_locked(c, hash, key);
    if (a && (!file_state_same(&a->file, file ? file : &no_file) ||
              (a->until_ms && now_ms >= a->until_ms))) {
        remove_locked(c, a, &gone);
        a = NULL;
    }
    if (a) {
        a->n_refs++;
        use_unlink_locked(c, a);
        use_front_locked(c, a);
    }
    lock_drop(&c->mu);
    free_all(gone);
    return a ? &a->kept : NULL;
}

void answer_cache_forget(struct answer_cache *c, struct slice key)
{
    uint64_t hash = hash_of(c, key);
    struct answer *gone = NULL;

    lock_take(&c->mu);
    struct answer *a = find_locked(c, hash, key);
    if (a)
        remove_locked(c, a, &gone);
    lock_drop(&c->mu);
    free_all(gone);
}

void answer_cache_drop(struct answer_cache *c, const struct kept_answer *k)
{
    struct answer *a = (struct answer *)(uintptr_t)k, *gone = NULL;

    if (!k)
        return;
    lock_take(&c->mu);
    unref_locked(c, a, &gone);
    lock_drop(&c->mu);
    free_all(gone);
}

/* ---- making ---- */

static bool reserve(struct answer_cache *c, uint64_t n)
{
    struct answer *gone = NULL;

    lock_take(&c->mu);
    bool ok = reserve_locked(c, n, &gone);
    lock_drop(&c->mu);
    free_all(gone);
    return ok;
}

static size_t copy(char **at, struct slice from, struct slice *ret)
{
    *ret = slice_of(*at, from.n);
    if (from.n)
        memcpy(*at, from.p, from.n);
    *at += from.n;
    return from.n;
}

static struct answer *answer_new(struct slice key, const struct field *fields, size_t n_fields)
{
    size_t size = sizeof(struct answer) + n_fields * sizeof(struct field) + key.n;

    for (size_t i = 0; i < n_fields; i++)
        size += fields[i].name.n + fields[i].value.n;
    struct answer *a = calloc(1, size);
    if (!a)
        return NULL;
    struct field *copies = (struct field *)(void *)(a + 1);
    char *at = (char *)(copies + n_fields);
    for (size_t i = 0; i < n_fields; i++) {
        copy(&at, fields[i].name, &copies[i].name);
        copy(&at, fields[i].value, &copies[i].value);
    }
    copy(&at, key, &a->key);
    a->kept.fields = copies;
    a->kept.n_fields = n_fields;
    a->head_size = size;
    a->n_refs = 1;
    return a;
}

/* Room for a body of n bytes; what is there stays. */
static bool body_room(struct answer_cache *c, struct answer *a, size_t n)
{
    size_t cap = a->body_cap ? a->body_cap : BODY_FIRST;

    if (n > c->entry)
        return false;
    while (cap < n)
        cap *= 2;
    if (cap > c->entry)
        cap = c->entry;
    if (cap <= a->body_cap)
        return true;
    if (!reserve(c, cap - a->body_cap))
        return false;
    uint8_t *body = realloc(a->body, cap);
    if (body) {
        a->body = body;
        a->body_cap = cap;
        return true;
    }
    lock_take(&c->mu);
    c->used -= cap - a->body_cap;
    lock_drop(&c->mu);
    return false;
}

/* A body of known length gets just its room. */
static bool body_exact(struct answer_cache *c, struct answer *a, size_t n)
{
    if (n > c->entry || !reserve(c, n))
        return false;
    a->body_cap = n; /* counted, also if there is no memory for it */
    a->body = malloc(n ? n : 1);
    return a->body != NULL;
}

struct kept_answer *answer_cache_make(struct answer_cache *c, struct slice key,
                                      const struct file_state *file, const struct field *fields,
                                      size_t n_fields, int64_t n_body, uint64_t now_ms,
                                      uint64_t for_ms)
{
    struct answer *a = answer_new(key, fields, n_fields);

    if (!a)
        return NULL;
    if (!reserve(c, a->head_size)) {
        answer_free(a);
        return NULL;
    }
    a->hash = hash_of(c, a->key);
    a->file = file ? *file : no_file;
    a->kept.made_ms = now_ms;
    a->until_ms = for_ms ? now_ms + for_ms : 0;
    if (n_body >= 0 && !body_exact(c, a, (size_t)n_body)) {
        answer_cache_drop(c, &a->kept);
        return NULL;
    }
    return &a->kept;
}

bool answer_cache_add(struct answer_cache *c, struct kept_answer *k, const void *p, size_t n)
{
    struct answer *a = (struct answer *)k;

    if (n > SIZE_MAX - k->n_body || !body_room(c, a, k->n_body + n)) {
        answer_cache_drop(c, k);
        return false;
    }
    if (n)
        memcpy(a->body + k->n_body, p, n);
    k->n_body += n;
    return true;
}

/* What doubling left over is given back. */
static void body_trim(struct answer_cache *c, struct answer *a)
{
    size_t n = a->kept.n_body, over = a->body_cap - n;

    if (!over || !n)
        return;
    uint8_t *body = realloc(a->body, n);
    if (!body)
        return;
    a->body = body;
    a->body_cap = n;
    lock_take(&c->mu);
    c->used -= over;
    lock_drop(&c->mu);
}

void answer_cache_put(struct answer_cache *c, struct kept_answer *k)
{
    struct answer *a = (struct answer *)k, *gone = NULL;

    body_trim(c, a);
    k->body = a->body;
    lock_take(&c->mu);
    struct answer *old = find_locked(c, a->hash, a->key);
    if (old)
        remove_locked(c, old, &gone);
    struct answer **at = bucket_of(c, a->hash);
    a->next = *at;
    *at = a;
    use_front_locked(c, a);
    lock_drop(&c->mu);
    free_all(gone);
}
