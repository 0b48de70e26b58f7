#include "open_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) + 0x9e3779b97f4a7c15u; /* splitmix64 */
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

/*
 * Strong: another inode, size or nanosecond of change is another tag, so that a deploy that
 * keeps the times is noticed too.  Hashed, since an inode number is nobody's business.
 */
static void make_etag(struct open_file *f)
{
    const struct stat *st = &f->st;
    uint64_t ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
    uint64_t tag = mix(mix(mix(0, (uint64_t)st->st_size), ns), (uint64_t)st->st_ino);

    (void)snprintf(f->etag, sizeof(f->etag), "\"%016llx\"", (unsigned long long)tag);
}

struct open_file *open_file_new(int fd)
{
    struct open_file *f = calloc(1, sizeof(*f));

    if (!f || fstat(fd, &f->st) < 0) {
        int err = f ? errno : ENOMEM;
        free(f);
        close(fd);
        errno = err;
        return NULL;
    }
    f->fd = fd;
    atomic_init(&f->n_refs, 1);
    make_etag(f);
    httpdate_format(f->last_modified, (int64_t)f->st.st_mtim.tv_sec);
    return f;
}

struct open_file *open_file_ref(struct open_file *f)
{
    atomic_fetch_add_explicit(&f->n_refs, 1, memory_order_relaxed);
    return f;
}

void open_file_unref(struct open_file *f)
{
    /* acq_rel: whoever closes it sees what the others did with it. */
    if (!f || atomic_fetch_sub_explicit(&f->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    close(f->fd);
    free(f->bytes);
    free(f);
}

ssize_t open_file_readv_warm(const struct open_file *f, const struct iovec *parts, unsigned n,
                             int64_t at)
{
    return preadv2(f->fd, parts, (int)n, (off_t)at, RWF_NOWAIT);
}

ssize_t open_file_read_warm(const struct open_file *f, void *dst, size_t n, int64_t at)
{
    struct iovec part = {dst, n};

    return open_file_readv_warm(f, &part, 1, at);
}
