/* fcgi/pool.h when more is asked for than there is: whose turn it is, who is refused, and what
 * they are told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

/* The one place of the pool is taken by busy. */
static int open_busy(struct caller *busy)
{
    world.pool_conf.max_requests = 1;
    open_pool(1);
    ask(busy);
    return serve_get();
}

static void ask_as(struct caller *c, struct fcgi_asker *who, unsigned worker)
{
    c->asker = who;
    c->worker = worker;
    ask(c);
}

/* All that wait are served on fd, one after the other, until c has its turn; how many had it before. */
static unsigned turns_before(int fd, const struct caller *c)
{
    unsigned before = n_granted;

    while (!c->granted) {
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        serve_again(fd);
    }
    return c->order - before - 1;
}

/* ---- turns ---- */

/* One client's many requests, and one of another that comes last, on the same worker or not. */
static void test_fair_between_clients(void **state)
{
    enum { N = 40 };

    (void)state;
    for (unsigned worker = 0; worker < 2; worker++) {
        struct caller busy = {0}, many[N] = {{0}}, one = {0};
        struct fcgi_asker a = {.client = 1}, b = {.client = 2};
        world.pool_conf.queue = 100;
        int fd = open_busy(&busy);
        for (int i = 0; i < N; i++)
            ask_as(&many[i], &a, 0);
        ask_as(&one, &b, worker);
        assert_int_equal(turns_before(fd, &one), 1);
        for (int i = 0; i < N; i++)
            caller_fini(&many[i]);
        answer(fd, &one);
        if (worker == 0) {
            fcgi_teardown(state);
            fcgi_setup(state);
        }
    }
}

/* One tenant's many clients, and one of another tenant. */
static void test_fair_between_tenants(void **state)
{
    enum { N = 40 };
    struct caller busy = {0}, many[N] = {{0}}, one = {0};
    struct fcgi_asker a[N], b = {.tenant = 2, .client = 7};

    (void)state;
    world.pool_conf.queue = 100;
    int fd = open_busy(&busy);
    for (unsigned i = 0; i < N; i++) {
        a[i] = (struct fcgi_asker){.tenant = 1, .client = i};
        ask_as(&many[i], &a[i], i % 2);
    }
    ask_as(&one, &b, 1);
    assert_int_equal(turns_before(fd, &one), 1);
    for (int i = 0; i < N; i++)
        caller_fini(&many[i]);
    answer(fd, &one);
}

/* A slot stays with the worker that freed it where that is fair: most grants cost no wake-up. */
static void test_economy(void **state)
{
    enum { N = 40 };
    struct caller busy = {0}, c[N] = {{0}};
    struct fcgi_asker who[N];
    unsigned n_own = 0, last = 0;

    (void)state;
    world.pool_conf.queue = 100;
    int fd = open_busy(&busy);
    for (unsigned i = 0; i < N; i++) {
        who[i] = (struct fcgi_asker){.client = i};
        ask_as(&c[i], &who[i], i % 2);
    }
    for (unsigned turn_ = 0; turn_ < N; turn_++) {
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        serve_again(fd);
        for (unsigned i = 0; i < N; i++) {
            if (!c[i].granted || c[i].order != turn_ + 2)
                continue;
            n_own += c[i].worker == last;
            last = c[i].worker;
        }
    }
    assert_true(n_own >= N * 6 / 10);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    turns(3);
}

/* ---- a full queue ---- */

