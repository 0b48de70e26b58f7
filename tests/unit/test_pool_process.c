/* fcgi/pool_process.c: a pool whose servers are processes that come and go. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

static void open_processes(unsigned n, unsigned per_process)
{
    char path[128];

    world.pool_conf.processes = world.pool_conf.slots = world.pool_conf.min_processes = n;
    world.pool_conf.requests_per_process = per_process;
    world.pool_conf.max_requests = n * per_process;
    for (unsigned i = 0; i < n; i++) {
        assert_true(spawner_socket_path(path, sizeof(path), world.dir, &world.pool_conf, i));
        snprintf(world.paths[i], sizeof(world.paths[i]), "unix:%s", path);
        world.listen_fd[i] = listen_at(path, 16);
    }
    world.pool = pool_new(&world.conf, 0, N_LOOPS, stderr);
    assert_non_null(world.pool);
}

static void news(enum spawner_verb verb, unsigned slot, unsigned delay_ms)
{
    struct spawner_msg m = {.verb = verb, .slot = slot, .delay_ms = delay_ms};

    pool_process(world.pool, &m);
}

static void test_processes(void **state)
{
    struct caller a = {0}, b = {0}, c = {0}, d = {0};

    (void)state;
    open_processes(2, 1);
    ask(&a);
    ask(&b);
    ask(&c);
    turns(3);
    int fa = accept_now(0), fb = accept_now(1);
    assert_true(fa >= 0 && fb >= 0);
    receive_head(fa);
    receive_empty(fa, FCGI_STDIN);
    receive_head(fb);
    receive_empty(fb, FCGI_STDIN);

    news(SPAWNER_ENDED, 0, 5000); /* slot 0's will not be back soon */
    hang_up(fa);
    assert_true(comes(&a.failed));
    turns(3);
    assert_false(c.granted);
    answer(fb, &b);
    serve_again(fb);
    answer(fb, &c);

    news(SPAWNER_FAILED, 1, 100);
    news(SPAWNER_FAILED, 1, 200); /* soon again, but in vain */
    hang_up(fb);
    turns(3);
    ask(&d);
    assert_true(comes(&d.failed));
    assert_int_equal(d.err, GW_EPOOL_DOWN);
}

/* Who waited for a process gets it when it is back. */
static void test_process_comes_back(void **state)
{
    struct caller a = {0}, b = {0}, c = {.worker = 1};

    (void)state;
    open_processes(2, 1);
    news(SPAWNER_ENDED, 0, 5000);
    ask(&a);
    int fd = serve_get();
    ask(&b);
    ask(&c);
    turns(3);
    assert_false(b.granted || c.granted);
    news(SPAWNER_RUNNING, 0, 0);
    turns(3);
    int other = accept_now(0);
    assert_true(other >= 0);
    assert_true(b.granted != c.granted);
    receive_head(other);
    receive_empty(other, FCGI_STDIN);
    struct caller *first = b.granted ? &b : &c, *second = b.granted ? &c : &b;
    answer(other, first);
    turns(3);
    assert_true(second->granted);
    answer(fd, &a);
    caller_fini(second);
}

static unsigned n_pokes;

static void count_poke(struct loop *l, struct loop_msg *msg)
{
    (void)l;
    (void)msg;
    n_pokes++;
}

static bool send_nothing(void *user, unsigned slot, enum spawner_verb verb)
{
    (void)user;
    (void)slot;
    (void)verb;
    return true;
}

/* A step by the clock while the message is in the loop's list: a second post would tie the list
 * to itself. */
static void test_poked_once(void **state)
{
    struct caller a = {0}, b = {0}, c = {0}, d = {0};
    struct loop_msg poke = {.fn = count_poke};

    (void)state;
    n_pokes = 0;
    open_processes(1, 1);
    pool_processes_watch(world.pool, world.loops[0], &poke);
    ask(&a);
    int fd = serve_get();
    ask(&b);
    pool_processes_step(world.pool, send_nothing, NULL);
    ask(&c);
    turns(3);
    assert_int_equal(n_pokes, 1);
    ask(&d);
    turns(3);
    assert_int_equal(n_pokes, 1); /* until it is said that it came */
    pool_processes_poked(world.pool);
    struct caller e = {0};
    ask(&e);
    turns(3);
    assert_int_equal(n_pokes, 2);
    pool_processes_watch(world.pool, NULL, NULL);
    caller_fini(&e);
    caller_fini(&d);
    caller_fini(&c);
    caller_fini(&b);
    answer(fd, &a);
}

static enum spawner_verb ordered;

static bool note_order(void *user, unsigned slot, enum spawner_verb verb)
{
    (void)user;
    (void)slot;
    ordered = verb;
    return true;
}

/* A request that began while the process started is answered when it is known to be ready: nobody
 * needs to hear of that, least of all when the spawner is another and its process is to start. */
static void test_answer_is_not_the_next_ones(void **state)
{
    struct spawner_msg m = {.verb = SPAWNER_RUNNING, .flags = SPAWNER_READY};
    struct caller a = {0};

    (void)state;
    open_processes(1, 1);
    ask(&a);
    int fd = serve_get();
    pool_process(world.pool, &m);
    answer(fd, &a);
    pool_processes_reset(world.pool);
    pool_processes_step(world.pool, note_order, NULL);
    assert_int_equal(ordered, SPAWNER_START);
}

static void test_news_of_nothing(void **state)
{
    (void)state;
    open_processes(1, 1);
    news(SPAWNER_RUNNING, 7, 0);
    news(SPAWNER_ENDED, 1, 5000);
    news(SPAWNER_ENDED, 0, 0); /* back at once: its backlog waits */
    struct caller a = {0};
    ask(&a);
    int fd = serve_get();
    answer(fd, &a);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_processes),       T(test_process_comes_back),
        T(test_poked_once),      T(test_answer_is_not_the_next_ones),
        T(test_news_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
