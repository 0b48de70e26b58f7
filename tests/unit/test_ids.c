/* fcgi/ids.c: which ids a connection's requests get, and what a record's id means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../fcgi/ids.h"

static struct fcgi_request *request(unsigned n)
{
    static char many[64];

    return (struct fcgi_request *)(void *)&many[n];
}

enum found { FREE = -1, LATE = -2 };

static int found(const struct fcgi_ids *ids, unsigned id)
{
    bool late;
    struct fcgi_request *r = fcgi_ids_find(ids, (uint16_t)id, &late);

    if (r) {
        assert_false(late);
        return (int)((char *)r - (char *)request(0));
    }
    return late ? LATE : FREE;
}

static void one_place(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(fcgi_ids_take(&ids, request(i)), i);
        assert_int_equal(fcgi_ids_take(&ids, request(i)), 0);
        assert_int_equal(found(&ids, 0), FREE);
        assert_int_equal(found(&ids, i), i);
        assert_int_equal(found(&ids, i + 1), FREE);
        assert_int_equal(found(&ids, 65535), FREE);
        fcgi_ids_give(&ids, (uint16_t)i);
        assert_int_equal(found(&ids, i), LATE);
        assert_int_equal(found(&ids, i + 1), FREE);
    }
    fcgi_ids_fini(&ids);
}

static void grows_under_a_request(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    assert_int_equal(fcgi_ids_take(&ids, request(7)), 1);
    assert_int_equal(fcgi_ids_grow(&ids, 3), 0);
    assert_int_equal(found(&ids, 1), 7);
    assert_int_equal(fcgi_ids_take(&ids, request(8)), 2);
    assert_int_equal(fcgi_ids_take(&ids, request(9)), 3);
    assert_int_equal(fcgi_ids_take(&ids, request(10)), 0);
    assert_int_equal(ids.n_used, 3);
    fcgi_ids_give(&ids, 2);
    assert_int_equal(fcgi_ids_take(&ids, request(11)), 5);
    fcgi_ids_reset(&ids);
    assert_int_equal(found(&ids, 1), FREE);
    assert_int_equal(fcgi_ids_take(&ids, request(1)), 1);
    assert_int_equal(fcgi_ids_take(&ids, request(2)), 0);
    fcgi_ids_fini(&ids);
}

/* After some requests, with one under way or none: no id is given twice. */
static void grows_later(void **state)
{
    (void)state;
    for (unsigned before = 0; before < 9; before++) {
        for (unsigned under_way = 0; under_way < 2; under_way++) {
            struct fcgi_ids ids = {0};
            unsigned last = before + under_way, sum = 0;
            for (unsigned i = 1; i <= last; i++) {
                assert_int_equal(fcgi_ids_take(&ids, request(i)), i);
                if (i <= before)
                    fcgi_ids_give(&ids, (uint16_t)i);
            }
            assert_int_equal(fcgi_ids_grow(&ids, 4), 0);
            for (unsigned i = 1; i <= last; i++)
                assert_int_equal(found(&ids, i), i <= before ? LATE : (int)i);
            for (unsigned i = last + 1; i < 30; i++)
                assert_int_equal(found(&ids, i), FREE);
            for (unsigned i = under_way; i < 4; i++)
                sum += fcgi_ids_take(&ids, request(40 + i));
            /* the four behind those that are over, in whatever order */
            assert_int_equal(sum + under_way * last, 4 * before + 10);
            assert_int_equal(fcgi_ids_take(&ids, request(1)), 0);
            fcgi_ids_fini(&ids);
        }
    }
}

