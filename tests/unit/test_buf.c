/* gateway/buf.h: the buffer and the chain, against a plain model where order matters. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/buf.h"
#include "../../gateway/err.h"

/* A fixed sequence, so that a failure comes again (xorshift32). */
static uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void assert_buf(const struct buf *b, const char *want)
{
    assert_true(slice_eq(buf_slice(b), slice_str(want)));
}

static void buf_appends_and_drops(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_len(&b), 0);
    assert_int_equal(buf_append(&b, "hello", 5), 0);
    assert_int_equal(buf_puts(&b, SLICE(" world")), 0);
    assert_buf(&b, "hello world");
    buf_drop(&b, 6);
    assert_buf(&b, "world");
    buf_drop(&b, 0);
    assert_buf(&b, "world");
    buf_drop(&b, 5);
    assert_int_equal(buf_len(&b), 0);
    assert_int_equal(b.off, 0); /* an empty buffer starts over */
    buf_fini(&b);
    assert_null(b.data);
    buf_fini(&b);
}

static void buf_takes_nothing_from_nowhere(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(buf_puts(&b, slice_of(NULL, 0)), 0);
    assert_non_null(buf_reserve(&b, 0));
    assert_int_equal(buf_len(&b), 0);
    buf_clear(&b);
    buf_fini(&b);
}

static void buf_refuses_what_cannot_be(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_append(&b, "abc", 3), 0);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_null(buf_reserve(&b, SIZE_MAX / 2));
    assert_buf(&b, "abc");
    buf_fini(&b);
}

static void buf_reserve_and_commit(void **state)
{
    struct buf b = {0};

    (void)state;
    uint8_t *p = buf_reserve(&b, 1000);
    assert_non_null(p);
    memcpy(p, "xyz", 3);
    buf_commit(&b, 3);
    assert_buf(&b, "xyz");
    buf_clear(&b);
    assert_int_equal(buf_len(&b), 0);
    assert_true(b.cap >= 1000);
    buf_fini(&b);
}

static void buf_printf_grows(void **state)
{
    static char big[3000];
    struct buf b = {0};

    (void)state;
    memset(big, 'y', sizeof(big) - 1);
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    assert_int_equal(buf_len(&b), 0);
    assert_int_equal(buf_printf(&b, "%d:%s", 42, "a"), 0);
    assert_int_equal(buf_printf(&b, "%s", big), 0);
    assert_int_equal(buf_len(&b), 4 + sizeof(big) - 1);
    assert_memory_equal(buf_at(&b), "42:ay", 5);
    buf_fini(&b);
}

/* Random appends and drops against a model; the memory stays in proportion to what is unread.
 */
static void buf_follows_a_model(void **state)
{
    static uint8_t model[1 << 20];
    struct buf b = {0};
    size_t head = 0, tail = 0, most = 0;
    uint32_t seed = 2463534242u;

    (void)state;
    while (tail < sizeof(model) - 600) {
        size_t n = next_random(&seed) % 600;
        for (size_t i = 0; i < n; i++)
            model[tail + i] = (uint8_t)next_random(&seed);
        assert_int_equal(buf_append(&b, model + tail, n), 0);
        tail += n;
        n = next_random(&seed) % (tail - head + 1);
        most = tail - head > most ? tail - head : most;
        buf_drop(&b, n);
        head += n;
        assert_int_equal(buf_len(&b), tail - head);
        if (tail > head)
            assert_memory_equal(buf_at(&b), model + head, tail - head);
    }
    assert_true(b.cap <= 8 * most);
    buf_fini(&b);
}

static size_t chain_total(const struct chain *c)
{
    size_t n = 0;
    for (const struct chunk *k = c->head; k; k = k->next) {
        assert_true(k->off < k->len);
        assert_true(k->len <= k->cap);
        if (!k->next)
            assert_ptr_equal(k, c->tail);
        n += k->len - k->off;
    }
    return n;
}

static void chain_starts_and_ends_empty(void **state)
{
    struct chain c = {0};
    char out[4];

    (void)state;
    assert_int_equal(chain_front(&c).n, 0);
    assert_int_equal(chain_append(&c, NULL, 0), 0);
    assert_null(c.head);
    assert_int_equal(chain_take(&c, out, sizeof(out)), 0);
    chain_drop(&c, 0);
    chain_fini(&c);
    chain_fini(&c);
}

