/* Kept connections: how long, how often, and not by a gateway that drains. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mpx_world.h"

/* A new connection with a request without a body: is it to be kept? */
static bool serve_fresh(int *ret_fd)
{
    turns(3);
    *ret_fd = accept_now(0);
    assert_true(*ret_fd >= 0);
    return serve_again(*ret_fd);
}

static bool no_idle(void *arg)
{
    (void)arg;
    world_poll(world.loops[1]);
    return fcgi_stats().idle == 0;
}

/* ---- keepalive_time ---- */

static void test_age(void **state)
{
    struct caller a = {0}, b = {.worker = 1};

    (void)state;
    world.pool_conf.keepalive_time_ms = 60;
    open_pool(1);
    ask(&a);
    ask(&b);
    int fa = serve_get(), fb = serve_get();
    answer(fa, &a);
    answer(fb, &b);
    assert_int_equal(fcgi_stats().idle, 2);
    assert_true(world_until(world.loops[0], no_idle, NULL));
    assert_int_equal(fcgi_stats().connections, 0);
    assert_true(is_closed(fa) && is_closed(fb));
    for (unsigned i = 0; i < N_LOOPS; i++)
        assert_false(timer_armed(&world.pool->wakes[i].sweep)); /* nothing is left to look at */
}

/* It is not its age that counts but how long it was idle; and only those are closed. */
static void test_age_of_one_in_use(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    world.pool_conf.keepalive_time_ms = 60000;
    open_pool(1);
    ask(&a);
    ask(&b);
    int fa = serve_get(), fb = serve_get();
    answer(fb, &b);
    answer(fa, &a);
    ask(&c); /* on the one that was used last */
    serve_again(fa);
    world.pool->servers[0]->idle[0]->idle_ms -= 60001;
    pool_sweep_fn(world.loops[0], &world.pool->wakes[0].sweep);
    assert_int_equal(fcgi_stats().connections, 1);
    assert_true(is_closed(fb));
    assert_false(is_closed(fa));
    answer(fa, &c);
    assert_int_equal(fcgi_stats().idle, 1);
    pool_sweep_fn(world.loops[0], &world.pool->wakes[0].sweep);
    assert_int_equal(fcgi_stats().idle, 1); /* since now */
    assert_true(timer_armed(&world.pool->wakes[0].sweep));
}

/* The room of a connection that is closed goes to who waits for it. */
static void test_age_makes_room(void **state)
{
    struct caller a = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    world.pool_conf.keepalive_time_ms = 1;
    open_pool(1);
    for (int i = 0; i < 5; i++) {
        int fd;
        a = (struct caller){.worker = (unsigned)i % 2};
        ask(&a);
        assert_true(serve_fresh(&fd));
        answer(fd, &a);
        assert_true(world_until(world.loops[0], no_idle, NULL));
        assert_true(is_closed(fd));
    }
}

/* ---- keepalive_requests ---- */

static void test_count(void **state)
{
    int fd = -1;

    (void)state;
    world.pool_conf.keepalive_requests = 3;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    for (unsigned i = 0; i < 9; i++) {
        struct caller c = {.worker = i % 2, .unsafe = i % 2};
        bool keep;
        ask(&c);
        if (i % 3 == 0)
            keep = serve_fresh(&fd);
        else
            keep = serve_again(fd);
        assert_int_equal(keep, i % 3 != 2);
        answer(fd, &c);
        assert_int_equal(is_closed(fd), i % 3 == 2);
        assert_int_equal(fcgi_stats().idle, i % 3 != 2);
    }
    assert_int_equal(world.n_served, 3);
}

/* One that is opened again, since the application had closed it, begins anew. */
static void test_count_of_one_opened_again(void **state)
{
    struct caller a = {0}, b = {.unsafe = true}, c = {0};
    int fd;

    (void)state;
    world.pool_conf.keepalive_requests = 3;
    open_pool(1);
    ask(&a);
    assert_true(serve_fresh(&fd));
    answer(fd, &a);
    ask(&b); /* before the close is seen */
    hang_up(fd);
    assert_true(serve_fresh(&fd));
    answer(fd, &b);
    ask(&c);
    assert_true(serve_again(fd));
    answer(fd, &c);
}

