/* fcgi/ids.c: which ids a connection's requests get, and what a record's id means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../fcgi/ids.h"
#include "../../gateway/err.h"

static struct fcgi_request *request(unsigned n)
{
    static char many[64];

    return (struct fcgi_request *)(void *)&many[n];
}

enum found { FREE = -1, RETIRED = -2 };

static int found(const struct fcgi_ids *ids, unsigned id)
{
    bool retired;
    struct fcgi_request *r = fcgi_ids_find(ids, (uint16_t)id, &retired);

    if (r) {
        assert_false(retired);
        return (int)((char *)r - (char *)request(0));
    }
    return retired ? RETIRED : FREE;
}

static void one_place(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fcgi_ids_take(&ids, request(i)), 1);
        assert_int_equal(fcgi_ids_take(&ids, request(i)), 0);
        assert_int_equal(found(&ids, 0), FREE);
        assert_int_equal(found(&ids, 1), i);
        assert_int_equal(found(&ids, 2), FREE);
        assert_int_equal(found(&ids, 65535), FREE);
        assert_true(fcgi_ids_give(&ids, 1, false));
        assert_int_equal(found(&ids, 1), FREE);
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
    assert_true(fcgi_ids_give(&ids, 2, false));
    assert_int_equal(fcgi_ids_take(&ids, request(11)), 2); /* used again */
    fcgi_ids_reset(&ids);
    assert_int_equal(found(&ids, 1), FREE);
    assert_int_equal(fcgi_ids_take(&ids, request(1)), 1);
    assert_int_equal(fcgi_ids_take(&ids, request(2)), 0);
    fcgi_ids_fini(&ids);
}

static void a_retired_id_is_not_used_again(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    assert_int_equal(fcgi_ids_grow(&ids, 4), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(fcgi_ids_take(&ids, request(i)), i + 1);
    assert_true(fcgi_ids_give(&ids, 2, true));
    assert_int_equal(found(&ids, 2), RETIRED);
    assert_int_equal(found(&ids, 6), FREE);
    assert_int_equal(fcgi_ids_take(&ids, request(20)), 6);
    assert_int_equal(found(&ids, 2), RETIRED);
    assert_int_equal(found(&ids, 6), 20);
    assert_int_equal(found(&ids, 10), FREE);
    assert_int_equal(found(&ids, 1), 0);
    assert_true(fcgi_ids_give(&ids, 6, false));
    assert_int_equal(found(&ids, 6), FREE);
    assert_int_equal(fcgi_ids_take(&ids, request(21)), 6);
    fcgi_ids_fini(&ids);
}

/* The last id of a place is 65535 or less; then it is used up. */
static void a_place_is_used_up(void **state)
{
    struct fcgi_ids ids = {0};
    unsigned last = 0;
    bool more = true;

    (void)state;
    assert_int_equal(fcgi_ids_grow(&ids, 2), 0);
    assert_int_equal(fcgi_ids_take(&ids, request(0)), 1);
    while (more) {
        unsigned id = fcgi_ids_take(&ids, request(1));
        assert_int_equal(id, last + 2);
        last = id;
        more = fcgi_ids_give(&ids, (uint16_t)id, true);
    }
    assert_int_equal(last, 65534);
    assert_int_equal(fcgi_ids_take(&ids, request(1)), 0);
    assert_int_equal(found(&ids, 65534), RETIRED);
    assert_int_equal(found(&ids, 65535), FREE);
    assert_int_equal(found(&ids, 1), 0);
    fcgi_ids_fini(&ids);
}

static void does_not_grow_behind_a_retired_id(void **state)
{
    struct fcgi_ids ids = {0};

    (void)state;
    assert_int_equal(fcgi_ids_take(&ids, request(0)), 1);
    assert_true(fcgi_ids_give(&ids, 1, true));
    assert_int_equal(fcgi_ids_grow(&ids, 4), GW_EINTERNAL);
    assert_int_equal(fcgi_ids_grow(&ids, 1), 0);
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
    fcgi_ids_give(&ids, 2, true);
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
        cmocka_unit_test(a_retired_id_is_not_used_again),
        cmocka_unit_test(a_place_is_used_up),
        cmocka_unit_test(does_not_grow_behind_a_retired_id),
        cmocka_unit_test(all_are_found_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
