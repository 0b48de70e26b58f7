/* fcgi/pool_balance.c: which server gets how many of the requests. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

enum { N = 24 };

static struct caller callers[N];
static unsigned n_at[N_SERVERS]; /* requests that came to each server */

static int setup(void **state)
{
    (void)state;
    world_fcgi();
    memset(callers, 0, sizeof(callers));
    memset(n_at, 0, sizeof(n_at));
    world.pool_conf.max_requests = world.pool_conf.keepalive = N;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        caller_fini(&callers[i]);
    world_fcgi_end();
    return 0;
}

/* Whom a granted request was given to. */
static unsigned server_of(const struct caller *c)
{
    for (unsigned i = 0; i < N_SERVERS; i++) {
        if (strcmp(c->r->conn->server->name, world.paths[i]) == 0)
            return i;
    }
    fail_msg("no such server");
    return 0;
}

/* n requests, at the same time. */
static void ask_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        callers[i].waits = true;
        ask(&callers[i]);
        turns(1);
        assert_true(callers[i].granted);
        n_at[server_of(&callers[i])]++;
    }
}

/* One after the other, over connections that are kept. */
static void ask_in_turn(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct caller *c = &callers[i];
        if (c->asker)
            c->asker->n_tried = 0;
        ask(c);
        turns(1);
        assert_true(c->granted);
        unsigned at = server_of(c);
        n_at[at]++;
        if (!c->r->conn->reused)
            accept_now(at);
        int fd = world.served[world.n_served - 1];
        for (unsigned k = 0; k < world.n_served; k++) { /* the one that has the request */
            char byte;
            if (recv(world.served[k], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
                fd = world.served[k];
        }
        receive_head(fd);
        receive_empty(fd, FCGI_STDIN);
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        assert_true(comes(&c->ended));
    }
}

static void expect_at(unsigned a, unsigned b, unsigned c)
{
    assert_int_equal(n_at[0], a);
    assert_int_equal(n_at[1], b);
    assert_int_equal(n_at[2], c);
}

static void test_least(void **state)
{
    (void)state;
    world.addresses[0].weight = 2;
    world.addresses[1].weight = 1;
    world.addresses[2].weight = 3;
    open_pool(3);
    ask_all(24);
    expect_at(8, 4, 12);
}

/* Among equals, kept connections or not, each has its share. */
static void test_least_one_at_a_time(void **state)
{
    (void)state;
    world.addresses[2].weight = 2;
    open_pool(3);
    ask_in_turn(16);
    expect_at(4, 4, 8);
    assert_int_equal(world.n_served, 3);
}

static void test_round_robin(void **state)
{
    (void)state;
    world.pool_conf.balance = CONF_BALANCE_ROUND_ROBIN;
    world.addresses[0].weight = 3;
    open_pool(2);
    ask_in_turn(12);
    expect_at(9, 3, 0);
    assert_int_equal(world.n_served, 2);
}

/* Spread: with 3 and 1 nobody gets more than three in a row. */
static void test_round_robin_is_smooth(void **state)
{
    (void)state;
    world.pool_conf.balance = CONF_BALANCE_ROUND_ROBIN;
    world.addresses[0].weight = 3;
    open_pool(2);
    for (unsigned i = 0; i < 4; i++) {
        memset(n_at, 0, sizeof(n_at));
        for (unsigned k = 0; k < 4; k++) {
            struct caller *c = &callers[4 * i + k];
            c->waits = true;
            ask(c);
            turns(1);
            n_at[server_of(c)]++;
        }
        expect_at(3, 1, 0);
    }
}

static void test_max(void **state)
{
    struct caller late = {.waits = true};

    (void)state;
    world.pool_conf.balance = CONF_BALANCE_ROUND_ROBIN;
    world.addresses[0].max = 2;
    world.addresses[1].max = 3;
    open_pool(2);
    ask_all(5);
    expect_at(2, 3, 0);
    ask(&late);
    turns(2);
    assert_false(late.granted);
    caller_fini(&callers[0]);
    callers[0] = (struct caller){0};
    turns(2);
    assert_true(late.granted);
    assert_int_equal(server_of(&late), 0);
    caller_fini(&late);
}

/* A backup has nothing to do until all others are full or gone. */
static void test_backup(void **state)
{
    (void)state;
    world.addresses[0].max = world.addresses[1].max = 2;
    world.addresses[2].backup = true;
    open_pool(3);
    ask_all(4);
    expect_at(2, 2, 0);
    callers[4].waits = true;
    ask(&callers[4]);
    turns(1);
    assert_int_equal(server_of(&callers[4]), 2);
    for (int i = 0; i < 5; i++)
        caller_fini(&callers[i]);
    memset(callers, 0, sizeof(callers));
    pool_server_health(world.pool, world.pool->servers[0]->serial, false, "test");
    memset(n_at, 0, sizeof(n_at));
    ask_all(2);
    expect_at(0, 2, 0);
}

/* ---- hash ---- */

static unsigned hashed(uint64_t key)
{
    struct fcgi_asker asker = {.balance_key = key};
    struct caller c = {.waits = true, .asker = &asker};

    ask(&c);
    turns(1);
    assert_true(c.granted);
    unsigned at = server_of(&c);
    caller_fini(&c);
    return at;
}

/* The same server for the same key, by weight over many keys; who goes moves its own only. */
static void test_hash(void **state)
{
    enum { KEYS = 600 };
    unsigned first[KEYS], moved = 0;

    (void)state;
    world.pool_conf.balance = CONF_BALANCE_HASH;
    world.addresses[1].weight = 2;
    open_pool(3);
    for (unsigned k = 0; k < KEYS; k++) {
        first[k] = hashed(k);
        n_at[first[k]]++;
    }
    assert_in_range(n_at[0], KEYS / 4 - 50, KEYS / 4 + 50);
    assert_in_range(n_at[1], KEYS / 2 - 60, KEYS / 2 + 60);
    assert_in_range(n_at[2], KEYS / 4 - 50, KEYS / 4 + 50);
    pool_server_retire(world.pool, world.pool->servers[0]);
    for (unsigned k = 0; k < KEYS; k++) {
        unsigned now = hashed(k);
        assert_int_equal(now, hashed(k));
        assert_true(now != 0);
        if (first[k] == 0)
            moved += now == 1;
        else
            assert_int_equal(now, first[k]);
    }
    assert_in_range(moved, n_at[0] / 2, n_at[0] * 5 / 6);
}

/* A kept connection to the wrong server does not win. */
static void test_hash_and_kept_connections(void **state)
{
    struct fcgi_asker asker = {0};
    uint64_t keys[2];

    (void)state;
    world.pool_conf.balance = CONF_BALANCE_HASH;
    open_pool(2);
    for (unsigned want = 0; want < 2; want++) {
        uint64_t k = 1;
        while (hashed(k) != want)
            k++;
        keys[want] = k;
    }
    for (unsigned i = 0; i < 8; i++)
        callers[i].asker = &asker;
    asker.balance_key = keys[0];
    ask_in_turn(4);
    expect_at(4, 0, 0);
    memset(callers, 0, sizeof(callers));
    for (unsigned i = 0; i < 8; i++)
        callers[i].asker = &asker;
    asker.balance_key = keys[1];
    ask_in_turn(1);
    expect_at(4, 1, 0);
}

/* ---- servers that were tried ---- */

static void test_tried(void **state)
{
    struct fcgi_asker asker = {0};

    (void)state;
    world.pool_conf.balance = CONF_BALANCE_HASH;
    open_pool(3);
    for (unsigned i = 0; i < 3; i++) {
        callers[i].asker = &asker;
        callers[i].waits = true;
    }
    ask_all(3);
    expect_at(1, 1, 1);
    assert_int_equal(asker.n_tried, 3);
    callers[3].asker = &asker;
    callers[3].waits = true;
    ask(&callers[3]); /* there is no other: again */
    turns(1);
    assert_true(callers[3].granted);
}

/* ---- servers that come and go ---- */

static void test_added(void **state)
{
    struct sockaddr_storage addr = {0};
    struct server_spec spec = {.name = world.paths[1], .addr = &addr, .slot = SERVER_NO_SLOT};

    (void)state;
    world.pool_conf.max_requests = 8;
    world.addresses[0].max = 1;
    open_pool(1);
    memcpy(&addr, &world.pool->servers[0]->addr.storage, sizeof(addr));
    spec.addr_len = world.pool->servers[0]->addr_len;
    for (int i = 0; i < 3; i++) {
        callers[i].waits = true;
        ask(&callers[i]);
    }
    turns(2);
    assert_true(callers[0].granted && !callers[1].granted);
    assert_non_null(pool_server_add(world.pool, &spec));
    turns(2);
    assert_true(callers[1].granted && callers[2].granted);
    assert_int_equal(server_of(&callers[1]), 1);
}

/* What is under way ends in peace; the struct is used again. */
static void test_retired(void **state)
{
    struct sockaddr_storage addr;
    struct server_spec spec = {.name = world.paths[1], .addr = &addr, .slot = SERVER_NO_SLOT};
    struct caller *a = &callers[0], *b = &callers[1], *c = &callers[2];

    (void)state;
    open_pool(1);
    struct fcgi_server *sv = world.pool->servers[0];
    memcpy(&addr, &sv->addr.storage, sizeof(addr));
    spec.addr_len = sv->addr_len;
    ask(a);
    int fa = serve_get();
    ask(b);
    int fb = serve_get();
    end(fb, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&b->ended));
    pool_server_retire(world.pool, sv);
    assert_true(is_closed(fb)); /* the idle one */
    assert_ptr_equal(world.pool->retired, sv);
    ask(c);
    assert_true(comes(&c->failed));
    assert_int_equal(c->err, GW_EPOOL_DOWN);
    end(fa, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&a->ended));
    assert_true(is_closed(fa));
    assert_null(world.pool->retired);
    assert_ptr_equal(pool_server_add(world.pool, &spec), sv);
    assert_int_equal(sv->serial, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_least),       T(test_least_one_at_a_time),
        T(test_round_robin), T(test_round_robin_is_smooth),
        T(test_max),         T(test_backup),
        T(test_hash),        T(test_hash_and_kept_connections),
        T(test_tried),       T(test_added),
        T(test_retired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
