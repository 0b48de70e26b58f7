/*
 * tests/unit/body_file.h - a response's body that is a file, and a page cache that has as much of it
 * as the test says.  Included by one test program each.
 */
#ifndef TESTS_BODY_FILE_H
#define TESTS_BODY_FILE_H

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../gateway/open_file.h"

enum { BODY_FILE = 200000 }; /* bytes */

static int64_t body_warm; /* so many of them, from the first one on, are in the page cache */
static unsigned body_reads;
static size_t body_bytes; /* that were read */

static inline uint8_t body_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8));
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    ssize_t got = 0;

    assert_int_equal(flags, RWF_NOWAIT);
    body_reads++;
    if (at >= body_warm) {
        errno = EAGAIN;
        return -1;
    }
    for (int i = 0; i < n && at + got < body_warm; i++) {
        size_t want = iov[i].iov_len;
        if ((int64_t)want > body_warm - at - got)
            want = (size_t)(body_warm - at - got);
        got += pread(fd, iov[i].iov_base, want, at + got);
    }
    body_bytes += (size_t)got;
    return got;
}

static inline struct open_file *body_file(void)
{
    static uint8_t bytes[BODY_FILE];
    int fd = memfd_create("body", MFD_CLOEXEC);

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = body_byte(i);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    struct open_file *f = open_file_new(fd);
    assert_non_null(f);
    return f;
}

#endif
