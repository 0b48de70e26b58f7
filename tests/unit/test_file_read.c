/* gateway/file_read.h: the page cache and the writer threads are played by this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/file_read.h"

enum { SIZE = 150000 };

static struct job *the_job;
static bool cold;
static int fd;
static unsigned n_told;

ssize_t preadv2(int from, const struct iovec *iov, int n, off_t offset, int flags)
{
    assert_int_equal(n, 1);
    assert_int_equal(flags, RWF_NOWAIT);
    if (!cold)
        return pread(from, iov->iov_base, iov->iov_len, offset);
    errno = EAGAIN;
    return -1;
}

void writers_job(struct writers *w, struct job *job)
{
    (void)w;
    assert_null(the_job);
    the_job = job;
}

static void run_job(void)
{
    struct job *job = the_job;

    assert_non_null(job);
    the_job = NULL;
    job->run(job);
    job->done(NULL, job);
}

static void on_more(void *arg)
{
    assert_ptr_equal(arg, &n_told);
    n_told++;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static int setup(void **state)
{
    char name[] = "/tmp/test_file_read.XXXXXX";
    uint8_t *p = malloc(SIZE);

    (void)state;
    the_job = NULL;
    cold = false;
    n_told = 0;
    fd = mkstemp(name);
    unlink(name);
    for (size_t i = 0; i < SIZE; i++)
        p[i] = byte_at(i);
    bool written = write(fd, p, SIZE) == SIZE;
    free(p);
    return written ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    assert_null(the_job);
    return close(fd) < 0 ? 0 : -1; /* the reader did it */
}

static struct file_read *open_all(void)
{
    return file_read_new(NULL, NULL, open_file_new(fd), 0, SIZE, on_more, &n_told);
}

/* Take chunks until a job is under way or nothing is left; where that is. */
static int64_t take(struct file_read *r, int64_t at)
{
    while (file_read_left(r) > 0) {
        int err;
        struct chunk *k = file_read_next(r, &err);
        assert_int_equal(err, 0);
        if (!k)
            break;
        for (uint32_t i = k->off; i < k->len; i++)
            assert_int_equal(k->data[i], byte_at((size_t)at++));
        chunk_free(k);
    }
    return at;
}

static void test_warm(void **state)
{
    struct file_read *r = open_all();

    (void)state;
    assert_int_equal(take(r, 0), SIZE);
    file_read_restart(r);
    assert_int_equal(file_read_left(r), SIZE);
    assert_int_equal(take(r, 0), SIZE);
    assert_int_equal(n_told, 0);
    file_read_free(r);
}

static void test_cold(void **state)
{
    struct file_read *r = open_all();
    int64_t at = 0;

    (void)state;
    cold = true;
    for (at = take(r, 0); at < SIZE; at = take(r, at)) {
        assert_int_equal(take(r, at), at); /* asked again while the job reads */
        run_job();
    }
    assert_int_equal(n_told, 3);
    file_read_free(r);
}

static void test_restart(void **state)
{
    struct file_read *r = open_all();
    int err;

    (void)state;
    free(file_read_next(r, &err));
    cold = true;
    assert_null(file_read_next(r, &err));
    file_read_restart(r); /* while a job reads: what it brings is dropped */
    run_job();
    assert_int_equal(n_told, 1);
    assert_null(file_read_next(r, &err));
    run_job();
    file_read_restart(r); /* while what it read waits */
    cold = false;
    assert_int_equal(take(r, 0), SIZE);
    file_read_free(r);
}

static void test_freed_while_reading(void **state)
{
    struct file_read *r = open_all();
    int err;

    (void)state;
    cold = true;
    assert_null(file_read_next(r, &err));
    file_read_free(r);
    run_job();
    assert_int_equal(n_told, 0);
}

static void test_shrinks(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct file_read *r = open_all();
        int err;
        cold = i == 1;
        assert_int_equal(ftruncate(fd, 0), 0);
        struct chunk *k = file_read_next(r, &err);
        if (cold) {
            assert_int_equal(err, 0);
            run_job();
            k = file_read_next(r, &err);
        }
        assert_null(k);
        assert_int_equal(err, GW_EFILE_SHORT);
        file_read_free(r);
        if (i == 0)
            setup(state);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_warm),    T(test_cold), T(test_restart), T(test_freed_while_reading),
        T(test_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
