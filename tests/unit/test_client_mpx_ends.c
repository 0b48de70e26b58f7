/* fcgi/client.h with multiplex = auto: how one request ends beside the others of its connection,
 * and how all end with it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mpx_world.h"

/* ---- one ends, the others do not ---- */

/* net/http/fcgi answers an abort at once, and goes on saying what its handler says. */
static void test_abort(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};
    size_t n;
    int fd = open_shared(&a, NULL);

    (void)state;
    assert_int_equal(ask_on(fd, &b), 2);
    caller_abort(&b);
    turns(2);
    assert_int_equal(receive_id(fd, FCGI_ABORT_REQUEST, &n), 2);
    say_id(fd, 2, FCGI_STDOUT, "never seen");
    end_id(fd, 2, 0);
    say_id(fd, 2, FCGI_STDOUT, "late");
    turns(2);
    assert_int_equal(ask_on(fd, &c), 2 + PLACES); /* 2 is not used again */
    say_id(fd, 2, FCGI_STDERR, "later");
    end_id(fd, 2, 0);
    say_id(fd, 2 + PLACES, FCGI_STDOUT, "c");
    say_id(fd, 1, FCGI_STDOUT, "a");
    end_id(fd, 2 + PLACES, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended) && c.ended);
    expect_text(&a.out, "a");
    expect_text(&c.out, "c");
    expect_text(&c.log, "");
    assert_int_equal(b.n_stdout, 0);
    expect_at_rest();
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

/* One that does not end keeps its slot for abort_timeout; its connection takes nobody more and goes
 * with the last that is on it. */
static void test_abort_timeout(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};
    struct pool_stats stats;

    (void)state;
    world.pool_conf.abort_timeout_ms = 60;
    int fd = open_shared(&a, NULL);
    assert_int_equal(ask_on(fd, &b), 2);
    caller_abort(&b);
    turns(2);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight, 2);
    turn_for(150);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight, 1);
    ask(&c);
    int other = accepted();
    receive_request(other, false);
    say_id(fd, 2, FCGI_STDOUT, "late");
    say_id(fd, 1, FCGI_STDOUT, "a");
    turns(2);
    assert_false(is_closed(fd));
    end_id(fd, 1, 0);
    end_id(other, 1, 0);
    assert_true(comes(&a.ended) && comes(&c.ended));
    expect_text(&a.out, "a");
    assert_true(is_closed(fd));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

static void test_times_are_each_ones_own(void **state)
{
    struct caller a = {0}, b = {0};
    size_t n;

    (void)state;
    world.pool_conf.first_byte_timeout_ms = 150;
    world.pool_conf.read_timeout_ms = 150;
    int fd = open_shared(&a, NULL);
    assert_int_equal(ask_on(fd, &b), 2);
    uint64_t stop = clock_now_ms() + WORLD_MS;
    while (!b.failed && clock_now_ms() < stop) {
        say_id(fd, 1, FCGI_STDOUT, "a");
        turn_for(20);
    }
    assert_int_equal(b.err, GW_EBACKEND_FIRST_TIME);
    assert_false(a.failed);
    assert_int_equal(receive_id(fd, FCGI_ABORT_REQUEST, &n), 2);
    end_id(fd, 2, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended));
    assert_false(is_closed(fd));
    expect_at_rest();
    caller_fini(&a);
    caller_fini(&b);
}

/* It was answered before all of its body was sent: the server hears of the end of that, and the id
 * is not used again. */
static void test_answered_early(void **state)
{
    struct caller a = {0}, b = {.post = true, .unsafe = true}, c = {0};
    size_t n;

    (void)state;
    int fd = open_shared(&a, NULL);
    chain_append(&b.stdin_, "body", 4);
    assert_int_equal(ask_on(fd, &b), 2);
    assert_int_equal(receive_id(fd, FCGI_STDIN, &n), 2);
    assert_int_equal(n, 4);
    end_id(fd, 2, 0);
    assert_true(comes(&b.ended));
    turns(2);
    assert_int_equal(receive_id(fd, FCGI_STDIN, &n), 2);
    assert_int_equal(n, 0);
    assert_int_equal(ask_on(fd, &c), 2 + PLACES);
    end_id(fd, 2 + PLACES, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended) && c.ended);
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

/* From inside a callback: its own end, with the others' records in the same read. */
static void test_abort_inside(void **state)
{
    struct caller a = {0}, b = {.aborts_on_stdout = true};
    uint8_t answer[64], *at = answer;
    int fd = open_shared(&a, NULL);

    (void)state;
    assert_int_equal(ask_on(fd, &b), 2);
    at += put(at, 2, FCGI_STDOUT, "1");
    at += put(at, 1, FCGI_STDOUT, "a");
    at += put(at, 2, FCGI_STDOUT, "2");
    say_raw(fd, answer, (size_t)(at - answer));
    end_id(fd, 2, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended));
    expect_text(&a.out, "a");
    assert_int_equal(b.n_stdout, 1);
    expect_at_rest();
    caller_fini(&a);
    caller_fini(&b);
}

