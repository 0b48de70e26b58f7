/*
 * fcgi/params.c: exact bytes, every split, lengths at their edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fastcgi.h>

#include "../../fcgi/params.h"
#include "../../fcgi/record.h"
#include "../../gateway/err.h"

enum { MAX = 1 << 20 };

static void put(struct buf *out, const char *name, const char *value)
{
    assert_int_equal(fcgi_params_put(out, slice_str(name), slice_str(value)), 0);
}

/* n bytes, all c. */
static struct slice run(size_t n, char c)
{
    char *p = malloc(n + 1);

    assert_non_null(p);
    memset(p, c, n);
    p[n] = '\0';
    return slice_of(p, n);
}

static void run_free(struct slice s)
{
    free((void *)(uintptr_t)s.p);
}

/* "name=value;" for each pair. */
static int note(void *arg, struct slice name, struct slice value)
{
    struct buf *b = arg;

    assert_int_equal(buf_puts(b, name), 0);
    assert_int_equal(buf_puts(b, SLICE("=")), 0);
    assert_int_equal(buf_puts(b, value), 0);
    return buf_puts(b, SLICE(";"));
}

static void short_pair_is_exact_bytes(void **state)
{
    (void)state;
    struct buf b = {0};

    put(&b, "AB", "xyz");
    put(&b, "", "");
    put(&b, "C", "");
    assert_int_equal(buf_len(&b), 2 + 5 + 2 + 3);
    assert_memory_equal(buf_at(&b),
                        "\2\3ABxyz"
                        "\0\0"
                        "\1\0C",
                        12);
    buf_fini(&b);
}

static void lengths_change_form_at_128(void **state)
{
    (void)state;
    struct buf b = {0};
    struct slice n127 = run(127, 'n'), n128 = run(128, 'N'), v65536 = run(65536, 'v');

    assert_int_equal(fcgi_params_put(&b, n127, n128), 0);
    assert_memory_equal(buf_at(&b), "\x7f\x80\0\0\x80n", 6);
    assert_int_equal(buf_len(&b), 5 + 255);
    buf_clear(&b);
    assert_int_equal(fcgi_params_put(&b, n128, v65536), 0);
    assert_memory_equal(buf_at(&b), "\x80\0\0\x80\x80\1\0\0N", 9);
    run_free(n127);
    run_free(n128);
    run_free(v65536);
    buf_fini(&b);
}

static void length_over_31_bits_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    struct slice huge = slice_of("", (size_t)INT32_MAX + 1);

    assert_int_equal(fcgi_params_put(&b, huge, SLICE("")), GW_ENO_MEMORY);
    assert_int_equal(fcgi_params_put(&b, SLICE("A"), huge), GW_ENO_MEMORY);
    assert_int_equal(buf_len(&b), 0);
    buf_fini(&b);
}

static void put_sample(struct buf *b)
{
    struct slice n = run(130, 'n'), v = run(200, 'v');

    put(b, "A", "1");
    put(b, "EMPTY", "");
    assert_int_equal(fcgi_params_put(b, n, SLICE("x")), 0);
    assert_int_equal(fcgi_params_put(b, SLICE("y"), v), 0);
    assert_int_equal(fcgi_params_put(b, SLICE("N\0L"), SLICE("\0")), 0);
    run_free(n);
    run_free(v);
}

static void reading_gives_the_same_at_every_two_splits(void **state)
{
    (void)state;
    struct buf b = {0}, want = {0};
    struct fcgi_params p;

    put_sample(&b);
    fcgi_params_init(&p, MAX);
    assert_int_equal(fcgi_params_feed(&p, buf_at(&b), buf_len(&b), note, &want), 0);
    assert_int_equal(fcgi_params_end(&p), 0);
    assert_memory_equal(buf_at(&want), "A=1;EMPTY=;", 11);
    for (size_t i = 0; i <= buf_len(&b); i++) {
        for (size_t j = i; j <= buf_len(&b); j += 13) {
            struct buf got = {0};
            const uint8_t *in = buf_at(&b);
            assert_int_equal(fcgi_params_feed(&p, in, i, note, &got), 0);
            assert_int_equal(fcgi_params_feed(&p, in + i, j - i, note, &got), 0);
            assert_int_equal(fcgi_params_feed(&p, in + j, buf_len(&b) - j, note, &got), 0);
            assert_int_equal(fcgi_params_end(&p), 0);
            assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
            buf_fini(&got);
        }
    }
    fcgi_params_fini(&p);
    buf_fini(&b);
    buf_fini(&want);
}

