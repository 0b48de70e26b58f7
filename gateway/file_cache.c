/*
 * A table of chains by the hash of root, path and policy on links, and a list in the order of
 * use.  That there is nothing is known for one turn only: for names that clients make up it is
 * of no use, for the siblings of a file (style.css.br) that many ask for at once it is.  Such
 * entries are few and have a list of their own, so that no flood of them drives files out.
 */
#include "file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "beneath.h"
#include "siphash.h"

enum {
    N_ABSENT = 64,
    KEY_MAX = 1024, /* longer ones are not kept */
    /* A file that was written in the second of its date, or the one before, may be written again
     * without a word in st: some file systems count in steps of two. */
    SETTLED_S = 2,
};

struct entry {
    struct entry *next_same; /* the chain of its hash */
    struct entry *older, *newer;
    struct open_file *file; /* NULL: nothing is there, */
    int err;                /* and this is why */
    uint64_t walked_ms;
    uint64_t turn; /* looked at in */
    uint64_t hash;
    size_t key_len;
    char key[];
};

struct entries {
    struct entry *oldest, *newest;
    unsigned n, max;
};

struct file_cache {
    struct loop *loop;
    struct file_cache_limits limits;
    struct siphash_key secret; /* clients choose the paths */
    struct entries files, absent;
    size_t memory; /* of limits.memory */
    size_t mask;
    struct entry *chains[];
};

struct file_cache *file_cache_new(struct loop *loop, const struct file_cache_limits *limits)
{
    size_t n = 64;

    if (!limits->n_files)
        return NULL;
    while (n < limits->n_files)
        n *= 2;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): of pointers */
    struct file_cache *fc = calloc(1, sizeof(*fc) + n * sizeof(fc->chains[0]));
    if (!fc)
        return NULL;
    fc->loop = loop;
    fc->limits = *limits;
    fc->files.max = limits->n_files;
    fc->absent.max = N_ABSENT;
    fc->mask = n - 1;
    if (getrandom(&fc->secret, sizeof(fc->secret), 0) != sizeof(fc->secret)) {
        free(fc);
        return NULL;
    }
    return fc;
}

/* ---- entries ---- */

static struct entries *entries_of(struct file_cache *fc, const struct entry *e)
{
    return e->file ? &fc->files : &fc->absent;
}

static void list_remove(struct entries *l, struct entry *e)
{
    *(e->older ? &e->older->newer : &l->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &l->newest) = e->older;
    l->n--;
}

static void list_add(struct entries *l, struct entry *e)
{
    e->newer = NULL;
    e->older = l->newest;
    *(l->newest ? &l->newest->newer : &l->oldest) = e;
    l->newest = e;
    l->n++;
}

static void entry_drop(struct file_cache *fc, struct entry *e)
{
    struct entry **at = &fc->chains[e->hash & fc->mask];

    while (*at != e)
        at = &(*at)->next_same;
    *at = e->next_same;
    list_remove(entries_of(fc, e), e);
    if (e->file) {
        e->file->in_cache = false;
        fc->memory -= e->file->bytes ? (size_t)e->file->st.st_size : 0;
    }
    open_file_unref(e->file);
    free(e);
}

void file_cache_free(struct file_cache *fc)
{
    if (!fc)
        return;
    while (fc->files.oldest)
        entry_drop(fc, fc->files.oldest);
    while (fc->absent.oldest)
        entry_drop(fc, fc->absent.oldest);
    free(fc);
}

/* With a reference of its own to f; NULL: there is nothing, says err. */
static void entry_add(struct file_cache *fc, struct slice key, uint64_t hash,
                      struct open_file *f, int err)
{
    struct entry *e = malloc(sizeof(*e) + key.n);

    if (!e)
        return;
    *e = (struct entry){
        .file = f ? open_file_ref(f) : NULL,
        .err = err,
        .walked_ms = loop_now_ms(fc->loop),
        .turn = loop_turn_no(fc->loop),
        .hash = hash,
        .key_len = key.n,
        .next_same = fc->chains[hash & fc->mask],
    };
    memcpy(e->key, key.p, key.n);
    fc->chains[hash & fc->mask] = e;
    struct entries *l = entries_of(fc, e);
    list_add(l, e);
    if (f)
        f->in_cache = true;
    if (l->n > l->max)
        entry_drop(fc, l->oldest);
}

