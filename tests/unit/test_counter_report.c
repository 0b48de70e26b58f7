/* gateway/counter_report.h: what is counted, and what is said of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/counter_report.c"
#include "logged.h"

/* Each row has a name of its own that a log's reader can search for. */
static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_COUNTERS; i++) {
        assert_true(rows[i].name[0] != '\0');
        assert_int_equal(strspn(rows[i].name, "abcdefghijklmnopqrstuvwxyz_0123456789"),
                         strlen(rows[i].name));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rows[i].name, rows[k].name);
    }
}

static void test_text(void **state)
{
    struct counter_values was = {0}, now = {0};
    char text[64];

    (void)state;
    assert_false(counters_text(text, sizeof(text), &was, &now));
    assert_string_equal(text, "");
    now.n[COUNTER_IDLE_TIMEOUT] = 7;
    assert_false(counters_text(text, sizeof(text), &was, &now));
    assert_string_equal(text, "idle_timeout=7");
    was.n[COUNTER_HEAD_TIMEOUT] = 3;
    now.n[COUNTER_HEAD_TIMEOUT] = 5;
    assert_true(counters_text(text, sizeof(text), &was, &now));
    assert_string_equal(text, "head_timeout=2 idle_timeout=7");
    was.n[COUNTER_IDLE_TIMEOUT] = 7;
    assert_true(counters_text(text, sizeof(text), &was, &now));
    assert_string_equal(text, "head_timeout=2");
}

/* All rows at their largest fit a line; in less room whole figures are left out. */
static void test_room(void **state)
{
    struct counter_values was = {0}, now;
    char text[LINE_MAX_LEN], small[30];

    (void)state;
    for (size_t i = 0; i < N_COUNTERS; i++)
        now.n[i] = UINT64_MAX;
    assert_true(counters_text(text, sizeof(text), &was, &now));
    assert_non_null(strstr(text, rows[N_COUNTERS - 1].name));
    now = (struct counter_values){.n[COUNTER_HANDSHAKE_TIMEOUT] = 1,
                                  .n[COUNTER_HEAD_TIMEOUT] = 1};
    assert_true(counters_text(small, sizeof(small), &was, &now));
    assert_string_equal(small, "handshake_timeout=1");
}

/* A line for a minute in which something mattered, and one at the end. */
static void test_report(void **state)
{
    struct loop *l = loop_new("test");
    struct counter_report *r = counter_report_new(l);

    (void)state;
    assert_non_null(r);
    counter_report_end();
    expect_logged("");
    assert_true(timer_armed(&r->timer));
    timer_clear(&r->timer);
    look(l, &r->timer);
    assert_true(timer_armed(&r->timer));
    counter_add(COUNTER_IDLE_TIMEOUT);
    look(l, &r->timer);
    expect_logged("");
    counter_add(COUNTER_BODY_TIMEOUT);
    counter_add_n(COUNTER_BODY_TIMEOUT, 2);
    assert_int_equal(counter_get(COUNTER_BODY_TIMEOUT), 3);
    look(l, &r->timer);
    expect_logged("5 limits met in a minute: body_timeout=3\n");
    look(l, &r->timer);
    expect_logged("");
    counter_report_end();
    expect_logged("5 drained: limits met: body_timeout=3 idle_timeout=1\n");
    counter_report_free(r);
    counter_report_free(NULL);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
