/* gateway/spool.h: the borders of its limits, and files that are rings. */
#include "spool_world.h"

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
        T(test_most),          T(test_ring),         T(test_ring_with_little_disk),
        T(test_memory_border), T(test_limit_border), T(test_shared_budget),
        T(test_pressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
