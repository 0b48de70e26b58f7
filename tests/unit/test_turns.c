/* fcgi/turns.h: whose turn it is, who gives way, and what is kept of whom. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned fail_at, n_allocated; /* fail_at 0: none fails */

static void *test_calloc_or_fail(size_t n, size_t size)
{
    return ++n_allocated == fail_at ? NULL : calloc(n, size);
}

static void *test_realloc_or_fail(void *p, size_t n)
{
    return ++n_allocated == fail_at ? NULL : realloc(p, n);
}

#define calloc test_calloc_or_fail
#define realloc test_realloc_or_fail
#include "../../fcgi/turns.c"
#undef calloc
#undef realloc

#include "../../gateway/err.h"

/* One that waits: written as "tenant client worker", a letter and two digits, 'a10'. */
struct waiter {
    struct turn turn; /* first */
    unsigned tenant, client, worker;
    unsigned seq;
};

enum { WAITERS = 128 };

static struct turns ts;
static struct waiter all[WAITERS];
static unsigned n_all;

static int setup(void **state)
{
    (void)state;
    fail_at = n_allocated = n_all = 0;
    memset(all, 0, sizeof(all));
    turns_init(&ts, (struct siphash_key){{1, 2}});
    return 0;
}

static int teardown(void **state)
{
    struct turn *t;

    (void)state;
    while ((t = turns_any(&ts)))
        turns_leave(&ts, t);
    assert_int_equal(ts.n_parties, 0);
    turns_fini(&ts);
    return 0;
}

static struct waiter *add(const char *who)
{
    assert_true(n_all < WAITERS);
    struct waiter *w = &all[n_all];
    *w = (struct waiter){.tenant = (unsigned)who[0],
                         .client = (unsigned)who[1],
                         .worker = who[2] ? (unsigned)(who[2] - '0') : 0,
                         .seq = n_all++};
    w->turn.worker = w->worker;
    assert_int_equal(turns_add(&ts, &w->turn, w->tenant, w->client), 0);
    return w;
}

/* Words as add() takes them, with "*n" behind one that is added so often. */
static void add_all(const char *words)
{
    char word[16];
    int n, times;

    for (; sscanf(words, "%15s%n", word, &n) == 1; words += n) {
        char *star = strchr(word, '*');
        times = star ? (int)strtol(star + 1, NULL, 10) : 1;
        if (star)
            *star = '\0';
        while (times-- > 0)
            add(word);
    }
}

static struct waiter *take(unsigned worker)
{
    struct turn *t = turns_next(&ts, worker);

    if (!t)
        return NULL;
    assert_ptr_equal(turns_next(&ts, worker), t); /* asking changes nothing */
    turns_take(&ts, t);
    assert_null(t->client);
    return (struct waiter *)(void *)t;
}

/* The turns of all, when the slots are freed by these workers (the last one goes on). */
static void expect_order(const char *workers, const char *order)
{
    char got[4 * WAITERS] = "";
    size_t n = 0;
    struct waiter *w;

    for (; (w = take((unsigned)(*workers - '0'))); workers += workers[1] != '\0')
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%c%c%u", n ? " " : "",
                              (int)w->tenant, (int)w->client, w->seq);
    assert_string_equal(got, order);
}

/* ---- turns ---- */

static void test_nobody(void **state)
{
    (void)state;
    assert_null(turns_next(&ts, 0));
    assert_null(turns_any(&ts));
    assert_null(turns_victim(&ts, 1, 1));
    add("a1");
    assert_non_null(take(0));
    assert_null(turns_next(&ts, 0));
    assert_null(turns_any(&ts));
    assert_null(turns_victim(&ts, 1, 1));
}

