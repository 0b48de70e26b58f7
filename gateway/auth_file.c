#include "auth_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock.h"
#include "log.h"

enum {
    FAULTS_SAID = 10,   /* lines of one file that are told of */
    SETTLED_AFTER_S = 2 /* coarser than any file system's times */
};

/* What changes when somebody writes or replaces the file. */
struct version {
    uint64_t device, inode;
    int64_t size, mtime_ns, ctime_ns;
};

struct auth_file {
    const char *path;          /* I */
    enum auth_table_kind kind; /* I */
    struct siphash_key key;    /* I */
    _Atomic uint64_t look_ms;  /* a  when to look again; relaxed: who wins looks */
    atomic_bool stale;         /* a  to be read; what was read is under mu */
    struct lock mu;            /*    leaf */
    struct auth_table *table;  /* m  NULL: it could not be read */
    int err;                   /* m  errno of that */
    struct version version;    /* m  of what was read */
    uint64_t generation;       /* m */
    bool settled;              /* m  the version tells the content */
};

struct auth_file *auth_file_new(const char *path, enum auth_table_kind kind,
                                const struct siphash_key *key)
{
    struct auth_file *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->path = path;
    f->kind = kind;
    f->key = *key;
    atomic_init(&f->stale, true);
    lock_init(&f->mu);
    return f;
}

void auth_file_free(struct auth_file *f)
{
    if (!f)
        return;
    auth_table_unref(f->table);
    lock_fini(&f->mu);
    free(f);
}

const char *auth_file_path(const struct auth_file *f)
{
    return f->path;
}

static const char *key_name(const struct auth_file *f)
{
    return f->kind == AUTH_TABLE_USERS ? "auth_file" : "auth_group_file";
}

/* ---- looking ---- */

static int64_t ns_of(struct timespec t)
{
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct version version_of(const struct stat *st)
{
    return (struct version){
        .device = (uint64_t)st->st_dev,
        .inode = (uint64_t)st->st_ino,
        .size = (int64_t)st->st_size,
        .mtime_ns = ns_of(st->st_mtim),
        .ctime_ns = ns_of(st->st_ctim),
    };
}

static bool same_version(const struct version *a, const struct version *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool is_settled(const struct version *v)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = ns_of(now) - (v->mtime_ns > v->ctime_ns ? v->mtime_ns : v->ctime_ns);
    return age > SETTLED_AFTER_S * INT64_C(1000000000);
}

static bool has_changed(struct auth_file *f)
{
    struct version v = {0};
    struct stat st;
    int err = stat(f->path, &st) < 0 ? errno : 0;

    if (!err)
        v = version_of(&st);
    lock_take(&f->mu);
    bool same = err ? f->err == err : !f->err && f->settled && same_version(&v, &f->version);
    lock_drop(&f->mu);
    return !same;
}

bool auth_file_is_fresh(struct auth_file *f, uint64_t now_ms)
{
    uint64_t look = atomic_load_explicit(&f->look_ms, memory_order_relaxed);

    if (now_ms >= look &&
        atomic_compare_exchange_strong_explicit(&f->look_ms, &look, now_ms + AUTH_FILE_LOOK_MS,
                                                memory_order_relaxed, memory_order_relaxed)) {
        if (has_changed(f))
            atomic_store_explicit(&f->stale, true, memory_order_relaxed);
    }
    return !atomic_load_explicit(&f->stale, memory_order_relaxed);
}

/* ---- reading ---- */

/* The whole file, malloced; NULL with errno. */
static char *read_all(int fd, size_t *ret_n)
{
    size_t n = 0, cap = 64 * 1024;
    char *text = NULL;

    for (;;) {
        char *more = realloc(text, cap);
        if (!more)
            break;
        text = more;
        ssize_t got = read(fd, text + n, cap - n);
        if (got == 0) {
            *ret_n = n;
            return text;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        n += (size_t)got;
        if (n > AUTH_FILE_MAX) {
            errno = EFBIG;
            break;
        }
        if (n == cap)
            cap *= 2;
    }
    int err = errno;
    if (text)
        explicit_bzero(text, n);
    free(text);
    errno = err;
    return NULL;
}

static char *load(const char *path, size_t *ret_n, struct version *ret_version)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0) {
        *ret_version = version_of(&st);
        text = read_all(fd, ret_n);
    }
    int err = errno;
    close(fd);
    errno = err;
    return text;
}