static void each_request_has_an_id_of_its_own(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    assert_int_equal(fcgi_ids_grow(&ids, 4), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(fcgi_ids_take(&ids, request(i)), i + 1);
    fcgi_ids_give(&ids, 2);
    assert_int_equal(found(&ids, 2), LATE);
    assert_int_equal(found(&ids, 6), FREE);
    assert_int_equal(fcgi_ids_take(&ids, request(20)), 6);
    assert_int_equal(found(&ids, 2), LATE);
    assert_int_equal(found(&ids, 6), 20);
    assert_int_equal(found(&ids, 10), FREE);
    assert_int_equal(found(&ids, 1), 0);
    fcgi_ids_fini(&ids);
}

/* Behind the last id, which is 65535 or less, a place begins anew; the others' stay. */
static void a_place_begins_anew(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    assert_int_equal(fcgi_ids_grow(&ids, 2), 0);
    assert_int_equal(fcgi_ids_take(&ids, request(0)), 1);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned id = 2; id <= 65534; id += 2) {
            assert_int_equal(found(&ids, id), round ? LATE : FREE);
            assert_int_equal(fcgi_ids_take(&ids, request(1)), id);
            assert_int_equal(found(&ids, id), 1);
            fcgi_ids_give(&ids, (uint16_t)id);
            assert_int_equal(found(&ids, id), LATE);
        }
    }
    assert_int_equal(found(&ids, 65535), FREE);
    assert_int_equal(found(&ids, 1), 0);
    fcgi_ids_fini(&ids);
}

static void one_place_begins_anew(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    for (unsigned id = 1; id <= 65535; id++) {
        assert_int_equal(fcgi_ids_take(&ids, request(1)), id);
        fcgi_ids_give(&ids, (uint16_t)id);
    }
    assert_int_equal(fcgi_ids_take(&ids, request(2)), 1);
    assert_int_equal(found(&ids, 65535), LATE);
    assert_int_equal(fcgi_ids_grow(&ids, 4), 0);
    assert_int_equal(found(&ids, 1), 2);
    assert_int_equal(found(&ids, 2), LATE);
    assert_int_equal(fcgi_ids_take(&ids, request(3)), 2);
    fcgi_ids_fini(&ids);
}

/* With more places than ids are left behind those that were used. */
static void grows_near_the_end(void **state)
{
    struct fcgi_ids ids = {0};
    unsigned seen[4] = {0};

    (void)state;
    for (unsigned id = 1; id <= 65533; id++) {
        assert_int_equal(fcgi_ids_take(&ids, request(1)), id);
        fcgi_ids_give(&ids, (uint16_t)id);
    }
    assert_int_equal(fcgi_ids_take(&ids, request(2)), 65534);
    assert_int_equal(fcgi_ids_grow(&ids, 4), 0);
    assert_int_equal(found(&ids, 65534), 2);
    for (unsigned i = 0; i < 3; i++) {
        seen[i] = fcgi_ids_take(&ids, request(10 + i));
        assert_true(seen[i] == 65535 || (seen[i] >= 1 && seen[i] <= 4));
        assert_int_equal(found(&ids, seen[i]), 10 + i);
    }
    assert_int_equal(fcgi_ids_take(&ids, request(3)), 0);
    fcgi_ids_fini(&ids);
}

static void all_are_found_in_turn(void **state)
{
    struct fcgi_ids ids = {0};
    unsigned at = 0;

    (void)state;
    assert_null(fcgi_ids_next(&ids, &at));
    assert_int_equal(fcgi_ids_grow(&ids, 4), 0);
    for (unsigned i = 0; i < 4; i++)
        fcgi_ids_take(&ids, request(i));
    fcgi_ids_give(&ids, 2);
    at = 0;
    assert_ptr_equal(fcgi_ids_next(&ids, &at), request(0));
    assert_ptr_equal(fcgi_ids_next(&ids, &at), request(2));
    assert_ptr_equal(fcgi_ids_next(&ids, &at), request(3));
    assert_null(fcgi_ids_next(&ids, &at));
    fcgi_ids_fini(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_place),
        cmocka_unit_test(grows_under_a_request),
        cmocka_unit_test(grows_later),
        cmocka_unit_test(each_request_has_an_id_of_its_own),
        cmocka_unit_test(a_place_begins_anew),
        cmocka_unit_test(one_place_begins_anew),
        cmocka_unit_test(grows_near_the_end),
        cmocka_unit_test(all_are_found_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
