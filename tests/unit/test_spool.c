/* gateway/spool.h: bytes come out as they went in, whether they waited in memory or in the file,
 * and what happens at limits and on broken disks.  Includes spool.c to fail its file calls. */
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

static ssize_t maybe_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    if (cold) {
        errno = EAGAIN;
        return -1;
    }
    return preadv2(fd, iov, n, at, flags);
}

/* Half of what was asked, so that the rest is asked for again; then nothing. */
static ssize_t maybe_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (atomic_load(&writes_left) == 0) {
        errno = ENOSPC;
        return -1;
    }
    atomic_fetch_sub(&writes_left, 1);
    return pwrite(fd, p, n > 1 ? n / 2 : n, at);
}

static ssize_t maybe_pread(int fd, void *p, size_t n, off_t at)
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
static int checked_close(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && st.st_size > 1024 * 1024) {
        assert_false(pthread_equal(pthread_self(), loop_thread));
        atomic_fetch_add(&n_large_freed, 1);
    }
    return close(fd);
}

static int checked_ftruncate(int fd, off_t size)
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

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 31 + at / 251 + at / 65536);
}

static void told(void *arg)
{
    assert_ptr_equal(arg, &n_told);
    n_told++;
}

static int setup(void **state)
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

static bool jobs_done(void *arg)
{
    (void)arg;
    return worker.n_jobs == 0;
}

/* Every byte of the budget comes back, and no file is left. */
static int teardown(void **state)
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

static void begin(bool is_soft)
{
    const struct spool_soft soft = {.most = most};

    sp = spool_new(&budget, writers, l, is_soft ? &soft : NULL, told, &n_told);
    assert_non_null(sp);
    assert_int_equal(spool_len(sp), 0);
    assert_int_equal(spool_err(sp), 0);
}

static int put(size_t n)
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

static int put_chain(size_t n)
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

static size_t take(size_t max)
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

static bool taken_all(void *arg)
{
    (void)arg;
    take(100 * K);
    assert_int_equal(spool_err(sp), 0);
    return n_out == n_in;
}

static bool not_congested(void *arg)
{
    (void)arg;
    return !spool_congested(sp);
}

static bool failed(void *arg)
{
    (void)arg;
    return spool_err(sp) != 0;
}

static void test_in_memory(void **state)
{
    (void)state;
    begin(false);
    assert_int_equal(take(100), 0);
    assert_int_equal(put(0), 0);
    assert_int_equal(put(10), 0);
    assert_int_equal(put_chain(20), 0);
    assert_int_equal(spool_len(sp), 30);
    assert_int_equal(take(7), 7);
    assert_int_equal(take(100), 23);
    assert_int_equal(take(100), 0);
    assert_int_equal(put(MEMORY), 0);
    assert_int_equal(take(MEMORY * 2), MEMORY);
    assert_int_equal(worker.n_jobs, 0);
    assert_int_equal(n_told, 0);
    assert_int_equal(spool_len(sp), 0);
}

static void through_a_file(void)
{
    begin(false);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(put(50 * K), 0);
        if (spool_congested(sp))
            assert_true(world_until(l, not_congested, NULL));
    }
    assert_int_equal(spool_len(sp), n_in);
    assert_true(atomic_load(&budget.used) > 1000 * K);
    assert_true(n_told > 0);
    assert_true(world_until(l, taken_all, NULL));
    assert_int_equal(spool_len(sp), 0);
    assert_int_equal(take(1), 0); /* sees that the file is empty */
    assert_true(world_until(l, jobs_done, NULL));
    assert_int_equal(atomic_load(&budget.used), 0);
    assert_int_equal(put(5), 0); /* and begins anew */
    assert_int_equal(take(10), 5);
}

static void test_file(void **state)
{
    (void)state;
    through_a_file();
}

static void test_file_not_in_cache(void **state)
{
    (void)state;
    cold = true;
    through_a_file();
}