static void test_count_of_one(void **state)
{
    int fd;

    (void)state;
    world.pool_conf.keepalive_requests = 1;
    open_pool(1);
    for (int i = 0; i < 3; i++) {
        struct caller c = {0};
        ask(&c);
        assert_false(serve_fresh(&fd));
        answer(fd, &c);
        assert_int_equal(fcgi_stats().connections, 0);
    }
}

/* keepalive_requests: one that is shared takes no more then, but asks to be kept, since the others
 * would end with it; it is closed behind the last of them. */
static void test_shared_count(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    world_fcgi_end();
    world_mpx();
    world.pool_conf.keepalive_requests = 2;
    int fd = open_shared(&a, NULL);
    ask(&b);
    turns(3);
    assert_int_equal(receive_request(fd, false), 2);
    assert_true(mpx_keep);
    ask(&c);
    int other = accepted();
    assert_int_equal(receive_request(other, false), 1);
    end_id(fd, 2, 0);
    assert_true(comes(&b.ended));
    assert_false(is_closed(fd));
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended));
    assert_true(is_closed(fd));
    end_id(other, 1, 0);
    assert_true(comes(&c.ended));
    assert_false(is_closed(other));
}

/* ---- draining ---- */

static void test_drain(void **state)
{
    struct caller a = {0}, b = {.worker = 1}, c = {0}, d = {0};
    int fd;

    (void)state;
    world.pool_conf.max_requests = 2;
    open_pool(1);
    ask(&a);
    ask(&b);
    int fa = serve_get(), fb = serve_get();
    answer(fb, &b);
    ask(&c);
    serve_again(fb); /* taken over */
    ask(&d);         /* waits */
    answer(fb, &c);
    serve_again(fb);
    answer(fb, &d);
    assert_int_equal(fcgi_stats().idle, 1);
    pool_drain(world.pool);
    turns(3);
    assert_int_equal(fcgi_stats().idle, 0);
    assert_true(is_closed(fb));
    assert_false(is_closed(fa));
    d = (struct caller){.worker = 1};
    ask(&d);
    assert_false(serve_fresh(&fd)); /* is not to be kept */
    answer(fd, &d);
    assert_true(is_closed(fd));
    answer(fa, &a); /* which was to be kept */
    assert_true(is_closed(fa));
    assert_int_equal(fcgi_stats().connections, 0);
}

/* Who waits gets the connection that is there, for the last time. */
static void test_drain_with_waiters(void **state)
{
    struct caller a = {0}, b = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    ask(&a);
    ask(&b);
    int fd = serve_get();
    pool_drain(world.pool);
    answer(fd, &a);
    assert_false(serve_again(fd));
    answer(fd, &b);
    assert_true(is_closed(fd));
}

/* Taken before its owner saw that it was shut: it is opened again, whatever the request is. */
static void test_drain_and_taken_at_once(void **state)
{
    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    for (unsigned worker = 0; worker < 2; worker++) {
        struct caller a = {0}, b = {.worker = worker};
        int fd;
        atomic_store(&world.pool->draining, false);
        ask(&a);
        int first = serve_get();
        answer(first, &a);
        assert_int_equal(fcgi_stats().idle, 1);
        pool_drain(world.pool);
        ask(&b);
        assert_false(serve_fresh(&fd));
        answer(fd, &b);
        assert_false(b.failed);
        assert_true(is_closed(first) && is_closed(fd));
    }
}

/* A gateway that drains lets no other on a connection that has requests. */
static void test_shared_drain(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    world_fcgi_end();
    world_mpx();
    int fd = open_shared(&a, NULL);
    pool_drain(world.pool);
    ask(&b);
    turns(3);
    assert_int_equal(receive_request(fd, false), 2);
    assert_true(mpx_keep);
    ask(&c);
    int other = accepted();
    assert_int_equal(receive_request(other, false), 1);
    assert_false(mpx_keep);
    end_id(fd, 1, 0);
    end_id(fd, 2, 0);
    end_id(other, 1, 0);
    assert_true(comes(&a.ended) && comes(&b.ended) && comes(&c.ended));
    assert_true(is_closed(fd) && is_closed(other));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_age),
        T(test_age_of_one_in_use),
        T(test_age_makes_room),
        T(test_count),
        T(test_count_of_one_opened_again),
        T(test_count_of_one),
        T(test_shared_count),
        T(test_drain),
        T(test_drain_with_waiters),
        T(test_drain_and_taken_at_once),
        T(test_shared_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