static void test_who_gives_way(void **state)
{
    struct caller busy = {0}, c[4] = {{0}}, one[2] = {{0}}, another = {0};
    struct fcgi_asker a = {.client = 1}, b[2] = {{.client = 2}, {.client = 3}};

    (void)state;
    int fd = open_busy(&busy);
    for (unsigned i = 0; i < 4; i++)
        ask_as(&c[i], &a, i % 2);
    ask_as(&one[0], &b[0], 0);
    turns(2);
    assert_true(c[3].failed); /* the newest, of the other worker */
    assert_int_equal(c[3].err, GW_EPOOL_FULL);
    assert_false(one[0].failed);
    ask_as(&one[1], &b[1], 0);
    turns(2);
    assert_true(c[2].failed); /* of the same worker */
    ask_as(&another, &b[1], 0);
    assert_true(comes(&another.failed)); /* two each: it is refused itself */
    assert_int_equal(another.err, GW_EPOOL_FULL);
    assert_int_equal(fcgi_stats().n_full, 3);
    assert_int_equal(fcgi_stats().waiting, 4);
    assert_int_equal(fcgi_stats().n_queued, 6);
    answer(fd, &busy);
    struct caller *order[] = {&c[0], &one[0], &one[1], &c[1]};
    for (int i = 0; i < 4; i++) {
        serve_again(fd);
        assert_true(order[i]->granted);
        answer(fd, order[i]);
    }
}

/* Who has to give way is gone before it hears of it. */
static void test_victim_leaves(void **state)
{
    struct caller busy = {0}, c[2] = {{0}}, one = {0};
    struct fcgi_asker a = {.client = 1}, b = {.client = 2};

    (void)state;
    world.pool_conf.queue = 2;
    int fd = open_busy(&busy);
    ask_as(&c[0], &a, 1);
    ask_as(&c[1], &a, 1);
    ask_as(&one, &b, 0);
    caller_abort(&c[1]);
    turns(2);
    assert_false(c[1].failed);
    assert_int_equal(fcgi_stats().waiting, 2);
    answer(fd, &busy);
    turns(3);
    serve_again(fd);
    answer(fd, c[0].granted ? &c[0] : &one);
    serve_again(fd);
    answer(fd, c[0].ended ? &one : &c[0]);
}

/* ---- times ---- */

/* Its time is over, but its timer was not looked at: passed over, and refused. */
static void test_late_before_the_grant(void **state)
{
    struct caller busy = {0}, late[2] = {{0}}, next = {.worker = 1};

    (void)state;
    world.pool_conf.queue_timeout_ms = 5000;
    int fd = open_busy(&busy);
    for (int i = 0; i < 2; i++) {
        ask(&late[i]);
        late[i].r->asked_ms -= 5001;
    }
    ask(&next);
    answer(fd, &busy);
    serve_again(fd);
    assert_true(next.granted);
    for (int i = 0; i < 2; i++) {
        assert_true(late[i].failed);
        assert_int_equal(late[i].err, GW_EPOOL_TIME);
    }
    assert_int_equal(fcgi_stats().n_timed_out, 2);
    assert_int_equal(fcgi_stats().n_requests, 2);
    answer(fd, &next);
}

/* The grant was under way when its time was over: refused all the same. */
static void test_late_grant(void **state)
{
    struct caller busy = {0}, late = {.worker = 1}, next = {0};

    (void)state;
    world.pool_conf.queue_timeout_ms = 5000;
    int fd = open_busy(&busy);
    ask(&late);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    while (!busy.ended)
        world_turn(world.loops[0]); /* the grant is a message */
    late.r->asked_ms -= 5001;
    ask(&next);
    turns(3);
    assert_true(late.failed);
    assert_int_equal(late.err, GW_EPOOL_TIME);
    assert_int_equal(fcgi_stats().n_timed_out, 1);
    serve_again(fd); /* its slot went on */
    answer(fd, &next);
}

/* What a request waited in earlier tries counts. */
static void test_patience_over_all_tries(void **state)
{
    struct caller busy = {0}, again = {0}, lost = {0};
    struct fcgi_asker a = {.waited_ms = 4990}, b = {.waited_ms = 7000};

    (void)state;
    world.pool_conf.queue_timeout_ms = 5000;
    int fd = open_busy(&busy);
    ask_as(&again, &a, 0);
    ask_as(&lost, &b, 0);
    assert_true(comes(&again.failed) && comes(&lost.failed));
    assert_int_equal(again.err, GW_EPOOL_TIME);
    assert_int_equal(lost.err, GW_EPOOL_TIME);
    answer(fd, &busy);
}