/* Random sizes, reading and writing at once, sometimes cold. */
static void test_order(void **state)
{
    enum { TOTAL = 12 * K * K };
    unsigned seed = 7;
    uint64_t end = clock_now_ms() + WORLD_MS;

    (void)state;
    begin(false);
    while (n_out < TOTAL && clock_now_ms() < end) {
        size_t n = (size_t)rand_r(&seed) % (rand_r(&seed) % 4 ? 9 * K : 120 * K);
        cold = rand_r(&seed) % 8 == 0;
        if (n_in < TOTAL && !spool_congested(sp))
            assert_int_equal(rand_r(&seed) % 8 ? put(n) : put_chain(n % 3000), 0);
        if (rand_r(&seed) % 3 == 0 || n_in >= TOTAL)
            take((size_t)rand_r(&seed) % (100 * K));
        assert_int_equal(spool_len(sp), n_in - n_out);
        assert_true(sp->tail.n < CONGESTED_AT + 120 * K);
        if (rand_r(&seed) % 4 == 0 || spool_congested(sp) || n_in >= TOTAL)
            loop_run_messages(l);
    }
    assert_true(world_until(l, taken_all, NULL));
    assert_true(n_out >= TOTAL);
}

static void test_hard_limit(void **state)
{
    (void)state;
    budget.limit = 200 * K;
    begin(false);
    while (spool_err(sp) == 0) {
        put(30 * K);
        world_turns(l, 1);
        assert_true(n_in < 2000 * K);
    }
    assert_int_equal(spool_err(sp), GW_ESPOOL_LIMIT);
    assert_true(n_in > 200 * K);
    assert_true(atomic_load(&budget.used) <= 200 * K);
    assert_int_equal(put(1), GW_ESPOOL_LIMIT);
    assert_int_equal(put_chain(1), GW_ESPOOL_LIMIT);
    assert_int_equal(take(1), 0);
}

/* What cannot go to the file waits in memory, and the source is told to wait. */
static void soft_limit(uint64_t least, bool empties)
{
    begin(true);
    while (!spool_congested(sp)) {
        assert_int_equal(put(30 * K), 0);
        assert_true(world_until(l, jobs_done, NULL));
        assert_true(n_in < 2000 * K);
    }
    assert_true(n_in > least);
    assert_true(world_until(l, taken_all, NULL));
    assert_false(spool_congested(sp));
    if (!empties)
        return;
    atomic_store(&writes_left, 1000000);
    assert_int_equal(put(50 * K), 0); /* the file was emptied: it is used again */
    assert_int_equal(put(90 * K), 0);
    assert_true(worker.n_jobs > 0);
    assert_true(world_until(l, taken_all, NULL));
}

static void test_soft_limit(void **state)
{
    (void)state;
    budget.limit = 200 * K;
    soft_limit(100 * K, true);
}

static void test_soft_limit_of_nothing(void **state)
{
    (void)state;
    budget.limit = 1;
    soft_limit(0, false);
}

static void test_disk_full(void **state)
{
    (void)state;
    atomic_store(&writes_left, 5);
    soft_limit(0, false);
    assert_int_equal(spool_err(sp), 0);
}

static void test_disk_full_later(void **state)
{
    (void)state;
    atomic_store(&writes_left, 100); /* each writes half of what is left of a chunk */
    soft_limit(60 * K, true);
}

static void test_no_dir(void **state)
{
    (void)state;
    budget.dir = "/nowhere/at/all";
    begin(false);
    for (int i = 0; i < 5; i++)
        put(50 * K);
    assert_true(world_until(l, failed, NULL));
    assert_int_equal(spool_err(sp), GW_ESPOOL_DISK);
    assert_true(n_told > 0);
    assert_int_equal(put(1), GW_ESPOOL_DISK);
}

/* Bytes that never reached the file do not count against the others' limit. */
static void test_no_dir_takes_no_budget(void **state)
{
    (void)state;
    budget.dir = "/nowhere/at/all";
    soft_limit(0, false);
    assert_int_equal(atomic_load(&budget.used), 0);
}

