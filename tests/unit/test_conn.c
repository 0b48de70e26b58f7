/* gateway/conn.h and gateway/writer.h: who sends, and when a connection ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "conn_world.h"

/* ---- input ---- */

static void test_protocol_is_told(void **state)
{
    (void)state;
    open_conn(2, H2_PREFACE "rest", H2_PREFACE_LEN);
    assert_string_equal(c->proto->name, "two");
    assert_int_equal(buf_len(&p.in), H2_PREFACE_LEN);
}

static void test_input(void **state)
{
    (void)state;
    open_conn(2, "GET", 3);
    assert_string_equal(c->proto->name, "one");
    assert_int_equal(write(client, " /", 2), 2);
    world_poll(w.loop);
    assert_int_equal(buf_len(&p.in), 5);
    assert_memory_equal(buf_at(&p.in), "GET /", 5);
    conn_pause_read(c);
    assert_int_equal(write(client, "x", 1), 1);
    world_poll(w.loop);
    assert_int_equal(buf_len(&p.in), 5);
    conn_resume_read(c);
    world_poll(w.loop);
    assert_int_equal(buf_len(&p.in), 6);
}

static void test_input_breaks_it(void **state)
{
    (void)state;
    open_conn(2, NULL, 0);
    p.input_result = GW_ECLIENT_PROTO;
    p.owed = 100; /* a last word */
    assert_int_equal(write(client, "x", 1), 1);
    assert_true(world_until(w.loop, got_eof, NULL));
    assert_int_equal(n_got, 100);
}

static void test_client_goes(void **state)
{
    (void)state;
    open_conn(2, NULL, 0);
    p.eof_result = GW_ECLIENT_GONE;
    hang_up();
    assert_true(world_until(w.loop, no_conns, NULL));
    assert_int_equal(p.n_eof, 1);
}

/* Its side is closed, ours is not: the answer still comes. */
static void test_half_closed(void **state)
{
    size_t n = 300 * 1024;

    (void)state;
    open_conn(2, NULL, 0);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    world_turns(w.loop, 2);
    assert_int_equal(p.n_eof, 1);
    owe(n);
    conn_end(c, 0, true);
    assert_true(world_until(w.loop, got, &n));
    assert_true(world_until(w.loop, got_eof, NULL));
    assert_true(world_until(w.loop, no_conns, NULL)); /* nothing to linger for */
}

/* The same in the other order. */
static void test_half_closed_behind_the_end(void **state)
{
    size_t n = 300 * 1024;

    (void)state;
    open_conn(2, NULL, 0);
    owe(n);
    conn_end(c, 0, true);
    world_turns(w.loop, 3);
    p.eof_result = GW_ECLIENT_GONE;
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_true(world_until(w.loop, got, &n));
    assert_true(world_until(w.loop, no_conns, NULL));
}

/* ---- who sends ---- */

static void test_worker_sends(void **state)
{
    (void)state;
    open_conn(2, NULL, 0);
    owe(1000);
    world_poll(w.loop);
    assert_true(get());
    assert_int_equal(n_got, 1000);
    assert_int_equal(lease(), LEASE_WORKER);
    assert_int_equal(atomic_load(&c->progress_ms), 0);
}

static void test_writer_sends_the_rest(void **state)
{
    size_t n = 1024 * 1024;

    (void)state;
    open_conn(2, NULL, 0);
    owe(n);
    world_poll(w.loop);
    assert_int_not_equal(lease(), LEASE_WORKER);
    assert_true(atomic_load(&c->progress_ms) > 0);
    assert_true(world_until(w.loop, got, &n));
    expect_lease(LEASE_WORKER);
    assert_int_equal(n_got, n);
    assert_int_equal(atomic_load(&c->progress_ms), 0);
    assert_int_equal(c->epoll_events, EPOLLIN);
}

