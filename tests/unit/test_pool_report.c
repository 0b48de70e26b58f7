/* gateway/pool_report.h: what is said of pools, and when. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/pool_report.c"
#include "logged.h"

/* ---- pools of our own ---- */

struct pool {
    struct conf_pool conf;
    struct pool_stats stats;
};

static struct pool pools[] = {{.conf = {.name = "a"}}, {.conf = {.name = "b"}}};
static struct pool *both[] = {&pools[0], &pools[1]};

const struct conf_pool *pool_conf(const struct pool *p)
{
    return &p->conf;
}

void pool_stats(struct pool *p, struct pool_stats *ret)
{
    *ret = p->stats;
}

/* ---- tests ---- */

static void test_texts(void **state)
{
    static const struct {
        struct pool_stats was, now;
        const char *minute, *total; /* NULL: no line */
    } rows[] = {
        {{0}, {0}, NULL, NULL},
        {{0},
         {.n_requests = 7, .n_queued = 3},
         NULL,
         "begun 7, queued 3, refused 0: queue full 0, queue timeout 0, pool down 0"},
        {{.n_requests = 5, .n_full = 10, .n_timed_out = 1},
         {.n_requests = 7,
          .n_queued = 3,
          .n_full = 12,
          .n_timed_out = 2,
          .n_down = 4,
          .in_flight = 8,
          .waiting = 128},
         "refused 7 in a minute: queue full 2, queue timeout 1, pool down 4; begun 2, now at "
         "work "
         "8, waiting 128",
         "begun 7, queued 3, refused 18: queue full 12, queue timeout 2, pool down 4"},
        {{.n_down = 3},
         {.n_down = 3},
         NULL,
         "begun 0, queued 0, refused 3: queue full 0, queue timeout 0, pool down 3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256] = "";
        assert_int_equal(pool_report_minute(text, sizeof(text), &rows[i].was, &rows[i].now),
                         rows[i].minute != NULL);
        if (rows[i].minute)
            assert_string_equal(text, rows[i].minute);
        assert_int_equal(pool_report_total(text, sizeof(text), &rows[i].now),
                         rows[i].total != NULL);
        if (rows[i].total)
            assert_string_equal(text, rows[i].total);
    }
}

static void test_no_room(void **state)
{
    struct pool_stats was = {0}, now = {.n_full = UINT64_MAX, .n_requests = UINT64_MAX};
    char text[16];

    (void)state;
    assert_true(pool_report_minute(text, sizeof(text), &was, &now));
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

/* Each minute, of those that refused something in it. */
static void test_minutes(void **state)
{
    struct loop *l = loop_new("test");
    struct pool_reports *rs = pool_reports_new(l, both, 2);

    (void)state;
    assert_non_null(rs);
    assert_true(timer_armed(&rs->timer));
    timer_clear(&rs->timer);
    look(l, &rs->timer);
    expect_logged("");
    assert_true(timer_armed(&rs->timer));
    pools[1].stats.n_full = 3;
    look(l, &rs->timer);
    expect_logged(
        "4 pool=b refused 3 in a minute: queue full 3, queue timeout 0, pool down 0; begun "
        "0, now at work 0, waiting 0\n");
    look(l, &rs->timer);
    expect_logged("");
    pool_reports_end(rs);
    expect_logged(
        "5 pool=b drained: begun 0, queued 0, refused 3: queue full 3, queue timeout 0, "
        "pool down 0\n");
    pool_reports_free(rs);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
