/* gateway/conn_times.h: what times and rates do to a connection and its streams. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "conn_world.h"

static void expect_gone_after(uint64_t ms)
{
    assert_true(world_until(w.loop, no_conns, NULL));
    assert_in_range(clock_now_ms() - opened_ms, ms, ms + 1500);
}

static void test_idle(void **state)
{
    (void)state;
    conf.gateway.idle_timeout_ms = 100;
    open_conn(1, "x", 1);
    expect_gone_after(90);
    assert_int_equal(p.n_shutdown, 1);
}

static void test_silent_from_the_start(void **state)
{
    (void)state;
    conf.gateway.head_timeout_ms = 100;
    open_conn(1, NULL, 0);
    expect_gone_after(90);
    assert_int_equal(p.n_shutdown, 1);
    assert_int_equal(p.shutdown_err, GW_EREQ_TIME);
}

static void test_client_reads_nothing(void **state)
{
    (void)state;
    conf.gateway.write_timeout_ms = 150;
    open_conn(1, "x", 1);
    owe(1024 * 1024);
    expect_gone_after(140);
}

/* Slow is not gone, however long it takes: neither while there are streams nor at the end. */
static void test_client_reads_slowly(void **state)
{
    size_t n = 200 * 1024;
    uint8_t bytes[SMALL];

    (void)state;
    conf.gateway.write_timeout_ms = 300;
    conf.gateway.idle_timeout_ms = 100;
    open_conn(1, "x", 1);
    owe(n);
    conn_end(c, 0, false);
    while (n_got < n) {
        ssize_t k = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);
        assert_true(k > 0 || (k < 0 && errno == EAGAIN)); /* not cut off */
        n_got += k > 0 ? (uint64_t)k : 0;
        world_for(w.loop, 12);
    }
    assert_true(world_until(w.loop, no_conns, NULL));
}

static const struct handler quiet = {.name = "quiet"};

/* A connection with a stream that nobody answers yet. */
static void open_stream(void)
{
    open_conn(1, "x", 1);
    p.s = stream_new(c, 1);
    p.s->req.method = SLICE("GET");
    stream_on_head(p.s);
    p.s->handler = &quiet;
}

static void answer_stream(size_t n)
{
    const struct response r = {.status = 200, .content_length = -1};
    char bytes[1024] = "";

    stream_send_head(p.s, &r);
    stream_send_body(p.s, bytes, n);
    stream_finish(p.s);
}

/* Turns until the stream is gone, with step() after each; how long it took. */
static uint64_t until_reset(void (*step)(void))
{
    uint64_t begun = clock_now_ms();

    while (p.s && clock_now_ms() < begun + 3000) {
        world_for(w.loop, 5);
        if (p.s)
            step();
    }
    assert_null(p.s);
    assert_int_equal(p.n_resets, 1);
    return clock_now_ms() - begun;
}

static void do_nothing(void)
{
}

/* Everything was handed in and the socket is free, but the client opens no window for it. */
static void test_stream_is_not_taken(void **state)
{
    (void)state;
    conf.gateway.write_timeout_ms = 150;
    open_stream();
    answer_stream(5);
    assert_true(until_reset(do_nothing) >= 140);
    assert_int_equal(p.reset_err, GW_ECLIENT_SLOW);
    assert_int_equal(p.calm_err, GW_ECLIENT_SLOW);
}

static void take_a_byte(void)
{
    lock_take(&c->mu);
    if (p.s->out.body.n > 1) {
        chain_drop(&p.s->out.body, 1);
        stream_out_took_locked(p.s, 1);
    }
    lock_drop(&c->mu);
}

/* The same byte by byte: no timeout ever passes, but the rate is not kept. */
static void test_stream_is_taken_in_bytes(void **state)
{
    (void)state;
    conf.gateway.write_timeout_ms = 200;
    conf.gateway.response_min_rate = 1000 * 1000;
    open_stream();
    answer_stream(1024);
    assert_true(until_reset(take_a_byte) >= 190);
    assert_int_equal(p.reset_err, GW_ECLIENT_RATE);
    assert_int_equal(p.calm_err, GW_ECLIENT_RATE);
}

/* Without a rate any byte will do. */
static void test_no_rate(void **state)
{
    (void)state;
    conf.gateway.write_timeout_ms = 200;
    open_stream();
    answer_stream(1024);
    for (int i = 0; i < 100; i++) {
        world_for(w.loop, 5);
        assert_non_null(p.s);
        take_a_byte();
    }
}

/* Who is late with a body is answered; the protocol of this world does not take the answer. */
static void end_answered(void)
{
    if (!p.s->answered)
        return;
    p.s_err = p.s->err;
    fake_reset(p.s, p.s->err);
    conn_dirty(c);
    world_turns(w.loop, 2);
}

static void come_a_byte(void)
{
    if (p.s->answered) {
        end_answered();
        return;
    }
    p.s->in_total++;
    stream_on_body(p.s);
}

static void test_body_stays_away(void **state)
{
    (void)state;
    conf.gateway.body_timeout_ms = 150;
    open_stream();
    stream_want_body(p.s);
    assert_true(until_reset(end_answered) >= 140);
    assert_int_equal(p.s_err, GW_EBODY_TIME);
    assert_int_equal(p.calm_err, 0);
}

static void test_body_comes_in_bytes(void **state)
{
    (void)state;
    conf.gateway.body_timeout_ms = 200;
    conf.gateway.body_min_rate = 1000 * 1000;
    open_stream();
    stream_want_body(p.s);
    assert_true(until_reset(come_a_byte) >= 190);
    assert_int_equal(p.s_err, GW_EBODY_SLOW);
    assert_int_equal(p.calm_err, GW_EBODY_SLOW);
}

/* It is not the client's turn: its handler is busy, or it has no credit. */
static void test_body_is_not_waited_for(void **state)
{
    (void)state;
    conf.gateway.body_timeout_ms = 150;
    conf.gateway.body_min_rate = 1000;
    open_stream();
    world_for(w.loop, 300);
    assert_false(p.s->answered);
    stream_want_body(p.s);
    p.no_credit_in = true;
    world_for(w.loop, 300);
    assert_false(p.s->answered);
    p.no_credit_in = false;
    assert_true(until_reset(end_answered) >= 60); /* from the last look without credit */
    assert_int_equal(p.s_err, GW_EBODY_TIME);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_idle),
        T(test_silent_from_the_start),
        T(test_client_reads_nothing),
        T(test_client_reads_slowly),
        T(test_stream_is_not_taken),
        T(test_stream_is_taken_in_bytes),
        T(test_no_rate),
        T(test_body_stays_away),
        T(test_body_comes_in_bytes),
        T(test_body_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
