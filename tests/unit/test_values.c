/* fcgi/values.c: exact bytes of the question, answers in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fastcgi.h>

#include "../../fcgi/record.h"
#include "../../fcgi/values.h"
#include "../../gateway/err.h"

static void question_is_one_padded_record(void **state)
{
    static const char pairs[] = "\016\0FCGI_MAX_CONNS\015\0FCGI_MAX_REQS\017\0FCGI_MPXS_CONNS";
    struct buf out = {0};
    struct fcgi_record rec;

    (void)state;
    assert_int_equal(buf_puts(&out, SLICE("before")), 0);
    assert_int_equal(fcgi_values_ask(&out), 0);
    buf_drop(&out, 6);
    assert_int_equal(fcgi_record_decode(buf_at(&out), buf_len(&out), &rec), buf_len(&out));
    assert_int_equal(rec.type, FCGI_GET_VALUES);
    assert_int_equal(rec.id, 0);
    assert_int_equal(rec.padding_len, 8);
    assert_int_equal(rec.content_len, sizeof(pairs) - 1);
    assert_memory_equal(rec.content, pairs, sizeof(pairs) - 1);
    buf_fini(&out);
}

struct answer {
    const char *pairs;
    size_t n;
    int rc;
    struct fcgi_values values;
};
#define PAIRS(text) (text), sizeof(text) - 1

static const struct answer answers[] = {
    {PAIRS(""), 0, {0}},
    /* php-fpm, libfcgi, net/http/fcgi */
    {PAIRS("\017\001FCGI_MPXS_CONNS0"), 0, {0}},
    {PAIRS("\016\001FCGI_MAX_CONNS1\015\001FCGI_MAX_REQS1\017\001FCGI_MPXS_CONNS0"),
     0,
     {1, 1, 0}},
    {PAIRS("\017\001FCGI_MPXS_CONNS1"), 0, {0, 0, 1}},
    {PAIRS("\017\001FCGI_MPXS_CONNS1\015\003FCGI_MAX_REQS250"), 0, {0, 250, 1}},
    /* unknown names, long lengths, the last of a name */
    {PAIRS("\001\001XY\200\0\0\017\200\0\0\001FCGI_MPXS_CONNS1"), 0, {0, 0, 1}},
    {PAIRS("\017\001FCGI_MPXS_CONNS1\017\001FCGI_MPXS_CONNS0"), 0, {0}},
    {PAIRS("\016\001fcgi_max_conns7"), 0, {0}},
    /* no numbers */
    {PAIRS("\017\002FCGI_MPXS_CONNSon\015\002FCGI_MAX_REQS-1\016\000FCGI_MAX_CONNS"), 0, {0}},
    {PAIRS("\015\024FCGI_MAX_REQS99999999999999999999"), 0, {0}},
    {PAIRS("\017\001FCGI_MPXS_CONNS2"), 0, {0}},
    {PAIRS("\017\003FCGI_MPXS_CONNS001"), 0, {0, 0, 1}},
    /* cut off, too long */
    {PAIRS("\017\001FCGI_MPXS_CONNS"), GW_EFCGI_PROTO, {0}},
    {PAIRS("\017"), GW_EFCGI_PROTO, {0}},
    {PAIRS("\200\0\0"), GW_EFCGI_PROTO, {0}},
    {PAIRS("\200\0\004\001\001"), GW_EFCGI_PROTO, {0}},
};

static int read_split(struct fcgi_values_reader *v, const struct answer *a, size_t cut,
                      struct fcgi_values *ret)
{
    const uint8_t *in = (const uint8_t *)a->pairs;

    fcgi_values_clear(v);
    int rc = fcgi_values_feed(v, in, cut);
    if (rc == 0)
        rc = fcgi_values_feed(v, in + cut, a->n - cut);
    return rc ? rc : fcgi_values_end(v, ret);
}

static void answers_in_every_split(void **state)
{
    struct fcgi_values_reader v;

    (void)state;
    fcgi_values_init(&v);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        for (size_t cut = 0; cut <= answers[i].n; cut++) {
            struct fcgi_values got = {0};
            assert_int_equal(read_split(&v, &answers[i], cut, &got), answers[i].rc);
            assert_int_equal(got.max_conns, answers[i].values.max_conns);
            assert_int_equal(got.max_reqs, answers[i].values.max_reqs);
            assert_int_equal(got.mpxs, answers[i].values.mpxs);
        }
    }
    fcgi_values_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(question_is_one_padded_record),
        cmocka_unit_test(answers_in_every_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