static void test_read_error(void **state)
{
    (void)state;
    begin(false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(put(60 * K), 0);
    assert_true(world_until(l, jobs_done, NULL));
    cold = true;
    atomic_store(&reads_fail, true);
    assert_int_equal(take(1000 * K), MEMORY - MEMORY % (60 * K));
    assert_true(world_until(l, failed, NULL));
    assert_int_equal(spool_err(sp), GW_ESPOOL_DISK);
    assert_int_equal(take(1), 0);
}

/* Freed while a job runs: the job's end frees the memory, and nobody is told. */
static void test_freed_in_a_job(void **state)
{
    (void)state;
    begin(false);
    for (int i = 0; i < 4; i++)
        put(60 * K);
    assert_true(worker.n_jobs > 0);
    spool_free(sp);
    begin(false); /* the same while it reads */
    n_in = n_out = 0;
    for (int i = 0; i < 4; i++)
        put(60 * K);
    assert_true(world_until(l, jobs_done, NULL));
    unsigned before = n_told;
    cold = true;
    take(1000 * K);
    assert_true(worker.n_jobs > 0);
    spool_free(sp);
    sp = NULL;
    assert_true(world_until(l, jobs_done, NULL));
    assert_int_equal(n_told, before);
}

static void test_large_file(void **state)
{
    (void)state;
    for (int freed_full = 0; freed_full < 2; freed_full++) {
        begin(false);
        n_in = n_out = 0;
        while (n_in < 2000 * K) {
            assert_int_equal(put(50 * K), 0);
            assert_true(world_until(l, jobs_done, NULL));
        }
        if (!freed_full) {
            assert_true(world_until(l, taken_all, NULL));
            take(1);
            assert_int_equal(put(50 * K), 0); /* while it is freed */
            assert_int_equal(put(90 * K), 0);
            assert_int_equal(spool_len(sp), 140 * K);
            assert_true(world_until(l, taken_all, NULL));
        }
        spool_free(sp);
        sp = NULL;
        assert_true(world_until(l, jobs_done, NULL));
        assert_int_equal(atomic_load(&n_large_freed), freed_full + 1);
        assert_int_equal(atomic_load(&budget.used), 0);
    }
}

/* ---- with a limit of its own ---- */

static void expect_small_file(void)
{
    struct stat st;

    assert_true(atomic_load(&budget.used) <= most);
    if (sp->work == WORK_NONE && sp->file_fd >= 0) {
        assert_int_equal(fstat(sp->file_fd, &st), 0);
        assert_true((uint64_t)st.st_size <= most);
    }
}

static void put_until_congested(size_t n)
{
    while (!spool_congested(sp)) {
        assert_int_equal(put(n), 0);
        assert_true(world_until(l, jobs_done, NULL));
    }
}

/* The border: one more read of 64 KiB would go over it. */
static void test_most(void **state)
{
    static const size_t steps[] = {1000, 4 * K, 64 * K, 65 * K};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        most = 300 * K + i; /* no multiple of anything */
        begin(true);
        n_in = n_out = 0;
        put_until_congested(steps[i]);
        assert_true(n_in + READ_SIZE > most && n_in < most + K);
        assert_true(sp->tail.n + sp->front.n < K || steps[i] >= 64 * K);
        assert_true(sp->tail.n + sp->front.n <= WRITE_AT + K);
        expect_small_file();
        take(READ_SIZE);
        assert_true(world_until(l, not_congested, NULL));
        spool_free(sp);
        sp = NULL;
        assert_true(world_until(l, jobs_done, NULL));
    }
}

/* A reader that is always behind: round and round in the file. */
static void test_ring(void **state)
{
    unsigned seed = 3;

    (void)state;
    most = SPOOL_MOST_MIN + 12345;
    begin(true);
    while (n_out < 10 * K * K) {
        cold = rand_r(&seed) % 4 == 0;
        while (!spool_congested(sp) && rand_r(&seed) % 8)
            assert_int_equal(put((size_t)rand_r(&seed) % (60 * K)), 0);
        take((size_t)rand_r(&seed) % (90 * K));
        assert_int_equal(spool_len(sp), n_in - n_out);
        expect_small_file();
        if (rand_r(&seed) % 4 == 0 || spool_congested(sp))
            assert_true(world_until(l, jobs_done, NULL));
    }
    assert_true(world_until(l, taken_all, NULL));
}

