/* fcgi/pool.h: who gets a slot, on which server, over which connection; and that all of it comes
 * back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

/* ---- the queue ---- */

static void test_order_and_full(void **state)
{
    struct caller c[6] = {{0}};

    (void)state;
    world.pool_conf.max_requests = 2;
    world.pool_conf.queue = 3;
    open_pool(1);
    for (int i = 0; i < 6; i++)
        ask(&c[i]);
    int a = serve_get(), b = serve_get();
    assert_int_equal(fcgi_stats().in_flight, 2);
    assert_int_equal(fcgi_stats().waiting, 3);
    assert_true(c[5].failed);
    assert_int_equal(c[5].err, GW_EPOOL_FULL);
    assert_false(c[5].retry);
    answer(a, &c[0]);
    serve_again(a);
    answer(a, &c[2]);
    serve_again(a);
    answer(b, &c[1]);
    serve_again(b);
    answer(b, &c[4]);
    answer(a, &c[3]);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(c[i].order, i + 1);
    assert_int_equal(fcgi_stats().n_requests, 5);
    assert_int_equal(fcgi_stats().n_queued, 3);
    assert_int_equal(fcgi_stats().n_full, 1);
    assert_int_equal(fcgi_stats().idle, 2);
    assert_in_range(pool_retry_after(world.pool), 1, 2);
}

static void test_queue_of_none(void **state)
{
    struct caller a = {0}, b = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    world.pool_conf.queue = 0;
    open_pool(1);
    ask(&a);
    ask(&b);
    assert_true(comes(&b.failed));
    assert_int_equal(b.err, GW_EPOOL_FULL);
    int fd = serve_get();
    answer(fd, &a);
}

static void test_queue_timeout(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    world.pool_conf.queue_timeout_ms = 50;
    open_pool(1);
    ask(&a);
    int fd = serve_get();
    ask(&b);
    ask(&c);
    uint64_t begun = clock_now_ms();
    assert_true(comes(&b.failed));
    assert_true(clock_now_ms() - begun >= 40);
    assert_int_equal(b.err, GW_EPOOL_TIME);
    assert_true(comes(&c.failed));
    assert_int_equal(fcgi_stats().waiting, 0);
    assert_int_equal(fcgi_stats().n_timed_out, 2);
    answer(fd, &a);
}

static void test_abort_while_waiting(void **state)
{
    struct caller c[4] = {{0}};

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    for (int i = 0; i < 4; i++)
        ask(&c[i]);
    int fd = serve_get();
    caller_abort(&c[2]); /* from the middle */
    assert_int_equal(fcgi_stats().waiting, 2);
    answer(fd, &c[0]);
    serve_again(fd);
    answer(fd, &c[1]);
    serve_again(fd);
    answer(fd, &c[3]);
    assert_false(c[2].granted);
}

/* Refused or granted, and gone before it hears of it. */
static void test_abort_while_the_word_is_on_its_way(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    world.pool_conf.queue = 0;
    open_pool(1);
    ask(&a);
    ask(&b);
    caller_abort(&a);
    caller_abort(&b);
    turns(2);
    assert_false(a.granted || b.failed);
    ask(&c);
    int fd = serve_get();
    answer(fd, &c);
}

/* A grant to another worker's request that is gone by then goes to the next one. */
static void test_gone_passes_its_grant_on(void **state)
{
    struct caller a = {.worker = 0}, b = {.worker = 1}, c = {.worker = 1}, d = {.worker = 0};

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    ask(&a);
    int fd = serve_get();
    ask(&b);
    ask(&c);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    while (!a.ended)
        world_turn(world.loops[0]); /* the grant is a message to the other loop now */
    ask(&d);
    assert_int_equal(fcgi_stats().waiting, 2);
    assert_false(b.granted);
    caller_abort(&b);
    serve_again(fd);
    assert_false(b.granted);
    assert_true(c.granted != d.granted);
    answer(fd, c.granted ? &c : &d);
    serve_again(fd);
    answer(fd, c.ended ? &d : &c);
}

/* Granted, and not begun: the slot goes back with its connection. */
static void test_abort_when_granted(void **state)
{
    struct caller a = {0}, b = {.waits = true}, c = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    ask(&a);
    int fd = serve_get();
    answer(fd, &a);
    ask(&b);
    assert_true(comes(&b.granted));
    ask(&c);
    caller_abort(&b);
    serve_again(fd);
    answer(fd, &c);
}

