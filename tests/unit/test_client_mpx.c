/* fcgi/client.h with multiplex = auto: several requests on one connection, over real sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mpx_world.h"

/* ---- what servers say ---- */

static void test_asked_and_not_offered(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    open_pool(1);
    ask(&a);
    int fd = accepted();
    expect_question(fd);
    receive_request(fd, false);
    say_values(fd, "1", "0");
    turns(2);
    ask(&b);
    int other = accepted();
    assert_int_equal(receive_request(other, false), 1); /* it is not asked again */
    end_id(fd, 1, 0);
    end_id(other, 1, 0);
    assert_true(comes(&a.ended) && comes(&b.ended));
    ask(&c);
    turns(3);
    assert_int_equal(receive_request(other, false), 2);
    end_id(other, 2, 0);
    assert_true(comes(&c.ended));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

/* Silence, or FCGI_UNKNOWN_TYPE: nothing is waited for, and nobody asks for ever. */
static void test_silence(void **state)
{
    for (int knows_type = 0; knows_type < 2; knows_type++) {
        world.pool_conf.keepalive = 1;
        open_pool(1);
        for (int i = 0; i < 5; i++) {
            struct caller c = {0};
            ask(&c);
            int fd = accepted();
            if (i < 3)
                expect_question(fd);
            receive_request(fd, false);
            if (i < 3 && knows_type) {
                uint8_t unknown[16] = {0};
                fcgi_record_header(unknown, FCGI_UNKNOWN_TYPE, 0, 8, 0);
                unknown[8] = FCGI_GET_VALUES;
                say_raw(fd, unknown, sizeof(unknown));
            }
            say_id(fd, 1, FCGI_STDOUT, "x");
            end_id(fd, 1, 0);
            assert_true(comes(&c.ended));
            expect_text(&c.out, "x");
            hang_up(fd);
            turns(2);
            caller_fini(&c);
        }
        if (!knows_type)
            mpx_again(state);
    }
}

/* What could not be sent again is not sent behind a question that a server may close for. */
static void test_not_asked_before_a_body(void **state)
{
    struct caller c = {.post = true, .unsafe = true, .stdin_eof = true};

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = accepted();
    receive_request(fd, false); /* with the end of an empty body */
    end_id(fd, 1, 0);
    assert_true(comes(&c.ended));
    caller_fini(&c);
}

/* ---- several on one connection ---- */

static void test_share(void **state)
{
    struct caller a = {0}, b = {0}, c = {0}, d = {0};

    int fd = open_shared(&a, NULL);
    (void)state;
    assert_int_equal(ask_on(fd, &b), 2);
    assert_int_equal(ask_on(fd, &c), 3);
    say_id(fd, 3, FCGI_STDOUT, "c");
    say_id(fd, 1, FCGI_STDOUT, "a");
    say_id(fd, 2, FCGI_STDERR, "log");
    say_id(fd, 2, FCGI_STDOUT, "b");
    end_id(fd, 2, 0);
    assert_true(comes(&b.ended));
    expect_text(&b.out, "b");
    expect_text(&b.log, "log");
    assert_int_equal(ask_on(fd, &d), 2 + PLACES); /* the same place, another id */
    say_id(fd, 1, FCGI_STDOUT, "A");
    end_id(fd, 1, 0);
    end_id(fd, 3, 0);
    say_id(fd, 2 + PLACES, FCGI_STDOUT, "d");
    end_id(fd, 2 + PLACES, 0);
    assert_true(comes(&d.ended) && a.ended && c.ended);
    expect_text(&a.out, "aA");
    expect_text(&c.out, "c");
    expect_text(&d.out, "d");
    expect_no_connection();
    expect_at_rest();
    assert_false(is_closed(fd));
    struct caller e = {0};
    assert_int_equal(ask_on(fd, &e), 1 + PLACES); /* kept, and shared as before */
    struct caller f = {0};
    assert_int_equal(ask_on(fd, &f), 2 + 2 * PLACES);
    end_id(fd, 1 + PLACES, 0);
    end_id(fd, 2 + 2 * PLACES, 0);
    assert_true(comes(&f.ended));
    struct caller *all[] = {&a, &b, &c, &d, &e, &f};
    for (size_t i = 0; i < 6; i++)
        caller_fini(all[i]);
}

/* No more than multiplex_requests, and only those of one worker. */
static void test_places(void **state)
{
    struct caller all[PLACES] = {0}, more = {0}, other = {.worker = 1};
    int fd = open_shared(&all[0], NULL);

    (void)state;
    for (unsigned i = 1; i < PLACES; i++)
        assert_int_equal(ask_on(fd, &all[i]), i + 1);
    ask(&more);
    int second = accepted();
    assert_int_equal(receive_request(second, false), 1);
    ask(&other);
    int third = accepted();
    assert_int_equal(receive_request(third, false), 1);
    for (unsigned i = 0; i < PLACES; i++)
        end_id(fd, (uint16_t)(i + 1), 0);
    end_id(second, 1, 0);
    end_id(third, 1, 0);
    assert_true(comes(&other.ended) && comes(&more.ended));
    for (unsigned i = 0; i < PLACES; i++) {
        assert_true(comes(&all[i].ended));
        caller_fini(&all[i]);
    }
    caller_fini(&more);
    caller_fini(&other);
}

/* Slots count requests, whatever the connections. */
static void test_slots_are_kept(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    world.pool_conf.max_requests = 2;
    int fd = open_shared(&a, NULL);
    assert_int_equal(ask_on(fd, &b), 2);
    ask(&c);
    turns(3);
    assert_false(c.granted);
    end_id(fd, 1, 0);
    assert_true(comes(&c.granted));
    assert_int_equal(receive_request(fd, false), 1 + PLACES);
    end_id(fd, 1 + PLACES, 0);
    end_id(fd, 2, 0);
    assert_true(comes(&c.ended));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

static size_t put_two_answers(uint8_t *to, uint16_t b, uint16_t c)
{
    uint8_t *at = to;

    at += put(at, b, FCGI_STDOUT, "b1");
    at += put(at, c, FCGI_STDOUT, "c1");
    at += put(at, b, FCGI_STDERR, "e");
    at += put(at, c, FCGI_STDOUT, "c2");
    fcgi_end_request(at, c, 7, 0);
    at[6] = 2; /* padding */
    memcpy(at + 16, "pp", 2);
    at += 18;
    at += put(at, b, FCGI_STDOUT, "b2");
    at += put(at, b, FCGI_STDOUT, "");
    fcgi_end_request(at, b, 8, 0);
    return (size_t)(at + 16 - to);
}

/* Interleaved records, cut at every byte. */
static void test_split(void **state)
{
    uint8_t answer[256];
    struct caller keeps = {0};
    size_t n = 1;

    int fd = open_shared(&keeps, NULL);
    (void)state;
    for (size_t cut = 0; cut <= n; cut++) {
        struct caller b = {0}, c = {0};
        uint16_t b_id = ask_on(fd, &b), c_id = ask_on(fd, &c);
        n = put_two_answers(answer, b_id, c_id);
        say_raw(fd, answer, cut);
        turns(2);
        say_raw(fd, answer + cut, n - cut);
        assert_true(comes(&b.ended) && comes(&c.ended));
        expect_text(&b.out, "b1b2");
        expect_text(&b.log, "e");
        expect_text(&c.out, "c1c2");
        assert_int_equal(b.app_status, 8);
        assert_int_equal(c.app_status, 7);
        caller_fini(&b);
        caller_fini(&c);
    }
    end_id(fd, 1, 0);
    assert_true(comes(&keeps.ended));
    caller_fini(&keeps);
}

/* ---- bodies ---- */

/* Nobody is put behind a body, which the application may not read. */
static void test_a_body_keeps_others_away(void **state)
{
    struct caller a = {0}, b = {.post = true, .stdin_eof = true}, c = {0}, d = {0};
    size_t n;

    (void)state;
    int fd = open_shared(&a, NULL);
    chain_append(&b.stdin_, "body", 4);
    assert_int_equal(ask_on(fd, &b), 2);
    assert_int_equal(receive_id(fd, FCGI_STDIN, &n), 2);
    assert_int_equal(receive_id(fd, FCGI_STDIN, &n), 2);
    ask(&c);
    int other = accepted();
    receive_request(other, false);
    end_id(fd, 2, 0);
    end_id(other, 1, 0);
    assert_true(comes(&b.ended) && comes(&c.ended));
    assert_int_equal(ask_on(fd, &d), 2 + PLACES);
    end_id(fd, 1, 0);
    end_id(fd, 2 + PLACES, 0);
    assert_true(comes(&d.ended));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
    caller_fini(&d);
}

/* A server that opens no more connections gets several bodies on one: a record of each in turn. */
static void test_bodies_take_turns(void **state)
{
    enum { N = 3, BODY = 400 * 1024 };
    static uint8_t record[FCGI_RECORD_CONTENT_MAX];
    struct caller keeps = {0}, all[N] = {0};
    size_t at[N] = {0};
    unsigned n_ended = 0, n_records = 0, last = 0, n_twice = 0;

    (void)state;
    int fd = open_shared(&keeps, "1");
    for (unsigned i = 0; i < N; i++) {
        all[i] = (struct caller){.post = true, .unsafe = true, .stdin_eof = true};
        fill(&all[i].stdin_, BODY);
        ask(&all[i]);
        turns(3);
    }
    expect_no_connection();
    while (n_ended < N) {
        uint8_t head[FCGI_RECORD_HEADER];
        receive(fd, head, sizeof(head));
        size_t n = be16_get(head + 4);
        unsigned who = be16_get(head + 2) - 2u;
        receive(fd, record, n + head[6]);
        assert_true(who < N);
        if (head[1] != FCGI_STDIN)
            continue;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(record[i], pattern(at[who] + i));
        at[who] += n;
        n_ended += n == 0;
        n_twice += n && who == last;
        n_records++;
        last = who;
    }
    assert_true(n_records >= N * BODY / (32 * 1024));
    assert_true(n_twice <= 16); /* what was there before the second began, and after the last */
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(at[i], BODY);
        end_id(fd, (uint16_t)(i + 2), 0);
        assert_true(comes(&all[i].ended));
        caller_fini(&all[i]);
    }
    end_id(fd, 1, 0);
    assert_true(comes(&keeps.ended));
    assert_false(is_closed(fd));
    caller_fini(&keeps);
}

/* ---- pauses ---- */

static void test_pause(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    int fd = open_shared(&a, NULL);
    assert_int_equal(ask_on(fd, &b), 2);
    assert_false(fcgi_request_pause(a.r)); /* not beside another */
    end_id(fd, 2, 0);
    assert_true(comes(&b.ended));
    assert_true(fcgi_request_pause(a.r));
    say_id(fd, 1, FCGI_STDOUT, "a");
    ask(&c);
    int other = accepted();
    receive_request(other, false);
    end_id(other, 1, 0);
    assert_true(comes(&c.ended));
    assert_int_equal(a.n_stdout, 0);
    fcgi_request_resume(a.r);
    struct caller d = {0};
    assert_int_equal(ask_on(fd, &d), 2 + PLACES);
    assert_int_equal(a.n_stdout, 1);
    end_id(fd, 2 + PLACES, 0);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended) && d.ended);
    struct caller *all[] = {&a, &b, &c, &d};
    for (size_t i = 0; i < 4; i++)
        caller_fini(all[i]);
}