/* The same while the disk is full now and then, or others have all of spool_limit. */
static void test_ring_with_little_disk(void **state)
{
    unsigned seed = 5;

    (void)state;
    most = SPOOL_MOST_MIN;
    begin(true);
    while (n_out < 10 * K * K) {
        atomic_store(&writes_left, rand_r(&seed) % 3 ? 100000 : (unsigned)rand_r(&seed) % 20);
        budget.limit = rand_r(&seed) % 3 ? 0 : (uint64_t)rand_r(&seed) % most + 1;
        if (!spool_congested(sp))
            assert_int_equal(put((size_t)rand_r(&seed) % (60 * K)), 0);
        if (rand_r(&seed) % 4 == 0 || spool_congested(sp))
            take((size_t)rand_r(&seed) % (90 * K));
        assert_int_equal(spool_len(sp), n_in - n_out);
        assert_int_equal(spool_err(sp), 0);
        if (rand_r(&seed) % 4 == 0 || spool_congested(sp))
            assert_true(world_until(l, jobs_done, NULL));
    }
    assert_true(world_until(l, taken_all, NULL));
}

/* ---- exactly at spool_memory ---- */

static void test_memory_border(void **state)
{
    (void)state;
    for (size_t n = MEMORY - 1; n <= MEMORY + 1; n++) {
        begin(false);
        n_in = n_out = 0;
        assert_int_equal(put(n), 0);
        /* What is over it is worth no file before there are 64 KiB of it. */
        assert_int_equal(sp->front.n, n <= MEMORY ? n : 0);
        assert_int_equal(worker.n_jobs, n > MEMORY);
        assert_true(world_until(l, taken_all, NULL));
        spool_free(sp);
        sp = NULL;
        assert_true(world_until(l, jobs_done, NULL));
    }
    begin(false);
    n_in = n_out = 0;
    assert_int_equal(put(MEMORY), 0);
    assert_int_equal(put(1), 0);
    assert_int_equal(worker.n_jobs, 0);
    assert_int_equal(put(WRITE_AT - 2), 0);
    assert_int_equal(worker.n_jobs, 0);
    assert_int_equal(put(1), 0);
    assert_int_equal(worker.n_jobs, 1);
    assert_true(world_until(l, taken_all, NULL));
}

/* spool_limit is what the files hold: as much is taken, a byte more is not. */
static void test_limit_border(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        budget.limit = 100 * K - over;
        begin(false);
        n_in = n_out = 0;
        assert_int_equal(put(MEMORY), 0);
        assert_int_equal(put(100 * K), over ? GW_ESPOOL_LIMIT : 0);
        if (!over)
            assert_true(world_until(l, taken_all, NULL));
        spool_free(sp);
        sp = NULL;
        assert_true(world_until(l, jobs_done, NULL));
    }
}

/* Two share a budget; what one gives back the other may use. */
static void test_shared_budget(void **state)
{
    struct spool *first;

    (void)state;
    budget.limit = 200 * K;
    begin(false);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(put(60 * K), 0);
        assert_true(world_until(l, jobs_done, NULL));
    }
    first = sp;
    begin(false);
    n_in = n_out = 0;
    for (int i = 0; i < 4; i++)
        put(60 * K);
    assert_int_equal(spool_err(sp), GW_ESPOOL_LIMIT);
    spool_free(sp);
    spool_free(first);
    begin(false);
    n_in = n_out = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(put(60 * K), 0);
    assert_true(world_until(l, taken_all, NULL));
}

/* Other soft spools hold much: this one gets by with little, and gives back all. */
static void test_pressed(void **state)
{
    (void)state;
    begin(true);
    atomic_fetch_add(&budget.held, HELD_MANY);
    while (n_in < 400 * K) {
        if (!spool_congested(sp))
            assert_int_equal(put(PRESSED_AT), 0);
        assert_true(sp->front.n + sp->tail.n <= 3 * PRESSED_AT);
        assert_true(world_until(l, jobs_done, NULL));
    }
    assert_true(sp->file_end > 300 * K);
    assert_true(world_until(l, taken_all, NULL));
    atomic_fetch_sub(&budget.held, HELD_MANY);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_in_memory),
        T(test_file),
        T(test_file_not_in_cache),
        T(test_order),
        T(test_hard_limit),
        T(test_soft_limit),
        T(test_soft_limit_of_nothing),
        T(test_disk_full),
        T(test_disk_full_later),
        T(test_no_dir),
        T(test_no_dir_takes_no_budget),
        T(test_read_error),
        T(test_freed_in_a_job),
        T(test_large_file),
        T(test_most),
        T(test_ring),
        T(test_ring_with_little_disk),
        T(test_memory_border),
        T(test_limit_border),
        T(test_shared_budget),
        T(test_pressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