/* A worker that holds nothing gets its turn though another never runs out of requests. */
static void test_no_worker_starves(void **state)
{
    enum { N = 30 };
    struct caller busy[N], other = {.worker = 1};
    int asked = 2;

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    memset(busy, 0, sizeof(busy));
    ask(&busy[0]);
    int fd = serve_get();
    ask(&busy[1]);
    ask(&other);
    for (int i = 0; i < N && !other.granted; i++) {
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        turns(4);
        if (asked < N)
            ask(&busy[asked++]);
        receive_head(fd);
        receive_empty(fd, FCGI_STDIN);
    }
    assert_true(other.granted);
    assert_true(other.order < 12);
    for (int i = 0; i < asked; i++)
        caller_fini(&busy[i]);
    answer(fd, &other);
}

/* ---- connections ---- */

static void test_taken_over(void **state)
{
    struct caller a = {.worker = 0}, b = {.worker = 1}, c = {.worker = 0};

    (void)state;
    world.pool_conf.max_requests = 1; /* and so one connection */
    open_pool(1);
    ask(&a);
    int fd = serve_get();
    answer(fd, &a);
    for (int i = 0; i < 5; i++) {
        b = (struct caller){.worker = 1};
        c = (struct caller){.worker = 0};
        ask(&b);
        serve_again(fd);
        answer(fd, &b);
        ask(&c);
        serve_again(fd);
        answer(fd, &c);
    }
    assert_int_equal(world.n_served, 1);
    ask(&b); /* closed in its second home: the owner sees it */
    b = (struct caller){.r = b.r, .worker = 1};
    serve_again(fd);
    answer(fd, &b);
    hang_up(fd);
    turns(3);
    assert_int_equal(fcgi_stats().connections, 0);
}

static void test_own_connection_first(void **state)
{
    struct caller a = {.worker = 0}, b = {.worker = 1}, c = {.worker = 1};

    (void)state;
    world.pool_conf.max_requests = 2;
    open_pool(1);
    ask(&a);
    int fa = serve_get();
    ask(&b);
    int fb = serve_get();
    answer(fa, &a);
    answer(fb, &b);
    ask(&c);
    serve_again(fb);
    answer(fb, &c);
}

static void test_keepalive_limit(void **state)
{
    struct caller c[3] = {{0}};
    int fd[3], open = 0;

    (void)state;
    world.pool_conf.keepalive = 1;
    open_pool(1);
    for (int i = 0; i < 3; i++) {
        ask(&c[i]);
        fd[i] = serve_get();
    }
    for (int i = 0; i < 3; i++)
        answer(fd[i], &c[i]);
    assert_int_equal(fcgi_stats().idle, 1);
    assert_int_equal(fcgi_stats().connections, 1);
    for (int i = 0; i < 3; i++)
        open += !is_closed(fd[i]);
    assert_int_equal(open, 1);
}

/* No more connections to a server than it has slots, the idle ones of other workers included: a
 * libfcgi application with as many threads would hang. */
static void test_connections_never_outnumber_slots(void **state)
{
    struct caller c[4] = {{0}}, d[4] = {{0}};
    int fd[4];

    (void)state;
    open_pool(1);
    for (int i = 0; i < 4; i++) {
        ask(&c[i]);
        fd[i] = serve_get();
    }
    for (int i = 0; i < 4; i++)
        answer(fd[i], &c[i]);
    assert_int_equal(fcgi_stats().idle, 4);
    for (int i = 0; i < 4; i++) {
        d[i].worker = 1;
        ask(&d[i]);
    }
    turns(3);
    assert_int_equal(accept_now(0), -1);
    for (int i = 0; i < 4; i++) {
        receive_head(fd[i]);
        receive_empty(fd[i], FCGI_STDIN);
        end(fd[i], 0, FCGI_REQUEST_COMPLETE);
    }
    turns(3);
    for (int i = 0; i < 4; i++)
        assert_true(d[i].ended);
}

/* A fresh connection without a byte for 50 ms: a kept one may pin the thread that should take it. */
static void test_stuck(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    open_pool(1);
    ask(&a);
    int fa = serve_get();
    ask(&b);
    int fb = serve_get(); /* two connections, one of which is kept */
    answer(fa, &a);
    assert_int_equal(fcgi_stats().idle, 1);
    turn_for(150);
    assert_int_equal(fcgi_stats().idle, 0);
    assert_true(is_closed(fa));
    ask(&c); /* and none is kept while that lasts */
    int fc = serve_get();
    say(fc, FCGI_STDOUT, "x", 1);
    answer(fc, &c);
    assert_int_equal(fcgi_stats().idle, 0);
    caller_fini(&c);
    answer(fb, &b);
    assert_int_equal(fcgi_stats().idle, 1);
}

