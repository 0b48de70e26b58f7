/*
 * gateway/open_file.h - a file that is open for reading, with what was true of it when it was
 * opened.  Shared by all answers that send of it.
 *
 * Units    bytes; seconds since 1970
 * Threads  made by any; constant from then on, but for what a file_cache adds.  The last
 *          reference may go on any thread, but not under a lock: it closes the descriptor
 */
#ifndef GATEWAY_OPEN_FILE_H
#define GATEWAY_OPEN_FILE_H

#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "httpdate.h"
#include "slice.h"

enum { OPEN_FILE_ETAG = 18 }; /* "0123456789abcdef" with its quotes */

/* Field keys:  I constant   a atomic   o the worker's whose file_cache made it */
struct open_file {
    atomic_uint n_refs;                   /* a */
    int fd;                               /* I */
    struct stat st;                       /* I */
    char etag[OPEN_FILE_ETAG + 1];        /* I  strong */
    char last_modified[HTTPDATE_LEN + 1]; /* I  of st.st_mtim */
    uint8_t *bytes;                       /* o  all of it; NULL: not kept.  See file_cache.h */
    bool in_cache;                        /* o */
    uint64_t warm, warm_since_ms;         /* o  see file_piece_is_warm() */
};

/* Takes fd, also on failure: NULL with errno. */
struct open_file *open_file_new(int fd);

struct open_file *open_file_ref(struct open_file *f); /* f */
void open_file_unref(struct open_file *f);            /* NULL: nothing */

/* Read up to n bytes from offset at on, but wait for no disk (RWF_NOWAIT): their number, 0 at the end
 * of the file, or -1 with errno, which is EAGAIN where they are not in the page cache. */
ssize_t open_file_read_warm(const struct open_file *f, void *dst, size_t n, int64_t at);
/* The same into n parts, of which only the last one that gets any may get less than it has room for. */
ssize_t open_file_readv_warm(const struct open_file *f, const struct iovec *parts, unsigned n,
                             int64_t at);

#endif
