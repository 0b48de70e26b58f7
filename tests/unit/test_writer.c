/* gateway/writer.h: jobs on threads that come and go.  Includes writer.c to look at its threads
 * and to refuse it new ones; leases are test_conn.c's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "loop_world.h"

static bool no_threads; /* pthread_create fails */

static int create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return no_threads ? EAGAIN : pthread_create(id, attr, fn, arg);
}

static _Thread_local int slow_in; /* so many locks from now this thread loses 10 ms */

static void slow_down(void)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    if (slow_in && --slow_in == 0)
        nanosleep(&pause, NULL);
}

#define pthread_create create
#define lock_take(l) (slow_down(), lock_take(l))
#include "../../gateway/writer.c"
#undef lock_take
#undef pthread_create

static struct loop *l;
static struct worker worker;
static struct writers *writers;

static int setup(void **state)
{
    (void)state;
    l = world_loop();
    worker = (struct worker){.loop = l};
    loop_set_user(l, &worker);
    no_threads = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    writers_free(writers);
    loop_free(l);
    return 0;
}

struct errand {
    struct job job;
    struct timespec takes;
    pthread_barrier_t *meets; /* NULL: nobody */
    unsigned *order, number;  /* when it ran */
    pthread_t ran_on;
    bool ran, done;
};

static atomic_uint n_running, n_at_once; /* n_at_once: the most there ever were */
static unsigned n_done;

static void errand_run(struct job *job)
{
    struct errand *e = (struct errand *)(void *)job;
    unsigned n = atomic_fetch_add(&n_running, 1) + 1, most = atomic_load(&n_at_once);

    while (n > most && !atomic_compare_exchange_weak(&n_at_once, &most, n))
        ;
    if (e->meets)
        pthread_barrier_wait(e->meets);
    if (e->takes.tv_nsec)
        nanosleep(&e->takes, NULL);
    if (e->order)
        e->number = (*e->order)++;
    e->ran_on = pthread_self();
    e->ran = true;
    atomic_fetch_sub(&n_running, 1);
}

static void errand_done(struct loop *loop, struct job *job)
{
    struct errand *e = (struct errand *)(void *)job;

    loop_assert_owner(loop);
    assert_true(e->ran && !e->done);
    e->done = true;
    n_done++;
}

static void send_off(struct errand *e, long takes_ms, pthread_barrier_t *meets)
{
    *e = (struct errand){.job = {.run = errand_run, .done = errand_done, .loop = l},
                         .takes.tv_nsec = takes_ms * 1000000,
                         .meets = meets};
    writers_job(writers, &e->job);
}

static void send_on(struct errand *e, long takes_ms)
{
    send_off(e, takes_ms, NULL);
}

static void begin(unsigned max)
{
    writers = writers_new(max);
    assert_non_null(writers);
    atomic_store(&n_running, 0);
    atomic_store(&n_at_once, 0);
    n_done = 0;
}

static bool all_done(void *arg)
{
    return n_done == *(unsigned *)arg;
}

static unsigned n_threads(void)
{
    lock_take(&writers->mu);
    unsigned n = writers->n_threads;
    lock_drop(&writers->mu);
    return n;
}

static void test_a_job(void **state)
{
    struct errand e;
    unsigned one = 1;

    (void)state;
    begin(4);
    assert_int_equal(n_threads(), 0);
    send_on(&e, 0);
    assert_int_equal(worker.n_jobs, 1);
    assert_true(world_until(l, all_done, &one));
    assert_int_equal(worker.n_jobs, 0);
    assert_false(pthread_equal(e.ran_on, pthread_self()));
}

static void test_a_thread_is_used_again(void **state)
{
    struct errand e[20];

    (void)state;
    begin(4);
    for (unsigned i = 0; i < 20; i++) {
        send_on(&e[i], 0);
        unsigned so_far = i + 1;
        assert_true(world_until(l, all_done, &so_far));
        world_for(l, 5); /* it parks */
    }
    assert_in_range(n_threads(), 1, 2);
}

static void test_more_jobs_than_threads(void **state)
{
    enum { N = 30 };
    struct errand e[N];
    unsigned all = N;

    (void)state;
    begin(3);
    for (int i = 0; i < N; i++)
        send_on(&e[i], 3);
    assert_int_equal(worker.n_jobs, N);
    assert_true(world_until(l, all_done, &all));
    assert_int_equal(atomic_load(&n_at_once), 3);
    assert_int_equal(n_threads(), 3);
    assert_int_equal(worker.n_jobs, 0);
}

static void test_one_thread_keeps_the_order(void **state)
{
    enum { N = 50 };
    struct errand e[N];
    unsigned all = N, order = 0;

    (void)state;
    begin(1);
    for (int i = 0; i < N; i++) {
        e[i] = (struct errand){.job = {.run = errand_run, .done = errand_done, .loop = l},
                               .takes.tv_nsec = i == 0 ? 5000000 : 0,
                               .order = &order};
        writers_job(writers, &e[i].job);
    }
    assert_true(world_until(l, all_done, &all));
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(e[i].number, i);
}

/* A job handed in at the moment the only thread parks is not forgotten. */
static void test_no_job_is_lost(void **state)
{
    struct errand e[2];
    unsigned both = 2;

    (void)state;
    begin(1);
    send_on(&e[0], 5);
    slow_in = 2; /* between finding the thread busy and anything that is done about it */
    send_on(&e[1], 0);
    slow_in = 0;
    assert_true(world_until(l, all_done, &both));
}

static bool no_threads_left(void *arg)
{
    (void)arg;
    return n_threads() == 0;
}

static void test_idle_threads_end(void **state)
{
    struct errand e[3];
    unsigned all = 3;
    pthread_barrier_t meets; /* each has a thread of its own, however slow they start */

    (void)state;
    begin(3);
    PTOK(pthread_barrier_init(&meets, NULL, 3));
    for (int i = 0; i < 3; i++)
        send_off(&e[i], 0, &meets);
    assert_true(world_until(l, all_done, &all));
    PTOK(pthread_barrier_destroy(&meets));
    assert_int_equal(n_threads(), 3);
    assert_true(world_until(l, no_threads_left, NULL));
    n_done = 0;
    send_on(&e[0], 0); /* and come again */
    all = 1;
    assert_true(world_until(l, all_done, &all));
}

/* Where no thread can be had, the work is done in place rather than never. */
static void test_without_threads(void **state)
{
    struct errand e[2];
    unsigned all = 2;

    (void)state;
    begin(2);
    no_threads = true;
    send_on(&e[0], 0);
    send_on(&e[1], 0);
    assert_true(e[0].ran && e[1].ran && !e[0].done);
    assert_true(world_until(l, all_done, &all));
    assert_true(pthread_equal(e[0].ran_on, pthread_self()));
    assert_int_equal(n_threads(), 0);
}

/* One thread is there and no second can be had: the second job waits for it. */
static void test_no_second_thread(void **state)
{
    struct errand e[4];
    unsigned all = 4;

    (void)state;
    begin(4);
    send_on(&e[0], 20);
    no_threads = true;
    for (int i = 1; i < 4; i++)
        send_on(&e[i], 0);
    assert_true(world_until(l, all_done, &all));
    for (int i = 1; i < 4; i++)
        assert_true(pthread_equal(e[i].ran_on, e[0].ran_on));
    assert_int_equal(n_threads(), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_job),
        T(test_a_thread_is_used_again),
        T(test_more_jobs_than_threads),
        T(test_one_thread_keeps_the_order),
        T(test_no_job_is_lost),
        T(test_idle_threads_end),
        T(test_without_threads),
        T(test_no_second_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