struct faults {
    const struct auth_file *f;
    unsigned n;
};

static void say_fault(void *arg, unsigned line, struct slice name, const char *why)
{
    struct faults *faults = arg;

    if (faults->n++ < FAULTS_SAID)
        log_line(CONF_LOG_WARN, "%s:%u: %.*s%s%s: nobody can log in by this line",
                 faults->f->path, line, SLICE_FMT(name), name.n ? ": " : "", why);
}

static void say_read(const struct auth_file *f, const struct auth_table *t,
                     const struct faults *faults)
{
    if (faults->n > FAULTS_SAID)
        log_line(CONF_LOG_WARN, "%s: and %u more lines like that", f->path,
                 faults->n - FAULTS_SAID);
    log_line(CONF_LOG_INFO, "%s %s: read, %zu %s", key_name(f), f->path, auth_table_size(t),
             f->kind == AUTH_TABLE_USERS ? "users" : "members");
}

static void say_unread(const struct auth_file *f, int err)
{
    char text[128];

    log_line(CONF_LOG_ERROR, "%s %s: %s: nobody can log in until it can be read", key_name(f),
             f->path, strerror_r(err, text, sizeof(text)));
}

/* table may be NULL, with err; taken. */
static void install(struct auth_file *f, struct auth_table *table, int err,
                    const struct version *v)
{
    bool settled = !err && is_settled(v);

    lock_take(&f->mu);
    struct auth_table *old = f->table;
    bool said = err && f->err == err;
    f->table = table;
    f->err = err;
    f->version = *v;
    f->settled = settled;
    f->generation++;
    lock_drop(&f->mu);
    auth_table_unref(old);
    if (err && !said)
        say_unread(f, err);
}

/* It was read again and is what it was: those who are logged in stay so. */
static bool is_the_same(struct auth_file *f, struct slice text, const struct version *v)
{
    bool settled = is_settled(v);
    struct auth_table *t = auth_file_hold(f, NULL);
    bool same = t && auth_table_is(t, text);

    if (same) {
        lock_take(&f->mu);
        if (f->table == t) {
            f->version = *v;
            f->settled = settled;
        }
        lock_drop(&f->mu);
    }
    auth_table_unref(t);
    return same;
}

static void read_again(struct auth_file *f)
{
    struct version v = {0};
    size_t n = 0;
    char *text = load(f->path, &n, &v);

    if (!text) {
        install(f, NULL, errno, &v);
        return;
    }
    struct slice all = slice_of(text, n);
    if (!is_the_same(f, all, &v)) {
        struct faults faults = {.f = f};
        struct auth_table *t = auth_table_new(f->kind, all, &f->key, say_fault, &faults);
        if (t)
            say_read(f, t, &faults);
        install(f, t, t ? 0 : ENOMEM, &v);
    }
    explicit_bzero(text, n);
    free(text);
}

void auth_file_refresh(struct auth_file *f)
{
    if (!atomic_load_explicit(&f->stale, memory_order_relaxed))
        return;
    read_again(f);
    atomic_store_explicit(&f->stale, false, memory_order_relaxed);
}

struct auth_table *auth_file_hold(struct auth_file *f, uint64_t *ret_generation)
{
    lock_take(&f->mu);
    struct auth_table *t = f->table;
    if (t)
        auth_table_ref(t);
    if (ret_generation)
        *ret_generation = f->generation;
    lock_drop(&f->mu);
    return t;
}
