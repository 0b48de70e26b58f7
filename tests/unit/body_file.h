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

static inline uint8_t body_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8));
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    size_t want = iov->iov_len;

    assert_int_equal(n, 1);
    assert_int_equal(flags, RWF_NOWAIT);
    if (at >= body_warm) {
        errno = EAGAIN;
        return -1;
    }
    if ((int64_t)want > body_warm - at)
        want = (size_t)(body_warm - at);
    return pread(fd, iov->iov_base, want, at);
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
