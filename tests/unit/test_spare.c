/* gateway/spare.h: what is kept, for which sizes, how much of it, and by whom. */
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/spare.h"

enum { KEPT_MAX = 256 * 1024, BLOCK = 4096 };

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { KEEPS = 0, GLIBC = 0 };
#elif defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
enum { KEEPS = 1, GLIBC = 0 }; /* its malloc refuses nothing and tells nothing */
#else
enum { KEEPS = 1, GLIBC = 1 };
#endif

static int teardown(void **state)
{
    (void)state;
    spare_thread_fini();
    return 0;
}

/* Each size that is kept at all, and some that are not: a block holds what was asked for. */
static void a_block_holds_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t n = 0; n < 5000; n++) {
        for (size_t less = 0; less < 2 * 16 && less <= n; less++) {
            void *p = spare_alloc(n - less);
            assert_non_null(p);
            spare_free(p);
            p = spare_alloc(n);
            assert_non_null(p);
            assert_true(malloc_usable_size(p) >= n);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            memset(p, 0xa5, n);
            spare_free(p);
        }
        spare_thread_fini();
    }
}

static void the_latest_of_a_size_comes_first(void **state)
{
    (void)state;
    if (!KEEPS)
        skip();
    void *a = spare_alloc(1000), *b = spare_alloc(1000), *other = spare_alloc(600);
    spare_free(a);
    spare_free(b);
    spare_free(other);
    assert_ptr_equal(spare_alloc(1000), b);
    assert_ptr_equal(spare_alloc(996), a); /* malloc's size for it is the same */
    void *fresh = spare_alloc(1000);
    assert_ptr_not_equal(fresh, a);
    assert_ptr_not_equal(fresh, b);
    spare_free(a);
    spare_free(b);
    spare_free(fresh);
}

static void nothing_is_given_back_in_silence(void **state)
{
    (void)state;
    spare_free(NULL);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    if (!GLIBC)
        skip();
    volatile size_t most = SIZE_MAX; /* the compiler must not know, either */
    for (size_t less = 0; less < 32; less++)
        assert_null(spare_alloc(most - less));
}

/* Bytes that malloc has given out, over all threads. */
static size_t in_use(void)
{
    return mallinfo2().uordblks;
}

static void a_thread_keeps_so_much_and_no_more(void **state)
{
    enum { N = 4 * KEPT_MAX / BLOCK };
    static void *blocks[N];
    size_t before = in_use();

    (void)state;
    if (!GLIBC)
        skip();
    for (size_t i = 0; i < N; i++) {
        blocks[i] = spare_alloc(BLOCK);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < N; i++)
        spare_free(blocks[i]);
    size_t kept = in_use() - before;
    assert_true(kept <= KEPT_MAX + KEPT_MAX / 16); /* malloc's heads are extra */
    assert_true(kept > KEPT_MAX / 2);
    spare_thread_fini();
    assert_true(in_use() <= before);
}

static void *ends_as_a_thread(void *p)
{
    spare_free(p);
    void *mine = spare_alloc(1000);
    spare_free(mine);
    spare_thread_fini();
    return mine;
}

/* The other thread keeps it, and hands it to nobody but itself. */
static void one_thread_frees_what_another_took(void **state)
{
    pthread_t other;
    void *p = spare_alloc(1000), *theirs;

    (void)state;
    assert_int_equal(pthread_create(&other, NULL, ends_as_a_thread, p), 0);
    assert_int_equal(pthread_join(other, &theirs), 0);
    if (KEEPS)
        assert_ptr_equal(theirs, p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_block_holds_what_was_asked_for, teardown),
        cmocka_unit_test_teardown(the_latest_of_a_size_comes_first, teardown),
        cmocka_unit_test_teardown(nothing_is_given_back_in_silence, teardown),
        cmocka_unit_test_teardown(sizes_that_cannot_be_are_refused, teardown),
        cmocka_unit_test_teardown(a_thread_keeps_so_much_and_no_more, teardown),
        cmocka_unit_test_teardown(one_thread_frees_what_another_took, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