/* The server is busy, not pinned: others that are fresh were heard of meanwhile. */
static void test_not_stuck_behind_others(void **state)
{
    struct caller a = {0}, b = {0};

    (void)state;
    open_pool(1);
    ask(&a);
    int fa = serve_get();
    ask(&b);
    int fb = serve_get();
    answer(fa, &a);
    atomic_uint_least64_t *heard = &b.r->conn->server->heard_ms;
    assert_true(*heard > 0 && *heard <= clock_now_ms());
    *heard = clock_now_ms() + 100000;
    turn_for(60);
    assert_int_equal(fcgi_stats().idle, 1);
    turn_for(600); /* but not for ever: it may be one of them that is served */
    assert_int_equal(fcgi_stats().idle, 0);
    answer(fb, &b);
}

/* The same for a request whose body took its time. */
static void test_stuck_with_a_body(void **state)
{
    struct caller a = {0}, b = {.post = true};

    (void)state;
    open_pool(1);
    ask(&a);
    int fa = serve_get();
    ask(&b);
    serve();
    answer(fa, &a);
    turn_for(150);
    assert_int_equal(fcgi_stats().idle, 1); /* it waits for its body, not for a thread */
    fcgi_request_stdin_end(b.r);
    turn_for(150);
    assert_int_equal(fcgi_stats().idle, 0);
    caller_fini(&b);
}

/* ---- servers ---- */

static void test_fewest_in_flight(void **state)
{
    struct caller c[6] = {{0}};

    (void)state;
    world.pool_conf.max_requests = 6;
    open_pool(3);
    for (int i = 0; i < 6; i++)
        ask(&c[i]);
    turns(3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(accept_now(i) >= 0);
        assert_true(accept_now(i) >= 0);
        assert_int_equal(accept_now(i), -1);
    }
    for (int i = 0; i < 6; i++)
        caller_fini(&c[i]);
}

/* One that refused is passed by for a while, unless there is no other. */
static void test_failed_server(void **state)
{
    struct caller c[8] = {{0}};
    unsigned n_failed = 0;

    (void)state;
    open_pool(2);
    close(world.listen_fd[0]);
    world.listen_fd[0] = -1;
    for (int i = 0; i < 8; i++) {
        ask(&c[i]);
        turns(3);
        n_failed += c[i].failed;
        if (c[i].failed)
            continue;
        int fd = serve_get();
        world.pool_conf.keepalive = 0;
        answer(fd, &c[i]);
        hang_up(fd);
        turns(2);
    }
    assert_in_range(n_failed, 1, 2);
    close(world.listen_fd[1]);
    world.listen_fd[1] = -1;
    for (int i = 0; i < 3; i++) { /* all refuse: asked again soon, never without an answer */
        struct caller d = {0};
        ask(&d);
        assert_true(comes(&d.failed));
    }
    unlink(world.paths[0] + strlen("unix:"));
    unlink(world.paths[1] + strlen("unix:"));
}

/* ---- addresses ---- */

static void test_bad_address(void **state)
{
    char *said = NULL;
    size_t n;

    (void)state;
    world.addresses[0].text = "unix:";
    world.pool_conf.n_connect = 1;
    FILE *errors = open_memstream(&said, &n);
    assert_non_null(errors);
    assert_null(pool_new(&world.conf, 0, N_LOOPS, errors));
    fclose(errors);
    assert_string_equal(said, "pool test: address unix: cannot be resolved\n");
    free(said);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_order_and_full),
        T(test_queue_of_none),
        T(test_queue_timeout),
        T(test_abort_while_waiting),
        T(test_abort_while_the_word_is_on_its_way),
        T(test_gone_passes_its_grant_on),
        T(test_abort_when_granted),
        T(test_no_worker_starves),
        T(test_taken_over),
        T(test_own_connection_first),
        T(test_keepalive_limit),
        T(test_connections_never_outnumber_slots),
        T(test_stuck),
        T(test_not_stuck_behind_others),
        T(test_stuck_with_a_body),
        T(test_fewest_in_flight),
        T(test_failed_server),
        T(test_bad_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