/* Who has to be able to pause shares nothing. */
static void test_alone(void **state)
{
    struct fcgi_asker alone = {.alone = true};
    struct caller a = {0}, b = {0}, c = {0};

    (void)state;
    int fd = open_shared(&a, NULL);
    b.r = fcgi_request_new(world.pool, world.loops[0], 0, &alone, &caller_ops, &b);
    int other = accepted();
    assert_int_equal(receive_request(other, false), 1);
    end_id(fd, 1, 0);
    assert_true(comes(&a.ended));
    assert_true(fcgi_request_pause(b.r));
    fcgi_request_resume(b.r);
    ask(&c);
    turns(3);
    assert_int_equal(receive_request(fd, false), 1 + PLACES);
    end_id(other, 1, 0);
    end_id(fd, 1 + PLACES, 0);
    assert_true(comes(&b.ended) && comes(&c.ended));
    caller_fini(&a);
    caller_fini(&b);
    caller_fini(&c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mpx_setup, mpx_teardown)
    const struct CMUnitTest tests[] = {
        T(test_asked_and_not_offered),
        T(test_silence),
        T(test_not_asked_before_a_body),
        T(test_share),
        T(test_places),
        T(test_slots_are_kept),
        T(test_split),
        T(test_a_body_keeps_others_away),
        T(test_bodies_take_turns),
        T(test_pause),
        T(test_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