static struct entry *entry_find(struct file_cache *fc, struct slice key, uint64_t hash)
{
    struct entry *e = fc->chains[hash & fc->mask];

    while (e && !(e->hash == hash && e->key_len == key.n && !memcmp(e->key, key.p, key.n)))
        e = e->next_same;
    return e;
}

/* ---- what is true ---- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The change time tells of writing, of modes and of a link that went: of a rename upon it, too. */
static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && same_time(&a->st_ctim, &b->st_ctim) &&
           same_time(&a->st_mtim, &b->st_mtim);
}

static struct open_file *walk(const char *root, struct slice rel, enum conf_links links)
{
    int fd = beneath_open(root, rel, O_RDONLY, links);

    return fd < 0 ? NULL : open_file_new(fd);
}

/* Is e true still?  The path is walked again where that is due. */
static bool entry_holds(struct file_cache *fc, struct entry *e, const char *root,
                        struct slice rel, enum conf_links links)
{
    uint64_t now = loop_now_ms(fc->loop), turn = loop_turn_no(fc->loop);
    struct stat st;

    if (e->turn == turn)
        return true;
    if (!e->file)
        return false;
    e->turn = turn;
    if (now - e->walked_ms < fc->limits.valid_ms)
        return fstat(e->file->fd, &st) == 0 && same_state(&st, &e->file->st);
    struct open_file *f = walk(root, rel, links);
    bool same = f && same_state(&f->st, &e->file->st);
    open_file_unref(f);
    e->walked_ms = now;
    return same;
}

/* ---- the table ---- */

/* root '\0' links rel.  p is NULL if it is too long. */
static struct slice make_key(char buf[KEY_MAX], const char *root, struct slice rel,
                             enum conf_links links)
{
    size_t n = strlen(root) + 1;

    if (n + 1 + rel.n > KEY_MAX)
        return slice_of(NULL, 0);
    memcpy(buf, root, n);
    buf[n++] = (char)links;
    if (rel.n)
        memcpy(buf + n, rel.p, rel.n);
    return slice_of(buf, n + rel.n);
}

static struct open_file *taken(struct file_cache *fc, struct entry *e)
{
    struct entries *l = entries_of(fc, e);

    if (l->newest != e) {
        list_remove(l, e);
        list_add(l, e);
    }
    if (e->file)
        return open_file_ref(e->file);
    errno = e->err;
    return NULL;
}

struct open_file *file_cache_open(struct file_cache *fc, const char *root, struct slice rel,
                                  enum conf_links links)
{
    char buf[KEY_MAX];
    struct slice key = fc ? make_key(buf, root, rel, links) : slice_of(NULL, 0);

    if (!key.p)
        return walk(root, rel, links);
    loop_assert_owner(fc->loop);
    uint64_t hash = siphash(fc->secret, key.p, key.n).v[0];
    struct entry *e = entry_find(fc, key, hash);
    if (e && entry_holds(fc, e, root, rel, links))
        return taken(fc, e);
    if (e)
        entry_drop(fc, e);
    struct open_file *f = walk(root, rel, links);
    int err = f ? 0 : errno;
    if (f ? S_ISREG(f->st.st_mode) || S_ISDIR(f->st.st_mode) : err == ENOENT)
        entry_add(fc, key, hash, f, err);
    errno = err;
    return f;
}

/* ---- bytes ---- */

const uint8_t *file_cache_bytes(const struct open_file *f)
{
    return f->bytes;
}

static bool is_settled(const struct stat *st)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return st->st_ctim.tv_sec + SETTLED_S < now.tv_sec &&
           st->st_mtim.tv_sec + SETTLED_S < now.tv_sec;
}

void file_cache_keep(struct file_cache *fc, struct open_file *f, const uint8_t *p, size_t n)
{
    if (!fc || !f->in_cache || f->bytes || n != (size_t)f->st.st_size ||
        n > FILE_CACHE_BYTES_MAX || fc->memory + n > fc->limits.memory || !is_settled(&f->st))
        return;
    f->bytes = malloc(n);
    if (!f->bytes)
        return;
    memcpy(f->bytes, p, n);
    fc->memory += n;
}
