#include "htpasswd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* For a file without a usable hash: something to be busy with. */
static const char dummy_hash[] = "$6$h2cgih2cgih2cgi$";

/* Old DES crypt, MD5 ($1$, $apr1$), {SHA} and plain text are not accepted: a stolen file of
 * those is a list of passwords. */
static bool hash_supported(struct slice hash)
{
    static const char *const prefixes[] = {"$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (slice_starts(hash, slice_str(prefixes[i])))
            return true;
    }
    return false;
}

/* The next line of *text that is an entry, cut at its colon; what follows a second colon is not
 * the hash's. */
static bool entry_next(struct slice *text, struct slice *ret_user, struct slice *ret_hash)
{
    while (text->n) {
        ssize_t nl = slice_find(*text, '\n');
        struct slice line = slice_of(text->p, nl < 0 ? text->n : (size_t)nl);
        *text = slice_from(*text, nl < 0 ? text->n : (size_t)nl + 1);
        ssize_t colon = slice_find(line, ':');
        if (colon <= 0 || line.p[0] == '#')
            continue;
        *ret_user = slice_of(line.p, (size_t)colon);
        struct slice rest = slice_from(line, (size_t)colon + 1);
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ':' && rest.p[n] != '\r' && rest.p[n] != ' ')
            n++;
        *ret_hash = slice_of(rest.p, n);
        return true;
    }
    return false;
}

struct slice htpasswd_find(struct slice text, struct slice user)
{
    struct slice name, hash;

    while (entry_next(&text, &name, &hash)) {
        if (slice_eq(name, user))
            return hash;
    }
    return slice_of("", 0);
}

static void version_of(const struct stat *st, struct htpasswd_version *v)
{
    *v = (struct htpasswd_version){
        .device = (uint64_t)st->st_dev,
        .inode = (uint64_t)st->st_ino,
        .size = (int64_t)st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec,
    };
}

bool htpasswd_stat(const char *path, struct htpasswd_version *ret_version)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return false;
    version_of(&st, ret_version);
    return true;
}

/* The whole file, malloced; NULL with errno. */
static char *file_read(int fd, size_t *ret_n)
{
    char *text = malloc(HTPASSWD_FILE_MAX + 1);
    size_t n = 0;

    while (text && n <= HTPASSWD_FILE_MAX) {
        ssize_t got = read(fd, text + n, HTPASSWD_FILE_MAX + 1 - n);
        if (got == 0) {
            *ret_n = n;
            return text;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        n += (size_t)got;
    }
    int err = n > HTPASSWD_FILE_MAX ? EFBIG : errno;
    free(text);
    errno = err;
    return NULL;
}

static char *file_load(const char *path, size_t *ret_n, struct htpasswd_version *ret_version)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0) {
        version_of(&st, ret_version);
        text = file_read(fd, ret_n);
    }
    int err = errno;
    close(fd);
    errno = err;
    return text;
}

static bool equal_in_constant_time(const char *a, const char *b, size_t n)
{
    unsigned char diff = 0;

    for (size_t i = 0; i < n; i++)
        diff |= (unsigned char)(a[i] ^ b[i]);
    return diff == 0;
}

/* crypt() password with hash's setting and compare. */
static bool hash_matches(struct slice hash, const char *password)
{
    char setting[CRYPT_OUTPUT_SIZE];
    struct crypt_data *data =
        calloc(1, sizeof(*data)); /* 32 KiB: too much for a thread's stack */
    bool same = false;

    if (data && hash.n < sizeof(setting)) {
        memcpy(setting, hash.p, hash.n);
        setting[hash.n] = '\0';
        const char *out = crypt_r(password, setting, data);
        /* "*0" and "*1" are libxcrypt's words for failure. */
        if (out && out[0] != '*' && strlen(out) == hash.n)
            same = equal_in_constant_time(out, hash.p, hash.n);
        explicit_bzero(data, sizeof(*data));
    }
    free(data);
    return same;
}

/* A hash to be busy with for a user that is not there: of the file's own kind and cost. */
static struct slice any_hash(struct slice text)
{
    struct slice user, hash;

    while (entry_next(&text, &user, &hash)) {
        if (hash_supported(hash))
            return hash;
    }
    return slice_str(dummy_hash);
}

int htpasswd_check(const char *path, const char *user, const char *password,
                   struct htpasswd_version *ret_version)
{
    size_t n;
    char *text = file_load(path, &n, ret_version);

    if (!text)
        return -1;
    struct slice all = slice_of(text, n);
    struct slice hash = htpasswd_find(all, slice_str(user));
    bool known = hash_supported(hash);
    if (!known)
        hash = any_hash(all);
    bool same = hash_matches(hash, password);
    explicit_bzero(text, n);
    free(text);
    return known && same;
}