/* A client that does not read costs no thread. */
static void test_stalled(void **state)
{
    size_t n = 1024 * 1024;

    (void)state;
    open_conn(1, NULL, 0);
    owe(n);
    expect_lease(LEASE_STALLED);
    world_turns(w.loop, 2);
    assert_true(c->epoll_events & EPOLLOUT);
    owe(1000); /* more output does not change that */
    world_turns(w.loop, 2);
    assert_int_equal(lease(), LEASE_STALLED);
    n += 1000;
    assert_true(world_until(w.loop, got, &n));
    expect_lease(LEASE_WORKER);
    world_turns(w.loop, 2);
    assert_false(c->epoll_events & EPOLLOUT);
}

static void test_no_writers(void **state)
{
    size_t n = 1024 * 1024;

    (void)state;
    open_conn(0, NULL, 0);
    owe(n);
    world_poll(w.loop);
    assert_int_equal(lease(), LEASE_STALLED);
    assert_true(world_until(w.loop, got, &n));
    expect_lease(LEASE_WORKER);
}

static void test_writers_always(void **state)
{
    size_t n = 0;

    (void)state;
    conf.gateway.writer = CONF_WRITER_ALWAYS;
    open_conn(2, NULL, 0);
    for (size_t i = 0; i < 50; i++) {
        owe(i * 100 + 1);
        n += i * 100 + 1;
        assert_true(world_until(w.loop, got, &n));
    }
    expect_lease(LEASE_WORKER);
    conn_end(c, 0, false);
    assert_true(world_until(w.loop, no_conns, NULL));
}

/* Room that sending made is known to the worker while the thread still waits for the socket. */
static void test_events_while_blocked(void **state)
{
    size_t n = 200 * 1024;

    (void)state;
    open_conn(1, NULL, 0);
    p.s = stream_new(c, 1);
    p.notes = true;
    owe(n);
    world_turns(w.loop, 4); /* nobody reads */
    assert_true(p.n_events > 0);
    assert_true(world_until(w.loop, got, &n));
    expect_lease(LEASE_WORKER);
    p.notes = false;
    stream_on_close(p.s, 0);
    p.s = NULL;
}

/* ---- endings ---- */

static void test_killed_while_a_writer_sends(void **state)
{
    for (int i = 0; i < 20; i++) {
        open_conn(2, NULL, 0);
        p.s = stream_new(c, 1);
        p.notes = i % 2;
        owe(1024 * 1024);
        if (i % 4 == 0)
            world_poll(w.loop);
        else
            world_turns(w.loop, i % 5);
        conn_kill(c);
        c = NULL;
        assert_true(world_until(w.loop, no_conns, NULL));
        assert_true(world_until(w.loop, got_eof, NULL));
        teardown(state);
        setup(state);
    }
    open_conn(1, NULL, 0);
}

static void test_client_vanishes_while_a_writer_sends(void **state)
{
    (void)state;
    open_conn(1, NULL, 0);
    owe(1024 * 1024);
    world_turns(w.loop, 2);
    hang_up();
    assert_true(world_until(w.loop, no_conns, NULL));
}

static void test_client_vanishes_while_stalled(void **state)
{
    (void)state;
    open_conn(1, NULL, 0);
    owe(1024 * 1024);
    expect_lease(LEASE_STALLED);
    conn_pause_read(c); /* nor is it read */
    world_turns(w.loop, 2);
    hang_up();
    assert_true(world_until(w.loop, no_conns, NULL));
}

/* All output, then the end; the client's late input is read and dropped, so that it sees no reset. */
static void test_linger(void **state)
{
    size_t n = 500 * 1024;

    (void)state;
    open_conn(1, NULL, 0);
    owe(n);
    conn_end(c, 0, true);
    assert_true(world_until(w.loop, got, &n));
    assert_true(world_until(w.loop, got_eof, NULL));
    assert_int_equal(c->state, CONN_LINGER);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(send(client, "late", 4, MSG_NOSIGNAL), 4);
        world_turns(w.loop, 1);
    }
    assert_int_equal(buf_len(&p.in), 0);
    hang_up();
    assert_true(world_until(w.loop, no_conns, NULL));
}

