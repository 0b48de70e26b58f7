/* gateway/spool.h: bytes come out as they went in, whether they waited in memory or in the file,
 * and what happens when that is full, or the disk is broken. */
#include "spool_world.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
