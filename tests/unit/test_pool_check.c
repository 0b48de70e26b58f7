/* fcgi/pool_check.c: checks over real sockets, one worker's, and what else happens meanwhile. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

enum { INTERVAL_MS = 20 };

static int setup(void **state)
{
    (void)state;
    world_fcgi();
    world.pool_conf.health_interval_ms = INTERVAL_MS;
    world.pool_conf.health_timeout_ms = 60000;
    world.pool_conf.health_path = "/ping";
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pool_drain(world.pool); /* no more checks */
    world_fcgi_end();
    return 0;
}

static void open_checked(unsigned n_servers)
{
    open_pool(n_servers);
    assert_int_equal(pool_checks_start(world.pool, world.loops[0], 0), 0);
}

/* A check's head, on a connection that is there. */
static void receive_check(int fd)
{
    uint8_t content[1024];
    size_t n;

    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_BEGIN_REQUEST);
    assert_int_equal(be16_get(content), FCGI_RESPONDER);
    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_PARAMS);
    assert_non_null(memmem(content, n, "SCRIPT_NAME/ping", 16));
    receive_empty(fd, FCGI_PARAMS);
    receive_empty(fd, FCGI_STDIN);
}

static int accept_from(unsigned server)
{
    uint64_t stop = clock_now_ms() + WORLD_MS;
    int fd = -1;

    while (fd < 0 && clock_now_ms() < stop) {
        turn_for(1);
        fd = accept_now(server);
    }
    assert_true(fd >= 0);
    return fd;
}

static void answer_status(int fd, const char *head)
{
    say(fd, FCGI_STDOUT, head, strlen(head));
    end(fd, 0, FCGI_REQUEST_COMPLETE);
}

static bool comes_true(const bool *flag, bool want)
{
    uint64_t stop = clock_now_ms() + WORLD_MS;

    while (*flag != want && clock_now_ms() < stop)
        turn_for(1);
    return *flag == want;
}

static struct fcgi_server *server(unsigned i)
{
    return world.pool->servers[i];
}

/* Out by a bad status, in steps of any size; back by a good one; on a kept connection. */
static void test_out_and_back(void **state)
{
    struct pool_stats stats;

    (void)state;
    open_checked(1);
    int fd = accept_from(0);
    receive_check(fd);
    say(fd, FCGI_STDOUT, "Status: 5", 9);
    turns(3);
    assert_false(server(0)->out);
    answer_status(fd, "03 No\n\nbody");
    assert_true(comes_true(&server(0)->out, true));
    assert_false(server(0)->out_refused);
    receive_check(fd);
    answer_status(fd, "Status: 103\n\nStatus: 299\n\n");
    assert_true(comes_true(&server(0)->out, false));
    receive_check(fd); /* and so on */
    answer_status(fd, "A: b\n\n");
    turns(3);
    assert_false(server(0)->out);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.n_requests, 0); /* they are no users' */
}

/* While it is out nobody but checks goes there, however long that is. */
static void test_no_user_is_a_probe(void **state)
{
    struct caller a = {0};

    (void)state;
    open_checked(1);
    int fd = accept_from(0);
    receive_check(fd);
    answer_status(fd, "Status: 404\n\n");
    assert_true(comes_true(&server(0)->out, true));
    receive_check(fd); /* its delay is over: the next check has no answer yet */
    ask(&a);
    turns(5);
    assert_false(a.granted);
    answer_status(fd, "A: b\n\n");
    assert_true(comes_true(&server(0)->out, false));
    int user = accept_from(0); /* the check still has its own */
    receive_head(user);
    receive_empty(user, FCGI_STDIN);
    assert_true(a.granted);
    end(user, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&a.ended));
}

/* All slots at work: no check; one is free again: a check. */
static void test_busy(void **state)
{
    struct caller a = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    world.pool_conf.health_interval_ms = 1000000;
    open_checked(1);
    ask(&a); /* before the first check */
    int fd = serve_get();
    turn_for(50);
    assert_false(server(0)->checking);
    assert_int_equal(accept_now(0), -1);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&a.ended));
}

/* Its server is retired while a check is out. */
static void test_retired_meanwhile(void **state)
{
    (void)state;
    open_checked(2);
    int fd = accept_from(0), other = accept_from(1);
    receive_check(fd);
    receive_check(other);
    pool_server_retire(world.pool, server(0));
    answer_status(fd, "Status: 500\n\n");
    answer_status(other, "A: b\n\n");
    turn_for(2 * INTERVAL_MS);
    assert_int_equal(world.pool->n_servers, 1);
    assert_false(server(0)->out);
    assert_true(is_closed(fd));
}

/* One that has no answer for too long: its slot is free when the server is through with it. */
static void test_time_over(void **state)
{
    (void)state;
    world.pool_conf.health_timeout_ms = 50;
    open_checked(1);
    int fd = accept_from(0);
    receive_check(fd);
    assert_true(comes_true(&server(0)->out, true));
    receive_empty(fd, FCGI_ABORT_REQUEST);
    assert_true(server(0)->checking);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes_true(&server(0)->checking, false));
}

/* GET_VALUES: an answer once, then it is owed; aborted by closing, for no request was begun. */
static void test_values(void **state)
{
    static const uint8_t result[] = {1,   FCGI_GET_VALUES_RESULT,
                                     0,   0,
                                     0,   18,
                                     0,   0,
                                     15,  1,
                                     'F', 'C',
                                     'G', 'I',
                                     '_', 'M',
                                     'P', 'X',
                                     'S', '_',
                                     'C', 'O',
                                     'N', 'N',
                                     'S', '0'};
    uint8_t content[256];
    size_t n;

    (void)state;
    world.pool_conf.health_path = NULL;
    world.pool_conf.health_timeout_ms = 200;
    open_checked(1);
    int fd = accept_from(0);
    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_GET_VALUES);
    say_raw(fd, result, sizeof(result));
    fd = accept_from(0);
    assert_true(server(0)->has_answered);
    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_GET_VALUES);
    assert_true(comes_true(&server(0)->out, true));
    assert_true(is_closed(fd));
    fd = accept_from(0);
    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_GET_VALUES);
    say_raw(fd, result, sizeof(result));
    assert_true(comes_true(&server(0)->out, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_out_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_user_is_a_probe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retired_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
