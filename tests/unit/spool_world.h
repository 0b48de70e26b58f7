/*
 * tests/unit/spool_world.h - a spool between who puts and who takes, whose bytes are known by their
 * place, on a loop that the test turns; with a page cache, and a disk, that do what the test says.
 * Includes spool.c to fail its file calls.
 *
 *     begin(false); put(100); take(100);
 *     assert_true(world_until(l, taken_all, NULL));
 */
#ifndef TESTS_SPOOL_WORLD_H
#define TESTS_SPOOL_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "../../gateway/worker.h"
#include "loop_world.h"

static bool cold;               /* nothing is in the page cache */
static atomic_uint writes_left; /* then the disk is full */
static atomic_bool reads_fail;

static inline ssize_t maybe_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    if (cold) {
        errno = EAGAIN;
        return -1;
    }
    return preadv2(fd, iov, n, at, flags);
}

/* Half of what was asked, so that the rest is asked for again; then nothing. */
static inline ssize_t maybe_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (atomic_load(&writes_left) == 0) {
        errno = ENOSPC;
        return -1;
    }
    atomic_fetch_sub(&writes_left, 1);
    return pwrite(fd, p, n > 1 ? n / 2 : n, at);
}

static inline ssize_t maybe_pread(int fd, void *p, size_t n, off_t at)
{
    if (atomic_load(&reads_fail)) {
        errno = EIO;
        return -1;
    }
    return pread(fd, p, n > 100 ? n - 100 : n, at);
}

static pthread_t loop_thread;
static atomic_uint n_large_freed;

/* A large file is not freed where a worker would wait for it. */
static inline int checked_close(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && st.st_size > 1024 * 1024) {
        assert_false(pthread_equal(pthread_self(), loop_thread));
        atomic_fetch_add(&n_large_freed, 1);
    }
    return close(fd);
}

static inline int checked_ftruncate(int fd, off_t size)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && st.st_size > 1024 * 1024)
        assert_false(pthread_equal(pthread_self(), loop_thread));
    return ftruncate(fd, size);
}

#define preadv2 maybe_preadv2
#define pwrite maybe_pwrite
#define pread maybe_pread
#define close checked_close
#define ftruncate checked_ftruncate
#include "../../gateway/spool.c"
#undef close
#undef ftruncate
#undef preadv2
#undef pwrite
#undef pread

enum { MEMORY = 64 * 1024, K = 1024 };

static struct loop *l;
static struct worker worker;
static struct writers *writers;
static struct spool_budget budget;
static struct spool *sp;
static char dir[] = "/tmp/h2cgi-spool-XXXXXX";
static unsigned n_told;
static uint64_t most;        /* of soft spools */
static uint64_t n_in, n_out; /* bytes so far; each has the value pattern() says */

static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 31 + at / 251 + at / 65536);
}

static inline void told(void *arg)
{
    assert_ptr_equal(arg, &n_told);
    n_told++;
}

static inline int setup(void **state)
{
    (void)state;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    l = world_loop();
    worker = (struct worker){.loop = l};
    loop_set_user(l, &worker);
    writers = writers_new(2);
    budget = (struct spool_budget){.dir = dir, .memory = MEMORY};
    loop_thread = pthread_self();
    atomic_store(&n_large_freed, 0);
    cold = false;
    atomic_store(&writes_left, 1000000);
    atomic_store(&reads_fail, false);
    n_told = 0;
    n_in = n_out = most = 0;
    sp = NULL;
    return 0;
}

static inline bool jobs_done(void *arg)
{
    (void)arg;
    return worker.n_jobs == 0;
}

/* Every byte of the budget comes back, and no file is left. */
static inline int teardown(void **state)
{
    (void)state;
    spool_free(sp);
    assert_true(world_until(l, jobs_done, NULL));
    assert_int_equal(atomic_load(&budget.used), 0);
    assert_int_equal(atomic_load(&budget.held), 0);
    writers_free(writers);
    loop_free(l);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static inline void begin(bool is_soft)
{
    const struct spool_soft soft = {.most = most};

    sp = spool_new(&budget, writers, l, is_soft ? &soft : NULL, told, &n_told);
    assert_non_null(sp);
    assert_int_equal(spool_len(sp), 0);
    assert_int_equal(spool_err(sp), 0);
}

static inline int put(size_t n)
{
    static uint8_t bytes[512 * K];

    assert_true(n <= sizeof(bytes));
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern(n_in + i);
    int rc = spool_append(sp, bytes, n);
    if (rc == 0)
        n_in += n;
    return rc;
}

static inline int put_chain(size_t n)
{
    struct chain c = {0};

    for (size_t i = 0; i < n; i++) {
        uint8_t b = pattern(n_in + i);
        assert_int_equal(chain_append(&c, &b, 1), 0);
    }
    int rc = spool_append_chain(sp, &c);
    if (rc == 0) {
        assert_int_equal(c.n, 0);
        n_in += n;
    }
    chain_fini(&c);
    return rc;
}

static inline size_t take(size_t max)
{
    struct chain c = {0};
    size_t n = spool_take(sp, &c, max);

    assert_int_equal(c.n, n);
    assert_true(n <= max);
    while (c.head) {
        struct slice s = chain_front(&c);
        for (size_t i = 0; i < s.n; i++)
            assert_int_equal((uint8_t)s.p[i], pattern(n_out + i));
        n_out += s.n;
        chain_drop(&c, s.n);
    }
    return n;
}

static inline bool taken_all(void *arg)
{
    (void)arg;
    take(100 * K);
    assert_int_equal(spool_err(sp), 0);
    return n_out == n_in;
}

static inline bool not_congested(void *arg)
{
    (void)arg;
    return !spool_congested(sp);
}

static inline bool failed(void *arg)
{
    (void)arg;
    return spool_err(sp) != 0;
}

#endif