static void chain_gives_back_what_it_got_in_pieces_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 4096, CHUNK_MAX - 1, CHUNK_MAX, CHUNK_MAX + 1};
    enum { TOTAL = 3 * CHUNK_MAX + 17 };
    static uint8_t in[TOTAL], out[TOTAL];
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < TOTAL; i++)
        in[i] = (uint8_t)next_random(&seed);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct chain c = {0};
        for (size_t at = 0; at < TOTAL; at += sizes[s]) {
            size_t n = TOTAL - at < sizes[s] ? TOTAL - at : sizes[s];
            assert_int_equal(chain_append(&c, in + at, n), 0);
        }
        assert_int_equal(c.n, TOTAL);
        assert_int_equal(chain_total(&c), TOTAL);
        size_t step = sizes[sizeof(sizes) / sizeof(sizes[0]) - 1 - s], done = 0, n;
        while ((n = chain_take(&c, out + done, step)) > 0)
            done += n;
        assert_int_equal(done, TOTAL);
        assert_memory_equal(in, out, TOTAL);
        assert_null(c.head);
        assert_null(c.tail);
        assert_int_equal(c.n, 0);
    }
}

/* Many small pieces must not cost a chunk each. */
static void chain_fills_the_last_chunk_first(void **state)
{
    struct chain c = {0};
    size_t n_chunks = 0;

    (void)state;
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(chain_append(&c, "x", 1), 0);
    for (const struct chunk *k = c.head; k; k = k->next)
        n_chunks++;
    assert_true(n_chunks <= 10);
    assert_int_equal(chain_total(&c), 100000);
    chain_fini(&c);
}

static void chain_drop_crosses_chunks(void **state)
{
    (void)state;
    for (size_t drop = 0; drop <= 9; drop++) {
        struct chain c = {0};
        for (int i = 0; i < 3; i++) {
            struct chunk *k = chunk_new(3);
            assert_non_null(k);
            memcpy(k->data, &"abcdefghi"[3 * i], 3);
            k->len = 3;
            chain_append_chunk(&c, k);
        }
        chain_drop(&c, drop);
        assert_int_equal(c.n, 9 - drop);
        assert_int_equal(chain_total(&c), 9 - drop);
        if (drop < 9)
            assert_int_equal(chain_front(&c).p[0], 'a' + (int)drop);
        /* appending still finds the end */
        assert_int_equal(chain_append(&c, "z", 1), 0);
        assert_int_equal(chain_total(&c), 10 - drop);
        chain_fini(&c);
    }
}

static void chain_takes_over_partly_read_and_empty_chunks(void **state)
{
    struct chain c = {0};
    char out[8];

    (void)state;
    struct chunk *k = chunk_new(0);
    assert_non_null(k);
    chain_append_chunk(&c, k); /* frees it */
    assert_null(c.head);
    k = chunk_new(4);
    assert_non_null(k);
    memcpy(k->data, "wxyz", 4);
    k->len = 4;
    k->off = 3;
    chain_append_chunk(&c, k);
    assert_int_equal(c.n, 1);
    assert_int_equal(chain_take(&c, out, sizeof(out)), 1);
    assert_int_equal(out[0], 'z');
    assert_null(chunk_new((size_t)UINT32_MAX + 1));
}

static void chain_move_joins_in_order(void **state)
{
    struct chain a = {0}, b = {0};
    char out[8] = {0};

    (void)state;
    chain_move(&a, &b);
    assert_null(a.head);
    assert_int_equal(chain_append(&b, "cd", 2), 0);
    chain_move(&a, &b);
    assert_null(b.head);
    assert_int_equal(a.n, 2);
    assert_int_equal(chain_append(&b, "ef", 2), 0);
    chain_move(&a, &b);
    chain_move(&a, &b);
    assert_int_equal(chain_append(&a, "g", 1), 0);
    assert_int_equal(chain_total(&a), 5);
    assert_int_equal(chain_take(&a, out, sizeof(out)), 5);
    assert_string_equal(out, "cdefg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_appends_and_drops),
        cmocka_unit_test(buf_takes_nothing_from_nowhere),
        cmocka_unit_test(buf_refuses_what_cannot_be),
        cmocka_unit_test(buf_reserve_and_commit),
        cmocka_unit_test(buf_printf_grows),
        cmocka_unit_test(buf_follows_a_model),
        cmocka_unit_test(chain_starts_and_ends_empty),
        cmocka_unit_test(chain_gives_back_what_it_got_in_pieces_of_any_size),
        cmocka_unit_test(chain_fills_the_last_chunk_first),
        cmocka_unit_test(chain_drop_crosses_chunks),
        cmocka_unit_test(chain_takes_over_partly_read_and_empty_chunks),
        cmocka_unit_test(chain_move_joins_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
