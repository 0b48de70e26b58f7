/* fcgi/client.h: requests that are given up, servers that are not there, and times. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

/* ---- abort ---- */

static void test_abort_running(void **state)
{
    struct caller c = {0};
    struct pool_stats stats;

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    say(fd, FCGI_STDOUT, "x", 1);
    turns(2);
    caller_abort(&c);
    receive_empty(fd, FCGI_ABORT_REQUEST);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight,
                     1); /* the slot is held until the application is through */
    say(fd, FCGI_STDOUT, "y", 1);
    turns(2);
    assert_int_equal(c.n_stdout, 1);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    turns(2);
    expect_at_rest();
    assert_true(is_closed(fd));
    caller_fini(&c);
}

static void test_abort_then_end_of_file(void **state)
{
    struct caller c = {0};

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    caller_abort(&c);
    hang_up(fd);
    turns(3);
    expect_at_rest();
    caller_fini(&c);
}

static void test_abort_timeout(void **state)
{
    struct caller c = {0};
    struct pool_stats stats;

    (void)state;
    world.pool_conf.abort_timeout_ms = 60;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    caller_abort(&c);
    turn_for(30);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight, 1);
    turn_for(80);
    expect_at_rest();
    receive_empty(fd, FCGI_ABORT_REQUEST);
    assert_true(is_closed(fd));
    caller_fini(&c);
}

/* From inside a callback, with more of the answer in the same read. */
static void test_abort_inside(void **state)
{
    struct caller c = {.aborts_on_stdout = true};
    uint8_t answer[128];
    size_t n = put_answer(answer, 1);

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    say_raw(fd, answer, n);
    turns(3);
    assert_int_equal(c.n_stdout, 1);
    expect_at_rest();
    caller_fini(&c);
}

static void test_abort_connecting(void **state)
{
    struct caller c = {0};

    (void)state;
    world.pool_conf.n_connect = 1;
    world.pool = pool_new(&world.conf, 0, N_LOOPS, stderr);
    assert_non_null(world.pool);
    world.listen_fd[0] = listen_at(world.paths[0] + strlen("unix:"), 0);
    struct fcgi_server *sv = world.pool->servers[0];
    int plugs[2];
    for (int i = 0; i < 2; i++) {
        plugs[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(plugs[i], &sv->addr.sa, sv->addr_len) < 0)
            assert_int_equal(errno, EAGAIN);
    }
    ask(&c);
    turns(2);
    assert_true(c.granted);
    caller_abort(&c);
    turns(2);
    expect_at_rest();
    close(plugs[0]);
    close(plugs[1]);
    caller_fini(&c);
}

/* ---- failures to connect ---- */

static void test_no_server(void **state)
{
    struct caller c = {0}, d = {.post = true, .unsafe = true};
    struct pool_stats stats;

    (void)state;
    world.pool_conf.n_connect = 1; /* nobody listens */
    world.pool = pool_new(&world.conf, 0, N_LOOPS, stderr);
    ask(&c);
    assert_true(comes(&c.failed));
    assert_int_equal(c.err, GW_EBACKEND_CONNECT);
    assert_true(c.retry);
    ask(&d);
    assert_true(comes(&d.failed));
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.n_failed, 2);
    caller_fini(&c);
    caller_fini(&d);
}

/* ---- times ---- */

/* begun: before c asked, so that a busy machine makes it no shorter. */
static void expect_time(struct caller *c, uint64_t begun, int err, bool retry)
{
    assert_true(comes(&c->failed));
    assert_int_equal(c->err, err);
    assert_int_equal(c->retry, retry);
    assert_true(clock_now_ms() - begun >= 30);
    caller_fini(c);
    turns(3);
    for (unsigned i = 0; i < world.n_served; i++) {
        if (world.served[i] >= 0)
            hang_up(world.served[i]);
    }
}

static void test_times(void **state)
{
    struct caller a = {0}, b = {0}, c = {.post = true}, d = {0};

    (void)state;
    world.pool_conf.first_byte_timeout_ms = 60;
    world.pool_conf.read_timeout_ms = 60;
    world.pool_conf.send_timeout_ms = 60;
    world.pool_conf.timeout_ms = 400;
    world.pool_conf.abort_timeout_ms = 60;
    open_pool(1);
    uint64_t begun = clock_now_ms();
    ask(&a);
    serve_get();
    expect_time(&a, begun, GW_EBACKEND_FIRST_TIME, false);

    begun = clock_now_ms();
    ask(&b);
    int fd = serve_get();
    say(fd, FCGI_STDOUT, "x", 1);
    turns(2);
    expect_time(&b, begun, GW_EBACKEND_READ_TIME, false);

    fill(&c.stdin_, BIG); /* which it does not read */
    begun = clock_now_ms();
    ask(&c);
    serve();
    expect_time(&c, begun, GW_EBACKEND_SEND_TIME, false);

    world.pool_conf.read_timeout_ms = 5000; /* whatever else the machine does */
    ask(&d);                                /* always something, never the end */
    fd = serve_get();
    uint64_t stop = clock_now_ms() + 2000;
    while (!d.failed && clock_now_ms() < stop) {
        say(fd, FCGI_STDOUT, "x", 1);
        turn_for(20);
    }
    assert_int_equal(d.err, GW_EBACKEND_TIME);
    receive_empty(fd, FCGI_ABORT_REQUEST);
    turn_for(100);
    expect_at_rest();
    caller_fini(&d);
}

/* A client that sends its body slowly has times of its own. */
static void test_no_time_while_the_body_comes(void **state)
{
    struct caller c = {.post = true};

    (void)state;
    world.pool_conf.first_byte_timeout_ms = 50;
    open_pool(1);
    ask(&c);
    int fd = serve();
    turn_for(150);
    assert_false(c.failed);
    uint64_t begun = clock_now_ms();
    fcgi_request_stdin_end(c.r);
    receive_empty(fd, FCGI_STDIN);
    expect_time(&c, begun, GW_EBACKEND_FIRST_TIME, false);
}

static void test_waited(void **state)
{
    struct caller a = {0}, b = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    ask(&a);
    int fd = serve_get();
    ask(&b);
    turn_for(50);
    assert_int_equal(fcgi_request_waited_ms(b.r), 0);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&b.granted));
    assert_true(fcgi_request_waited_ms(b.r) >= 30);
    receive_head(fd);
    receive_empty(fd, FCGI_STDIN);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&b.ended));
    caller_fini(&a);
    caller_fini(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_abort_running),
        T(test_abort_then_end_of_file),
        T(test_abort_timeout),
        T(test_abort_inside),
        T(test_abort_connecting),
        T(test_no_server),
        T(test_times),
        T(test_no_time_while_the_body_comes),
        T(test_waited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
