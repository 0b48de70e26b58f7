/* gateway/answer_cache.h: one answer a key and state of the file, and never more than size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../gateway/answer_cache.h"

enum { SIZE = 64 * 1024, ENTRY = 16 * 1024 };

static struct answer_cache *c;
static const struct file_state file = {1, 2, 3, {4, 5}, {6, 7}};
static const struct field fields[] = {{{"A", 1}, {"1", 1}}, {{"B", 1}, {"", 0}}};
static char bytes[2 * ENTRY];

static int setup(void **state)
{
    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    c = answer_cache_new(SIZE, ENTRY);
    return c ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    answer_cache_free(c);
    return 0;
}

static struct kept_answer *make(const char *key, int64_t n_body, uint64_t for_ms)
{
    return answer_cache_make(c, slice_str(key), &file, fields, 2, n_body, 1000, for_ms);
}

/* n bytes in pieces of step, all of them the key's first byte. */
static bool keep(const char *key, size_t n, size_t step, int64_t n_body)
{
    struct kept_answer *k = make(key, n_body, 0);

    memset(bytes, key[0], sizeof(bytes));
    for (size_t done = 0; k && done < n; done += step) {
        if (!answer_cache_add(c, k, bytes, n - done < step ? n - done : step))
            return false;
    }
    if (k)
        answer_cache_put(c, k);
    return k != NULL;
}

static const struct kept_answer *get(const char *key)
{
    return answer_cache_get(c, slice_str(key), &file, 2000);
}

static bool has(const char *key)
{
    const struct kept_answer *k = get(key);

    answer_cache_drop(c, k);
    return k != NULL;
}

static void test_kept(void **state)
{
    (void)state;
    assert_null(get("a"));
    for (int i = 0; i < 3; i++) { /* with and without a length; again: in place of the first */
        assert_true(keep("a", 5000, 700, i == 1 ? 5000 : -1));
        const struct kept_answer *k = get("a");
        assert_non_null(k);
        assert_int_equal(k->n_body, 5000);
        for (size_t at = 0; at < k->n_body; at++)
            assert_int_equal(k->body[at], 'a');
        assert_int_equal(k->n_fields, 2);
        assert_true(slice_eq(k->fields[0].name, SLICE("A")));
        assert_true(slice_eq(k->fields[1].value, SLICE("")));
        assert_int_equal(k->made_ms, 1000);
        answer_cache_drop(c, k);
        assert_true(answer_cache_used(c) < 6000);
    }
    assert_false(has("b"));
    assert_true(keep("empty", 0, 1, 0));
    assert_true(has("empty"));
    assert_true(keep("none", 0, 1, -1));
    assert_int_equal(get("none")->n_body, 0);
    answer_cache_drop(c, get("none"));
    answer_cache_drop(c, get("none"));
    answer_cache_drop(c, NULL);
}

static void test_another_file(void **state)
{
    struct file_state others[7];

    (void)state;
    for (size_t i = 0; i < 7; i++)
        others[i] = file;
    others[0].dev++;
    others[1].ino++;
    others[2].size++;
    others[3].modified.tv_sec--;
    others[4].modified.tv_nsec++;
    others[5].changed.tv_sec++;
    others[6].changed.tv_nsec++;
    for (size_t i = 0; i < 7; i++) {
        assert_true(keep("a", 10, 10, -1));
        assert_null(answer_cache_get(c, SLICE("a"), &others[i], 2000));
        assert_false(has("a")); /* what was is gone */
        assert_int_equal(answer_cache_used(c), 0);
    }
}

static void test_forgotten(void **state)
{
    (void)state;
    assert_true(keep("a", 10, 10, -1));
    const struct kept_answer *k = get("a");
    answer_cache_forget(c, SLICE("b"));
    answer_cache_forget(c, SLICE("a"));
    assert_false(has("a"));
    assert_int_equal(k->body[9], 'a'); /* who has it keeps it */
    answer_cache_drop(c, k);
    assert_int_equal(answer_cache_used(c), 0);
}

/* Of no file: only the key counts. */
static void test_no_file(void **state)
{
    (void)state;
    answer_cache_put(c, answer_cache_make(c, SLICE("a"), NULL, fields, 2, 0, 1000, 0));
    const struct kept_answer *k = answer_cache_get(c, SLICE("a"), NULL, 2000);
    assert_non_null(k);
    answer_cache_drop(c, k);
    assert_null(get("a"));
}

static void test_time(void **state)
{
    (void)state;
    answer_cache_put(c, make("a", 0, 500));
    answer_cache_drop(c, answer_cache_get(c, SLICE("a"), &file, 1499));
    assert_null(answer_cache_get(c, SLICE("a"), &file, 1500));
    assert_int_equal(answer_cache_used(c), 0);
}

static void test_limits(void **state)
{
    char key[2] = "a";

    (void)state;
    assert_true(keep("z", ENTRY, 1000, -1));
    assert_false(keep("z", ENTRY + 1, 1000, -1));
    assert_null(make("z", ENTRY + 1, 0));
    for (; key[0] < 'k'; key[0]++) {
        assert_true(keep(key, ENTRY / 2, 1000, -1));
        assert_true(has("a")); /* so that it is never the oldest */
        assert_true(answer_cache_used(c) <= SIZE);
    }
    assert_true(has("a") && has("j") && !has("b") && !has("z"));
}

/* What is being sent stays, and counts, until it is given back; what is being made too. */
static void test_held(void **state)
{
    const struct kept_answer *held[3];
    static const char *const keys[] = {"a", "b", "c"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(keep(keys[i], ENTRY, ENTRY, ENTRY));
        held[i] = get(keys[i]);
    }
    struct kept_answer *d = make("d", ENTRY / 2, 0);
    assert_non_null(d);
    assert_null(make("e", ENTRY, 0));
    assert_false(has("a") || has("b") || has("c")); /* the attempt cost them their place */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(held[i]->body[ENTRY - 1], keys[i][0]);
        answer_cache_drop(c, held[i]);
    }
    answer_cache_drop(c, d);
    assert_int_equal(answer_cache_used(c), 0);
    assert_true(keep("e", ENTRY, ENTRY, ENTRY));
}

static void test_nothing_is_kept(void **state)
{
    (void)state;
    answer_cache_free(c);
    c = answer_cache_new(0, ENTRY);
    assert_null(make("a", 0, 0));
    assert_null(get("a"));
}

static void *many(void *arg)
{
    unsigned seed = (unsigned)(size_t)arg;

    for (int i = 0; i < 3000; i++) {
        char key[2] = {(char)('a' + rand_r(&seed) % 12), '\0'};
        size_t n = 1 + (size_t)rand_r(&seed) % ENTRY;
        const struct kept_answer *k = answer_cache_get(c, slice_str(key), &file, 2000);
        if (k && (k->body[0] != key[0] || k->body[k->n_body - 1] != key[0]))
            return NULL;
        answer_cache_drop(c, k);
        if (k)
            continue;
        struct kept_answer *mine = make(key, i % 2 ? (int64_t)n : -1, 0);
        char body[ENTRY];
        memset(body, key[0], n);
        if (mine && answer_cache_add(c, mine, body, n))
            answer_cache_put(c, mine);
    }
    return arg;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    void *ret;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &ret);
        assert_non_null(ret);
    }
    assert_true(answer_cache_used(c) <= SIZE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_kept),   T(test_another_file),    T(test_time),
        T(test_limits), T(test_forgotten),       T(test_no_file),
        T(test_held),   T(test_nothing_is_kept), T(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