/* What is said of a request that is over, a second END_REQUEST even, is nobody's. */
static void test_said_of_one_that_is_over(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};
    int fd = open_shared(&a, NULL);

    (void)state;
    assert_int_equal(ask_on(fd, &b), 2);
    end_id(fd, 2, 0);
    end_id(fd, 2, 0);
    say_id(fd, 2, FCGI_STDOUT, "not yours");
    assert_true(comes(&b.ended));
    assert_int_equal(ask_on(fd, &c), 2 + PLACES);
    end_id(fd, 2, 0);
    say_id(fd, 2, FCGI_STDOUT, "nor yours");
    say_id(fd, 2 + PLACES, FCGI_STDOUT, "c");
    say_id(fd, 1, FCGI_STDOUT, "a");
    end_id(fd, 2 + PLACES, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended) && c.ended);
    expect_text(&a.out, "a");
    expect_text(&b.out, "");
    expect_text(&c.out, "c");
    expect_at_rest();
    assert_false(is_closed(fd));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

/* ---- all end ---- */

/* The others' answers cannot be told apart any more: each ends by its own rule. */
static void test_protocol_errors(void **state)
{
    static const struct {
        uint16_t id;
        uint8_t type;
        bool fault; /* of the second's own */
    } rows[] = {
        {4, FCGI_STDOUT, false}, /* never opened */
        {3, FCGI_STDIN, false},  /* it has ended, and this is ours to say */
        {2 + PLACES, FCGI_STDOUT, false},
        {65535, FCGI_END_REQUEST, false},
        {2, FCGI_STDIN, true},
        {2, 77, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct caller a = {0}, b = {0}, c = {0};
        int fd = open_shared(&a, NULL);
        assert_int_equal(ask_on(fd, &b), 2);
        assert_int_equal(ask_on(fd, &c), 3);
        end_id(fd, 3, 0);
        say_id(fd, 1, FCGI_STDOUT, "a");
        turns(2);
        say_id(fd, rows[i].id, rows[i].type, "12345678");
        assert_true(comes(&a.failed) && b.failed && c.ended);
        assert_int_equal(a.err, GW_EFCGI_PROTO);
        assert_int_equal(b.err, GW_EFCGI_PROTO);
        assert_int_equal(a.retry, FCGI_RETRY_NO);
        assert_int_equal(b.retry, rows[i].fault ? FCGI_RETRY_NO : FCGI_RETRY_IDEMPOTENT);
        assert_true(is_closed(fd));
        caller_fini(&a);
        caller_fini(&b);
        caller_fini(&c);
        mpx_again(state);
    }
}

static void test_server_closes(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    int fd = open_shared(&a, NULL);
    assert_int_equal(ask_on(fd, &b), 2);
    say_id(fd, 1, FCGI_STDOUT, "a");
    turns(2);
    c.waits = true;
    ask(&c); /* granted the same connection, and not begun */
    loop_run_tasks(world.loops[0]);
    assert_true(c.granted);
    hang_up(fd);
    assert_true(comes(&a.failed) && b.failed);
    assert_int_equal(a.err, GW_EBACKEND_CLOSED);
    assert_int_equal(a.retry, FCGI_RETRY_NO);
    assert_int_equal(b.retry, FCGI_RETRY_IDEMPOTENT);
    caller_begin(&c);
    fd = accepted(); /* a fresh one */
    assert_int_equal(receive_request(fd, false), 1);
    end_id(fd, 1, 0);
    assert_true(comes(&c.ended));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

/* A server that does not what it said gets a connection for each, and what it refused again. */
static void test_cannot_after_all(void **state)
{
    struct caller a = {0}, b = {.unsafe = true}, c = {0};

    (void)state;
    int fd = open_shared(&a, NULL);
    assert_int_equal(ask_on(fd, &b), 2);
    end_id(fd, 2, FCGI_CANT_MPX_CONN);
    assert_true(comes(&b.failed));
    assert_int_equal(b.err, GW_EBACKEND_MPX);
    assert_int_equal(b.retry, FCGI_RETRY_UNSENT);
    ask(&c);
    int other = accepted();
    assert_int_equal(receive_request(other, false), 1);
    end_id(other, 1, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&c.ended) && comes(&a.ended));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mpx_setup, mpx_teardown)
    const struct CMUnitTest tests[] = {
        T(test_abort),           T(test_abort_timeout), T(test_times_are_each_ones_own),
        T(test_answered_early),  T(test_abort_inside),  T(test_said_of_one_that_is_over),
        T(test_protocol_errors), T(test_server_closes), T(test_cannot_after_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
