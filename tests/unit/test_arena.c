/* gateway/arena.h: alignment, blocks, overflow, growing arrays. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/arena.h"

static struct arena a;

static int setup(void **state)
{
    (void)state;
    arena_init(&a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&a);
    assert_null(a.blocks);
    return 0;
}

/* Sizes around the alignment and around the sizes of a first and a later block. */
static void results_are_aligned_and_apart(void **state)
{
    static const size_t sizes[] = {0,    1,    15,   16,   17, 2047,   2048,
                                   2049, 8191, 8192, 8193, 1,  100000, 3};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    unsigned char *at[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        at[i] = arena_alloc(&a, sizes[i]);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % _Alignof(max_align_t), 0);
        memset(at[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(at[i][k], i + 1);
    }
}

static void nothing_of_a_fresh_arena_is_not_a_failure(void **state)
{
    (void)state;
    assert_non_null(arena_alloc(&a, 0));
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_null(arena_alloc(&a, sizes[i]));
        assert_null(arena_zalloc(&a, sizes[i]));
    }
    assert_null(arena_dup(&a, slice_of("x", SIZE_MAX)).p);
    assert_null(a.blocks);
}

static void zalloc_is_zero_in_reused_memory(void **state)
{
    (void)state;
    memset(arena_alloc(&a, 4096), 0xff, 4096);
    arena_fini(&a);
    unsigned char *p = arena_zalloc(&a, 4096);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(p[i], 0);
}

static void dup_adds_a_nul_and_keeps_those_inside(void **state)
{
    (void)state;
    struct slice s = arena_dup(&a, SLICE("a\0b"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b\0", 4);

    s = arena_dup(&a, slice_of(NULL, 0));
    assert_non_null(s.p);
    assert_int_equal(s.n, 0);
    assert_int_equal(s.p[0], '\0');
}

static void printf_takes_any_length(void **state)
{
    static char big[20000];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    struct slice s = arena_printf(&a, "%s-%d", "a", 7);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.p, "a-7");
    s = arena_printf(&a, "%s", "");
    assert_int_equal(s.n, 0);
    assert_string_equal(s.p, "");
    s = arena_printf(&a, "<%s>", big);
    assert_int_equal(s.n, sizeof(big) + 1);
    assert_int_equal(s.p[0], '<');
    assert_int_equal(s.p[s.n - 1], '>');
}

static void grow_keeps_the_elements(void **state)
{
    uint32_t *array = NULL;
    size_t cap = 0;

    (void)state;
    for (uint32_t n = 0; n < 1000; n++) {
        array = arena_grow(&a, array, n, &cap, sizeof(*array));
        assert_non_null(array);
        assert_true(cap > n);
        array[n] = n;
    }
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(array[n], n);
}

static void grow_refuses_what_would_overflow(void **state)
{
    char old[1];
    size_t cap = SIZE_MAX / 2 + 1;

    (void)state;
    assert_null(arena_grow(&a, old, cap, &cap, 1));
    assert_int_equal(cap, SIZE_MAX / 2 + 1);
    cap = SIZE_MAX / 64;
    assert_null(arena_grow(&a, old, cap, &cap, 64));
    assert_int_equal(cap, SIZE_MAX / 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_are_aligned_and_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_of_a_fresh_arena_is_not_a_failure, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sizes_that_cannot_be_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(zalloc_is_zero_in_reused_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(dup_adds_a_nul_and_keeps_those_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(printf_takes_any_length, setup, teardown),
        cmocka_unit_test_setup_teardown(grow_keeps_the_elements, setup, teardown),
        cmocka_unit_test_setup_teardown(grow_refuses_what_would_overflow, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