static void test_order(void **state)
{
    static const struct {
        const char *waiters, *workers, *order;
    } rows[] = {
        {"a1 a1 a1", "0", "a10 a11 a12"},
        /* one of many requests, and one of one that came later */
        {"a1*4 a2", "0", "a10 a24 a11 a12 a13"},
        {"a1*3 a2 a3*2", "0", "a10 a23 a34 a11 a35 a12"},
        /* tenants first: many clients have no more than one */
        {"a1 a2 a3 a4 b1", "0", "a10 b14 a21 a32 a43"},
        {"a1*2 b1*2 b2 c1", "0", "a10 b12 c15 a11 b24 b13"},
        /* a client's requests of the worker that asks first, the others not for ever */
        {"a10 a11", "1", "a11 a10"},
        {"a10 a11*6", "1", "a11 a12 a13 a14 a10 a15 a16"},
        {"a10*8 a11", "1", "a10 a18 a11 a12 a13 a14 a15 a16 a17"},
        /* so among the clients of a round */
        {"a10 a21", "1", "a21 a10"},
        {"a10*2 a21*2", "1", "a22 a10 a23 a11"},
        {"a10 a21 a30 a41", "01", "a10 a21 a43 a32"},
        {"a10 a21 a31 a41 a51 a61 a71", "1", "a21 a32 a43 a54 a10 a65 a76"},
        /* but not among tenants */
        {"a10 b11", "1", "a10 b11"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(state);
        add_all(rows[i].waiters);
        expect_order(rows[i].workers, rows[i].order);
        teardown(state);
    }
    setup(state);
}

/* Who comes while the turns go round is behind those who are there, and before they have another. */
static void test_newcomers(void **state)
{
    (void)state;
    add_all("a1*9");
    take(0);
    take(0);
    add("a2");
    add("b1");
    take(0);
    add("a3");
    expect_order("0", "b110 a29 a13 a311 a14 a15 a16 a17 a18");
}

/* The same client comes back as soon as it was served: others have their turn in between. */
static void test_no_way_to_the_front(void **state)
{
    (void)state;
    add_all("a1*5 a2*5 a3");
    for (int i = 0; i < 4; i++) {
        bool had[3] = {false};
        for (int k = 0; k < 3; k++) {
            struct waiter *w = take(0);
            had[w->client - '1'] = true;
            if (w->client == '3')
                add("a3");
        }
        assert_true(had[0] && had[1] && had[2]);
    }
}

static void test_leaving(void **state)
{
    struct waiter *w[6];

    (void)state;
    for (int i = 0; i < 3; i++)
        w[i] = add("a1");
    w[3] = add("a2");
    w[4] = add("b1");
    w[5] = add("b1");
    turns_leave(&ts, &w[1]->turn); /* from the middle */
    turns_leave(&ts, &w[3]->turn); /* a client's only one */
    turns_leave(&ts, &w[4]->turn);
    turns_leave(&ts, &w[5]->turn); /* a tenant's last */
    assert_int_equal(ts.n_parties, 2);
    expect_order("0", "a10 a12");
    assert_int_equal(ts.n_parties, 0);
}

/* ---- a full queue ---- */

static void test_victims(void **state)
{
    static const struct {
        const char *waiters, *newcomer;
        int victim; /* its number, or -1 */
    } rows[] = {
        {"a1", "a1", -1},
        {"a1", "a2", -1}, /* both would have one */
        {"a1", "b1", -1},
        {"a1*2", "a1", -1},
        {"a1*2", "a2", 1}, /* the newest */
        {"a1*2", "b1", 1},
        {"a1*3 a2", "a2", 2},
        {"a1*2 a2", "a2", -1}, /* two each: no gain */
        {"a1*3 a2*2", "a2", -1},
        {"a1 a2*3 a3", "a4", 3},
        {"a1 a2 a3", "b1", 0},        /* a tenant of many clients */
        {"a1*2 a2*4 b1*5", "c1", 5},  /* of the tenant with most, the client with most */
        {"a1*2 a2*4 b1*5", "b2", 10}, /* six and six would be: the tenant's own */
        {"a1*2 a2*4 b1*4", "b2", 5},
        {"a1*2 a2*2 b1*3", "b1", -1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(state);
        add_all(rows[i].waiters);
        unsigned tenant = (unsigned)rows[i].newcomer[0];
        unsigned client = (unsigned)rows[i].newcomer[1];
        struct turn *t = turns_victim(&ts, tenant, client);
        assert_int_equal(t ? (int)((struct waiter *)(void *)t)->seq : -1, rows[i].victim);
        teardown(state);
    }
    setup(state);
}

/* ---- everything at random, beside a model ---- */

enum { KEYS = 12 };

static unsigned n_of(const bool *waits, unsigned tenant, unsigned client)
{
    unsigned n = 0;

    for (unsigned i = 0; i < WAITERS; i++)
        n += waits[i] && all[i].tenant == tenant && (!client || all[i].client == client);
    return n;
}

static void expect_victim(const bool *waits, unsigned tenant, unsigned client)
{
    const struct waiter *v = (struct waiter *)(void *)turns_victim(&ts, tenant, client);
    unsigned most = 0, most_own = 0;

    for (unsigned t = 1; t <= KEYS; t++) {
        unsigned n = n_of(waits, t, 0);
        most = n > most ? n : most;
    }
    for (unsigned c = 1; c <= KEYS; c++) {
        unsigned n = n_of(waits, tenant, c);
        most_own = n > most_own ? n : most_own;
    }
    if (most > n_of(waits, tenant, 0) + 1) {
        assert_non_null(v);
        assert_int_equal(n_of(waits, v->tenant, 0), most);
    } else if (most_own > n_of(waits, tenant, client) + 1) {
        assert_non_null(v);
        assert_int_equal(v->tenant, tenant);
    } else {
        assert_null(v);
        return;
    }
    for (unsigned c = 1; c <= KEYS; c++)
        assert_true(n_of(waits, v->tenant, c) <= n_of(waits, v->tenant, v->client));
    for (unsigned i = 0; i < WAITERS; i++)
        assert_true(!waits[i] || all[i].tenant != v->tenant || all[i].client != v->client ||
                    all[i].seq <= v->seq);
}

/* had[x][y]: turns that y had while x waited without one. */
static unsigned had[KEYS + 1][KEYS + 1], had_tenant[4][4];

static void note_turn(const bool *waits, const struct waiter *w)
{
    for (unsigned t = 1; t <= 3; t++) {
        had_tenant[t][w->tenant]++;
        if (t == w->tenant || n_of(waits, t, 0) == 0)
            memset(had_tenant[t], 0, sizeof(had_tenant[t]));
        for (unsigned o = 1; o <= 3; o++)
            assert_true(had_tenant[t][o] <= 1); /* strictly in turn */
    }
    if (w->tenant != 1)
        return;
    for (unsigned c = 1; c <= KEYS; c++) {
        had[c][w->client]++;
        if (c == w->client || n_of(waits, 1, c) == 0)
            memset(had[c], 0, sizeof(had[c]));
        for (unsigned o = 1; o <= KEYS; o++)
            assert_true(had[c][o] <= 2); /* at the end of one round, at the start of the next */
    }
}

static void test_random(void **state)
{
    bool waits[WAITERS] = {false};
    unsigned seed = 7, seq = 0, n_turns = 0;

    (void)state;
    memset(had, 0, sizeof(had));
    memset(had_tenant, 0, sizeof(had_tenant));
    for (int step = 0; step < 60000; step++) {
        unsigned i = (unsigned)rand_r(&seed) % WAITERS, what = (unsigned)rand_r(&seed) % 16;
        unsigned tenant = 1 + (unsigned)rand_r(&seed) % 3;
        unsigned client = 1 + (unsigned)rand_r(&seed) % (1 + (unsigned)rand_r(&seed) % KEYS);
        if (what < 8 && !waits[i]) {
            all[i] = (struct waiter){.tenant = tenant, .client = client, .seq = ++seq};
            all[i].turn.worker = (unsigned)rand_r(&seed) % 4;
            assert_int_equal(turns_add(&ts, &all[i].turn, tenant, client), 0);
            waits[i] = true;
        } else if (what == 8 && waits[i]) {
            turns_leave(&ts, &all[i].turn);
            waits[i] = false;
            if (!n_of(waits, all[i].tenant, 0))
                memset(had_tenant[all[i].tenant], 0, sizeof(had_tenant[0]));
            if (all[i].tenant == 1 && !n_of(waits, 1, all[i].client))
                memset(had[all[i].client], 0, sizeof(had[0]));
        } else if (what > 10) {
            struct waiter *w = take((unsigned)rand_r(&seed) % 4);
            if (!w)
                continue;
            waits[w - all] = false;
            note_turn(waits, w);
            n_turns++;
        }
        if (step % 16 == 0)
            expect_victim(waits, tenant, client);
    }
    assert_true(n_turns > 10000);
}

/* ---- memory ---- */

/* The 1st, 2nd, ... nth allocation fails: nobody is lost, and nothing is left. */
static void test_memory(void **state)
{
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        struct waiter w[40] = {{.tenant = 0}};
        bool waits[40];
        setup(state);
        fail_at = n;
        failed = false;
        for (unsigned i = 0; i < 40; i++) {
            unsigned before = ts.n_parties;
            int rc = turns_add(&ts, &w[i].turn, i % 6, i % 20);
            waits[i] = rc == 0;
            failed |= rc < 0;
            assert_true(rc == 0 || rc == GW_ENO_MEMORY);
            assert_true(rc == 0 || ts.n_parties == before);
        }
        for (unsigned i = 0; i < 40; i++) {
            if (waits[i])
                turns_leave(&ts, &w[i].turn);
        }
        teardown(state);
    }
    setup(state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_nobody),  T(test_order),   T(test_newcomers), T(test_no_way_to_the_front),
        T(test_leaving), T(test_victims), T(test_random),    T(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
