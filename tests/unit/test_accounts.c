/* gateway/accounts.c: a table that stays as large as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>

#include "../../gateway/accounts.h"

static const uint64_t now_ns = 5000 * RATE_SECOND;
static const struct rate slow = {RATE_SECOND, 60 * RATE_SECOND};

static struct account *hold(struct accounts *as, uint64_t name, bool *lost)
{
    return accounts_hold(as, &name, sizeof(name), name, now_ns, lost);
}

static void test_one_name_one_account(void **state)
{
    struct accounts *as = accounts_new(100);
    bool lost = false;

    (void)state;
    assert_int_equal(accounts_size(as), 128);
    struct account *a = hold(as, 1, &lost), *b = hold(as, 2, &lost);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(hold(as, 1, &lost), a);
    assert_true(a->user == 1 && b->user == 2);
    assert_int_equal(a->n_holders, 2);
    account_drop(a);
    account_drop(a);
    account_hold(b);
    account_drop(b);
    account_drop(b);
    assert_false(lost);
    assert_int_equal(accounts_used(as, now_ns), 0);
    accounts_free(as);
}

/* Nothing is held, but what is owed stays until it has run off. */
static void test_what_is_owed_stays(void **state)
{
    struct accounts *as = accounts_new(16);
    struct account *a = hold(as, 7, NULL);

    (void)state;
    rate_charge(&a->level[1], &slow, 30, now_ns);
    account_drop(a);
    assert_int_equal(accounts_used(as, now_ns + 29 * RATE_SECOND), 1);
    assert_int_equal(accounts_used(as, now_ns + 30 * RATE_SECOND), 0);
    for (uint64_t name = 100; name < 10000; name++) /* who owes nothing pushes nobody out */
        account_drop(hold(as, name, NULL));
    a = hold(as, 7, NULL);
    assert_true(rate_level(&a->level[1], now_ns) == 30 * RATE_SECOND);
    account_drop(a);
    accounts_free(as);
}

/* Thousands of names that owe little do not push out the one that owes most. */
static void test_who_owes_most_stays(void **state)
{
    struct accounts *as = accounts_new(64);
    struct account *a = hold(as, 7, NULL);
    unsigned n_lost = 0;

    (void)state;
    rate_charge(&a->level[0], &slow, 60, now_ns);
    account_drop(a);
    for (uint64_t name = 100; name < 5000; name++) {
        bool lost = false;
        struct account *other = hold(as, name, &lost);
        assert_non_null(other);
        assert_true(rate_level(&other->level[0], now_ns) == 0); /* a new one */
        rate_charge(&other->level[0], &slow, 59, now_ns);
        account_drop(other);
        n_lost += lost;
    }
    assert_int_equal(accounts_used(as, now_ns), accounts_size(as));
    assert_int_equal(n_lost, 4900 + 1 - accounts_size(as));
    a = hold(as, 7, NULL);
    assert_true(rate_level(&a->level[0], now_ns) == 60 * RATE_SECOND);
    account_drop(a);
    accounts_free(as);
}

/* What is held never moves; where all is, there is no place. */
static void test_all_held(void **state)
{
    struct accounts *as = accounts_new(16);
    struct account *held[16];
    bool lost = false;

    (void)state;
    for (uint64_t i = 0; i < 16; i++)
        assert_non_null(held[i] = hold(as, i, &lost));
    assert_null(hold(as, 99, &lost));
    for (uint64_t i = 0; i < 16; i++)
        assert_ptr_equal(hold(as, i, &lost), held[i]);
    account_drop(held[3]);
    assert_null(hold(as, 99, &lost)); /* it was held twice */
    account_drop(held[3]);
    assert_ptr_equal(hold(as, 99, &lost), held[3]);
    assert_true(held[3]->user == 99);
    assert_false(lost);
    accounts_free(as);
}

static void test_at_once(void **state)
{
    atomic_uint n = 0;

    (void)state;
    assert_true(account_enter(&n, 2));
    assert_true(account_enter(&n, 2));
    assert_false(account_enter(&n, 2));
    account_leave(&n);
    assert_true(account_enter(&n, 2));
    assert_int_equal(n, 2);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20000, NAMES = 40 };

static struct accounts *shared;

/* Each name is entered by as many as hold it, and found as the last one left it. */
static void *user(void *arg)
{
    uint64_t seed = (uintptr_t)arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        uint64_t name = (seed >> 33) % NAMES;
        struct account *a = hold(shared, name, NULL);
        if (!a)
            continue;
        if (a->user != name || !account_enter(&a->at_once[0], THREADS))
            return arg;
        rate_charge(&a->level[0], &slow, 1, now_ns);
        account_leave(&a->at_once[0]);
        account_drop(a);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    void *wrong;

    (void)state;
    shared = accounts_new(16);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, user, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(accounts_used(shared, now_ns), 16);
    assert_int_equal(accounts_used(shared, now_ns + 1000 * RATE_SECOND), 0);
    accounts_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_name_one_account),
        cmocka_unit_test(test_what_is_owed_stays),
        cmocka_unit_test(test_who_owes_most_stays),
        cmocka_unit_test(test_all_held),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