static void test_protocol_breaks_while_it_produces(void **state)
{
    (void)state;
    open_conn(1, NULL, 0);
    lock_take(&c->mu);
    p.broken = true;
    lock_drop(&c->mu);
    conn_dirty(c);
    assert_true(world_until(w.loop, no_conns, NULL));
}

/* The same on a writer, behind bytes the socket does not take. */
static void test_protocol_breaks_on_a_writer(void **state)
{
    (void)state;
    open_conn(1, NULL, 0);
    owe(1024 * 1024);
    expect_lease(LEASE_STALLED);
    lock_take(&c->mu);
    p.broken = true;
    lock_drop(&c->mu);
    assert_true(world_until(w.loop, got_eof, NULL));
    assert_true(world_until(w.loop, no_conns, NULL));
}

static void test_drain(void **state)
{
    size_t n = 300 * 1024;

    (void)state;
    open_conn(1, NULL, 0);
    owe(n);
    worker_drain(&w);
    world_turns(w.loop, 2);
    assert_int_equal(p.n_shutdown, 1);
    assert_int_equal(p.shutdown_err, 0);
    assert_true(world_until(w.loop, got, &n));
    world_turns(w.loop, 3);
    assert_non_null(w.conns); /* the protocol is not done */
    lock_take(&c->mu);
    p.over = true;
    lock_drop(&c->mu);
    conn_dirty(c);
    assert_true(world_until(w.loop, no_conns, NULL));
}

static void test_stop(void **state)
{
    (void)state;
    open_conn(1, NULL, 0);
    p.s = stream_new(c, 1);
    owe(1024 * 1024);
    world_turns(w.loop, 1);
    worker_stop(&w);
    loop_run(w.loop); /* returns when the lease is back and all is freed */
    assert_null(w.conns);
    assert_int_equal(p.n_close, 1);
    c = NULL;
}

/* ---- everything at once ---- */

/* Connections of all kinds with clients of all kinds, while jobs want threads too. */
static void test_random(void **state)
{
    unsigned seed = 11;

    for (int round = 0; round < 60; round++) {
        conf.gateway.writer = round % 3 == 0 ? CONF_WRITER_ALWAYS : CONF_WRITER_AUTO;
        open_conn((unsigned)round % 3, NULL, 0);
        p.notes = round % 2;
        if (p.notes)
            p.s = stream_new(c, 1);
        for (int i = 0; i < 40; i++) {
            switch (rand_r(&seed) % 5) {
            case 0:
                owe((size_t)rand_r(&seed) % (300 * 1024));
                break;
            case 1:
            case 2:
                get();
                break;
            case 3:
                world_poll(w.loop);
                break;
            default:
                world_turn(w.loop);
            }
        }
        switch (rand_r(&seed) % 4) {
        case 0:
            conn_kill(c);
            break;
        case 1:
            hang_up();
            p.eof_result = GW_ECLIENT_GONE;
            break;
        default: {
            lock_take(&c->mu);
            size_t n = p.owed + (size_t)p.made;
            lock_drop(&c->mu);
            conn_end(c, 0, rand_r(&seed) % 2);
            assert_true(world_until(w.loop, got, &n));
            assert_int_equal(n_got, n);
            hang_up();
        }
        }
        c = NULL;
        assert_true(world_until(w.loop, no_conns, NULL));
        p.s = NULL;
        teardown(state);
        setup(state);
    }
    open_conn(1, NULL, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_protocol_is_told),
        T(test_input),
        T(test_input_breaks_it),
        T(test_client_goes),
        T(test_half_closed),
        T(test_half_closed_behind_the_end),
        T(test_worker_sends),
        T(test_writer_sends_the_rest),
        T(test_stalled),
        T(test_no_writers),
        T(test_writers_always),
        T(test_events_while_blocked),
        T(test_killed_while_a_writer_sends),
        T(test_client_vanishes_while_a_writer_sends),
        T(test_client_vanishes_while_stalled),
        T(test_linger),
        T(test_protocol_breaks_while_it_produces),
        T(test_protocol_breaks_on_a_writer),
        T(test_drain),
        T(test_stop),
        T(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