/* A worker that turned late is no reason to refuse who did not wait. */
static void test_granted_at_once_is_never_late(void **state)
{
    struct caller c = {0};

    (void)state;
    world.pool_conf.queue_timeout_ms = 1;
    open_pool(1);
    ask(&c);
    c.r->asked_ms -= 100;
    int fd = serve_get();
    answer(fd, &c);
}

/* ---- a pool that is down ---- */

/* The last server goes out of rotation for long: who waits is told at once. */
static void test_down_with_waiters(void **state)
{
    struct caller busy = {0}, c[3] = {{.worker = 0}, {.worker = 1}, {.worker = 1}}, d = {0};

    (void)state;
    int fd = open_busy(&busy);
    for (int i = 0; i < 3; i++)
        ask(&c[i]);
    caller_abort(&c[2]);
    world.pool->servers[0]->out_delay_ms = 2500;
    pool_server_health(world.pool, world.pool->servers[0]->serial, false, "told so");
    caller_abort(&c[1]); /* the word is on its way */
    turns(2);
    assert_true(c[0].failed);
    assert_int_equal(c[0].err, GW_EPOOL_DOWN);
    assert_false(c[1].failed || c[2].failed);
    assert_int_equal(fcgi_stats().n_down, 2);
    assert_int_equal(fcgi_stats().waiting, 0);
    ask(&d);
    assert_true(comes(&d.failed));
    assert_int_equal(d.err, GW_EPOOL_DOWN);
    assert_in_range(pool_retry_after(world.pool), 4, 5);
    answer(fd, &busy);
}

/* ---- Retry-After ---- */

static void test_retry_after(void **state)
{
    static const struct {
        unsigned n_waiting;
        uint64_t pace_us, since_ms;
        int64_t conf_ms;
        unsigned seconds;
    } rows[] = {
        {0, 0, 0, 0, 1},          {0, 2500, 0, 0, 1},
        {0, 2500, 3600000, 0, 1}, /* nobody waits: how long ago the last turn was means nothing */
        {3, 500000, 0, 0, 2},     {3, 500250, 0, 0, 3},
        {3, 2000000, 0, 0, 8},    {3, 2500, 2000, 0, 8},     /* it is slower by now */
        {3, 60000000, 0, 0, 60},  {3, 60000000, 0, 7000, 7}, /* as it is written */
        {0, 0, 0, 1500, 2},       {0, 0, 0, 3600000, 3600},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct caller busy = {0}, c[4] = {{0}};
        world.pool_conf.retry_after_ms = rows[i].conf_ms;
        int fd = open_busy(&busy);
        for (unsigned k = 0; k < rows[i].n_waiting; k++)
            ask(&c[k]);
        world.pool->pace_us = rows[i].pace_us;
        world.pool->turn_ms = clock_now_ms() - rows[i].since_ms;
        unsigned s = pool_retry_after(world.pool);
        assert_in_range(s, rows[i].seconds, rows[i].seconds + (rows[i].since_ms > 0));
        for (unsigned k = 0; k < rows[i].n_waiting; k++)
            caller_abort(&c[k]);
        answer(fd, &busy);
        fcgi_teardown(state);
        fcgi_setup(state);
    }
}

/* The pace is measured: 30 ms and more between turns. */
static void test_pace(void **state)
{
    struct caller busy = {0}, c[4] = {{0}};

    (void)state;
    int fd = open_busy(&busy);
    for (int i = 0; i < 4; i++)
        ask(&c[i]);
    for (int i = 0; i < 4; i++) {
        turn_for(30);
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        serve_again(fd);
        assert_true(c[i].granted);
    }
    assert_true(world.pool->pace_us >= 29000);
    answer(fd, &c[3]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_fair_between_clients),
        T(test_fair_between_tenants),
        T(test_economy),
        T(test_who_gives_way),
        T(test_victim_leaves),
        T(test_late_before_the_grant),
        T(test_late_grant),
        T(test_patience_over_all_tries),
        T(test_granted_at_once_is_never_late),
        T(test_down_with_waiters),
        T(test_retry_after),
        T(test_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