static void an_end_inside_a_pair_is_an_error(void **state)
{
    (void)state;
    struct buf b = {0};

    put(&b, "AB", "xyz");
    for (size_t n = 1; n < buf_len(&b); n++) {
        struct fcgi_params p;
        struct buf got = {0};
        fcgi_params_init(&p, MAX);
        assert_int_equal(fcgi_params_feed(&p, buf_at(&b), n, note, &got), 0);
        assert_int_equal(fcgi_params_end(&p), GW_EFCGI_PROTO);
        assert_int_equal(buf_len(&got), 0);
        fcgi_params_clear(&p);
        assert_int_equal(fcgi_params_end(&p), 0);
        fcgi_params_fini(&p);
    }
    buf_fini(&b);
}

static void max_is_kept_to_the_byte(void **state)
{
    (void)state;
    struct buf b = {0}, got = {0};
    struct fcgi_params p;

    put(&b, "AB", "xyz");
    fcgi_params_init(&p, 5);
    assert_int_equal(fcgi_params_feed(&p, buf_at(&b), buf_len(&b), note, &got), 0);
    fcgi_params_fini(&p);
    fcgi_params_init(&p, 4);
    /* Known from the lengths alone: nothing is kept. */
    assert_int_equal(fcgi_params_feed(&p, buf_at(&b), 2, note, &got), GW_EFCGI_PROTO);
    /* Two lengths whose sum overflows nothing. */
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    fcgi_params_fini(&p);
    fcgi_params_init(&p, SIZE_MAX);
    assert_int_equal(fcgi_params_feed(&p, huge, sizeof(huge), note, &got), 0);
    fcgi_params_fini(&p);
    buf_fini(&b);
    buf_fini(&got);
}

static int refuse(void *arg, struct slice name, struct slice value)
{
    (void)name;
    (void)value;
    return ++*(int *)arg == 2 ? -77 : 0;
}

static void what_fn_returns_comes_back(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_params p;
    int n_calls = 0;

    put_sample(&b);
    fcgi_params_init(&p, MAX);
    assert_int_equal(fcgi_params_feed(&p, buf_at(&b), buf_len(&b), refuse, &n_calls), -77);
    assert_int_equal(n_calls, 2);
    fcgi_params_fini(&p);
    buf_fini(&b);
}

/* The contents of the records of b joined; checks ids and that the last one is empty. */
static void join(const struct buf *b, struct buf *ret_joined, size_t *ret_n_records)
{
    size_t at = 0;
    struct fcgi_record rec = {0};

    *ret_n_records = 0;
    while (at < buf_len(b)) {
        ssize_t n = fcgi_record_decode(buf_at(b) + at, buf_len(b) - at, &rec);
        assert_true(n > 0);
        assert_int_equal(rec.type, FCGI_PARAMS);
        assert_int_equal(rec.id, 9);
        assert_int_equal(buf_append(ret_joined, rec.content, rec.content_len), 0);
        at += (size_t)n;
        ++*ret_n_records;
        assert_true(rec.content_len > 0 || at == buf_len(b));
    }
    assert_int_equal(rec.content_len, 0);
}

static void records_split_where_they_must(void **state)
{
    (void)state;
    static const struct {
        size_t n, n_records;
    } rows[] = {
        {0, 1}, {1, 2}, {65534, 2}, {65535, 2}, {65536, 3}, {131070, 3}, {131071, 4},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice pairs = run(rows[i].n, 'p');
        struct buf out = {0}, joined = {0};
        size_t n_records;
        assert_int_equal(fcgi_params_records(&out, 9, (const uint8_t *)pairs.p, pairs.n), 0);
        join(&out, &joined, &n_records);
        assert_int_equal(n_records, rows[i].n_records);
        assert_true(slice_eq(buf_slice(&joined), pairs));
        buf_fini(&out);
        buf_fini(&joined);
        run_free(pairs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_pair_is_exact_bytes),
        cmocka_unit_test(lengths_change_form_at_128),
        cmocka_unit_test(length_over_31_bits_is_refused),
        cmocka_unit_test(reading_gives_the_same_at_every_two_splits),
        cmocka_unit_test(an_end_inside_a_pair_is_an_error),
        cmocka_unit_test(max_is_kept_to_the_byte),
        cmocka_unit_test(what_fn_returns_comes_back),
        cmocka_unit_test(records_split_where_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
