/* fcgi/pool_procs.c: the rules by which processes are started, replaced and stopped, with a clock
 * and a spawner that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "../../fcgi/pool_procs.h"

struct play {
    struct conf_pool conf;
    struct procs *ps;
    struct procs_demand demand;
    uint64_t now;
    char said[256]; /* the orders of the last step: "+0 -3 " */
};

static void play_begin(struct play *p, unsigned min, unsigned max, unsigned slots)
{
    p->conf.min_processes = min;
    p->conf.processes = max;
    p->conf.slots = slots;
    if (!p->conf.requests_per_process)
        p->conf.requests_per_process = 1;
    if (!p->conf.idle_timeout_ms)
        p->conf.idle_timeout_ms = 60000;
    p->now = 1000000;
    p->demand.room = 1000;
    p->ps = procs_new(&p->conf, p->now);
    assert_non_null(p->ps);
}

/* One step after ms; the orders it gave. */
static const char *step(struct play *p, uint64_t ms)
{
    size_t n = 0;

    p->now += ms;
    procs_step(p->ps, &p->demand, p->now);
    p->said[0] = '\0';
    for (unsigned i = 0; i < p->ps->n; i++) {
        struct procs_slot *s = &p->ps->slots[i];
        if (s->order)
            n += (size_t)snprintf(p->said + n, sizeof p->said - n, "%c%u ",
                                  s->order == SPAWNER_START  ? '+'
                                  : s->order == SPAWNER_STOP ? '-'
                                                             : '!',
                                  i);
        s->order = 0;
    }
    return p->said;
}

static void news(struct play *p, unsigned slot, enum spawner_verb verb, unsigned flags,
                 int status, unsigned delay_ms)
{
    struct spawner_msg m = {.verb = verb,
                            .slot = slot,
                            .pid = 100 + (int)slot,
                            .flags = flags,
                            .status = status,
                            .delay_ms = delay_ms};
    procs_news(p->ps, &m, p->now);
}

static void is_ready(struct play *p, unsigned slot)
{
    news(p, slot, SPAWNER_RUNNING, 0, 0, 0);
    news(p, slot, SPAWNER_RUNNING, SPAWNER_READY, 0, 0);
}

static void has_ended(struct play *p, unsigned slot)
{
    news(p, slot, SPAWNER_ENDED, 0, 0, 0);
}

static enum procs_state state_of(const struct play *p, unsigned slot)
{
    return p->ps->slots[slot].state;
}

static void play_end(struct play *p)
{
    procs_free(p->ps);
}

/* ---- a fixed number ---- */

static void fixed_number_just_runs(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 2, 2, 2);
    assert_string_equal(step(&p, 0), ""); /* the spawner starts them by itself */
    assert_int_equal(state_of(&p, 1), PROCS_STARTING);
    is_ready(&p, 0);
    is_ready(&p, 1);
    p.demand.n_waiting = 5;
    assert_string_equal(step(&p, 1000000), "");
    assert_int_equal(state_of(&p, 0), PROCS_UP);
    assert_int_equal(procs_step(p.ps, &p.demand, p.now), UINT64_MAX);
    play_end(&p);
}

/* What failed once is hoped for, what failed again is not, until it is up. */
static void doubt(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 1, 1, 1);
    const struct procs_slot *s = &p.ps->slots[0];
    assert_false(procs_doubtful(s));
    news(&p, 0, SPAWNER_ENDED, 0, 3 << 8, 100);
    assert_int_equal(state_of(&p, 0), PROCS_STARTING);
    assert_false(procs_doubtful(s));
    news(&p, 0, SPAWNER_FAILED, 0, 2, 200); /* exec's ENOENT */
    assert_int_equal(state_of(&p, 0), PROCS_STARTING);
    assert_true(procs_doubtful(s));
    news(&p, 0, SPAWNER_RUNNING, 0, 0, 0);
    assert_true(procs_doubtful(s));
    news(&p, 0, SPAWNER_RUNNING, SPAWNER_READY, 0, 0);
    assert_false(procs_doubtful(s));
    news(&p, 0, SPAWNER_ENDED, 0, 11, 0); /* it was up */
    news(&p, 0, SPAWNER_ENDED, 0, 0, 0);  /* and this is no failure */
    for (int i = 0; i < 3; i++) {         /* requests kill it before it said that it is up */
        p.ps->slots[0].took = true;
        news(&p, 0, SPAWNER_ENDED, 0, 11, 100);
    }
    assert_false(procs_doubtful(s));
    play_end(&p);
}

/* A slot that is started anew for requests has no past. */
static void no_doubt_when_started_anew(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 0, 2, 2);
    p.demand.n_waiting = 2;
    assert_string_equal(step(&p, 0), "+0 +1 ");
    for (int i = 0; i < 2; i++) {
        news(&p, 0, SPAWNER_ENDED, 0, 3 << 8, 100);
        news(&p, 1, SPAWNER_ENDED, 0, 3 << 8, 100);
    }
    assert_string_equal(step(&p, 0), "-1 "); /* one is tried on */
    assert_false(p.ps->startable);
    has_ended(&p, 1);
    is_ready(&p, 0);
    assert_string_equal(step(&p, 0), "+1 ");
    assert_false(procs_doubtful(&p.ps->slots[1]));
    play_end(&p);
}

static void crash_is_the_spawners_to_mend(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 1, 1, 1);
    is_ready(&p, 0);
    news(&p, 0, SPAWNER_ENDED, 0, 11, 100);
    assert_int_equal(state_of(&p, 0),
                     PROCS_STARTING); /* back so soon that requests wait there */
    news(&p, 0, SPAWNER_ENDED, 0, 11, 1600);
    assert_int_equal(state_of(&p, 0), PROCS_DOWN);
    assert_string_equal(step(&p, 10), "");
    is_ready(&p, 0);
    assert_int_equal(state_of(&p, 0), PROCS_UP);
    play_end(&p);
}

/* ---- on demand ---- */

static void one_for_each_that_waits(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 0, 3, 3);
    assert_string_equal(step(&p, 0), "");
    assert_true(p.ps->startable);
    p.demand.n_waiting = 1;
    assert_string_equal(step(&p, 1), "+0 ");
    assert_string_equal(step(&p, 1), ""); /* it is coming */
    p.demand.n_waiting = 2;
    assert_string_equal(step(&p, 1), "+1 ");
    p.demand.n_waiting = 9;
    assert_string_equal(step(&p, 1), "+2 ");
    assert_false(p.ps->startable);
    play_end(&p);
}

static void requests_that_were_granted_to_a_starter_need_another(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 0, 4, 4);
    p.demand.n_waiting = 1;
    assert_string_equal(step(&p, 0), "+0 ");
    p.ps->slots[0].n_in_flight = 1; /* waits in its backlog */
    assert_string_equal(step(&p, 0), "+1 ");
    play_end(&p);
}

static void processes_that_take_several(void **state)
{
    struct play p = {.conf = {.requests_per_process = 4}};
    (void)state;
    play_begin(&p, 0, 4, 4);
    p.demand.n_waiting = 4;
    assert_string_equal(step(&p, 0), "+0 ");
    p.demand.n_waiting = 9;
    assert_string_equal(step(&p, 0), "+1 +2 ");
    play_end(&p);
}

static void more_than_the_pool_lets_in_is_no_reason(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 0, 4, 4);
    p.demand = (struct procs_demand){.n_waiting = 10, .room = 2};
    assert_string_equal(step(&p, 0), "+0 +1 ");
    p.demand.room = 0;
    p.ps->slots[0].n_in_flight = p.ps->slots[1].n_in_flight = 1;
    assert_string_equal(step(&p, 0), "");
    play_end(&p);
}

static void none_is_started_while_one_fails_to(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 0, 4, 4);
    p.demand.n_waiting = 1;
    assert_string_equal(step(&p, 0), "+0 ");
    news(&p, 0, SPAWNER_ENDED, 0, 256, 100);
    p.demand.n_waiting = 3;
    assert_string_equal(step(&p, 0), "");
    news(&p, 0, SPAWNER_FAILED, 0, 2, 3200);
    assert_string_equal(step(&p, 0), "");
    assert_false(p.ps->startable);
    assert_int_equal(state_of(&p, 0), PROCS_DOWN);
    is_ready(&p, 0);
    assert_string_equal(step(&p, 0), "+1 +2 +3 ");
    play_end(&p);
}

static void idle_ones_end_down_to_the_least(void **state)
{
    struct play p = {.conf = {.idle_timeout_ms = 1000}};
    (void)state;
    play_begin(&p, 1, 3, 3);
    p.demand.n_waiting = 2;
    step(&p, 0); /* slot 0 is coming: one more */
    p.demand.n_waiting = 3;
    assert_string_equal(step(&p, 0), "+2 ");
    p.demand.n_waiting = 0;
    for (unsigned i = 0; i < 3; i++)
        is_ready(&p, i);
    assert_true(procs_step(p.ps, &p.demand, p.now) <= p.now + 1000);
    p.ps->slots[0].n_requests++; /* the first one had work in between */
    step(&p, 500);
    p.ps->slots[1].n_in_flight = 1; /* the second has */
    assert_string_equal(step(&p, 500), "-2 ");
    assert_int_equal(state_of(&p, 2), PROCS_STOPPING);
    has_ended(&p, 2);
    assert_int_equal(state_of(&p, 2), PROCS_OFF);
    p.ps->slots[1].n_in_flight = 0;
    assert_string_equal(step(&p, 600), "-0 ");
    assert_string_equal(step(&p, 100000), ""); /* the least stays */
    assert_int_equal(state_of(&p, 1), PROCS_UP);
    assert_int_equal(procs_step(p.ps, &p.demand, p.now), UINT64_MAX);
    play_end(&p);
}

static void nobody_ends_while_requests_wait(void **state)
{
    struct play p = {.conf = {.idle_timeout_ms = 1000}};
    (void)state;
    play_begin(&p, 0, 1, 1);
    p.demand.n_waiting = 1;
    step(&p, 0);
    is_ready(&p, 0);
    assert_string_equal(step(&p, 2000), "");
    p.demand.n_waiting = 0;
    assert_string_equal(step(&p, 2000), "-0 ");
    assert_true(p.ps->startable); /* from now on: who comes next is not refused */
    p.demand.n_waiting = 1;       /* while it ends */
    assert_string_equal(step(&p, 1), "");
    assert_true(p.ps->startable);
    has_ended(&p, 0);
    assert_string_equal(step(&p, 1), "+0 ");
    play_end(&p);
}

/* ---- successors ---- */

static void successor_is_up_before_the_old_one_drains(void **state)
{
    struct play p = {.conf = {.max_requests_per_process = 3}};
    (void)state;
    play_begin(&p, 1, 1, 2);
    is_ready(&p, 0);
    p.ps->slots[0].n_requests = 2;
    assert_string_equal(step(&p, 0), "");
    p.ps->slots[0].n_requests = 3;
    p.ps->slots[0].n_in_flight = 1;
    assert_string_equal(step(&p, 0), "+1 ");
    assert_int_equal(state_of(&p, 0), PROCS_UP);
    news(&p, 1, SPAWNER_RUNNING, 0, 0, 0);
    assert_string_equal(step(&p, 0), "");
    is_ready(&p, 1);
    assert_string_equal(step(&p, 0), ""); /* it has a request */
    assert_int_equal(state_of(&p, 0), PROCS_DRAINING);
    p.ps->slots[0].n_in_flight = 0;
    assert_string_equal(step(&p, 0), "-0 ");
    has_ended(&p, 0);
    p.ps->slots[1].n_requests = 3;
    assert_string_equal(step(&p, 0), "+0 ");
    play_end(&p);
}

static void old_one_works_on_while_its_successor_fails(void **state)
{
    struct play p = {.conf = {.max_age_ms = 5000}};
    (void)state;
    play_begin(&p, 2, 2, 3);
    is_ready(&p, 0);
    is_ready(&p, 1);
    assert_int_equal(procs_step(p.ps, &p.demand, p.now), p.now + 5000);
    assert_string_equal(step(&p, 5000), "+2 ");
    for (int i = 0; i < 3; i++) {
        news(&p, 2, SPAWNER_ENDED, 0, 256, 100u << i);
        assert_string_equal(step(&p, 100), "");
        assert_int_equal(state_of(&p, 0), PROCS_UP);
    }
    is_ready(&p, 2);
    assert_string_equal(step(&p, 0), "-0 ");
    has_ended(&p, 0);
    assert_string_equal(step(&p, 0), "+0 "); /* for slot 1, whose turn it is */
    is_ready(&p, 0);
    assert_string_equal(step(&p, 0), "-1 ");
    play_end(&p);
}

static void large_one_is_replaced(void **state)
{
    struct play p = {.conf = {.max_memory = 1 << 20}};
    (void)state;
    play_begin(&p, 1, 1, 2);
    is_ready(&p, 0);
    assert_string_equal(step(&p, 0), "");
    news(&p, 0, SPAWNER_RUNNING, SPAWNER_READY | SPAWNER_LARGE, 0, 0);
    assert_string_equal(step(&p, 0), "+1 ");
    play_end(&p);
}

static void unneeded_one_has_no_successor(void **state)
{
    struct play p = {.conf = {.max_requests_per_process = 1}};
    (void)state;
    play_begin(&p, 0, 2, 3);
    p.demand.n_waiting = 1;
    assert_string_equal(step(&p, 0), "+0 ");
    is_ready(&p, 0);
    p.demand.n_waiting = 0;
    p.ps->slots[0].n_requests = 1;
    assert_string_equal(step(&p, 0), "-0 ");
    play_end(&p);
}

static void without_a_slot_to_spare_it_ends_first(void **state)
{
    struct play p = {.conf = {.max_requests_per_process = 1}};
    (void)state;
    play_begin(&p, 1, 1, 1);
    is_ready(&p, 0);
    p.ps->slots[0].n_requests = 1;
    assert_string_equal(step(&p, 0), "-0 ");
    has_ended(&p, 0);
    assert_string_equal(step(&p, 0), "+0 ");
    play_end(&p);
}

static void old_one_that_ends_by_itself_makes_one_too_many(void **state)
{
    struct play p = {.conf = {.max_age_ms = 5000}};
    (void)state;
    play_begin(&p, 1, 1, 2);
    is_ready(&p, 0);
    assert_string_equal(step(&p, 5000), "+1 ");
    has_ended(&p, 0); /* and the spawner starts it again */
    is_ready(&p, 0);
    is_ready(&p, 1);
    const char *said = step(&p, 0);
    assert_true(strcmp(said, "-0 ") == 0 || strcmp(said, "-1 ") == 0);
    play_end(&p);
}

static void drained_one_that_ends_by_itself_stays_away(void **state)
{
    struct play p = {.conf = {.max_requests_per_process = 1}};
    (void)state;
    play_begin(&p, 1, 1, 2);
    is_ready(&p, 0);
    p.ps->slots[0].n_requests = p.ps->slots[0].n_in_flight = 1;
    assert_string_equal(step(&p, 0), "+1 ");
    is_ready(&p, 1);
    step(&p, 0);
    has_ended(&p, 0);
    assert_string_equal(step(&p, 0), "-0 "); /* else the spawner would bring it back */
    has_ended(&p, 0);
    assert_int_equal(state_of(&p, 0), PROCS_OFF);
    play_end(&p);
}

/* ---- others that forget ---- */

static void new_spawner_is_told_of_those_that_ran(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 0, 3, 3);
    p.demand.n_waiting = 2;
    step(&p, 0);
    is_ready(&p, 0);
    is_ready(&p, 1);
    p.demand.n_waiting = 0;
    procs_reset(p.ps, p.now);
    assert_string_equal(step(&p, 0), "+0 +1 ");
    assert_int_equal(state_of(&p, 2), PROCS_OFF);
    play_end(&p);
}

static void what_ran_before_a_new_gateway_is_taken_over(void **state)
{
    struct play p = {.conf = {.max_age_ms = 5000}};
    (void)state;
    play_begin(&p, 1, 2, 3);
    struct spawner_msg m = {
        .verb = SPAWNER_RUNNING, .slot = 2, .pid = 7, .age_ms = 4000, .flags = SPAWNER_READY};
    procs_news(p.ps, &m, p.now);
    assert_int_equal(state_of(&p, 2), PROCS_UP);
    is_ready(&p, 0);
    assert_string_equal(step(&p, 0), "");
    assert_string_equal(step(&p, 1000), "-2 "); /* old, idle, and above the least */
    play_end(&p);
}

static void answer_makes_it_ready(void **state)
{
    struct play p = {0};
    (void)state;
    play_begin(&p, 1, 1, 1);
    procs_answers(p.ps, 0, p.now);
    assert_string_equal(step(&p, 0), "!0 ");
    assert_int_equal(state_of(&p, 0), PROCS_UP);
    procs_answers(p.ps, 0, p.now);
    assert_string_equal(step(&p, 0), "");
    procs_answers(p.ps, 7, p.now); /* no such slot */
    procs_reset(p.ps, p.now);
    procs_answers(p.ps, 0, p.now); /* of the one before */
    assert_string_equal(step(&p, 0), "+0 ");
    play_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_number_just_runs),
        cmocka_unit_test(doubt),
        cmocka_unit_test(no_doubt_when_started_anew),
        cmocka_unit_test(crash_is_the_spawners_to_mend),
        cmocka_unit_test(one_for_each_that_waits),
        cmocka_unit_test(requests_that_were_granted_to_a_starter_need_another),
        cmocka_unit_test(processes_that_take_several),
        cmocka_unit_test(more_than_the_pool_lets_in_is_no_reason),
        cmocka_unit_test(none_is_started_while_one_fails_to),
        cmocka_unit_test(idle_ones_end_down_to_the_least),
        cmocka_unit_test(nobody_ends_while_requests_wait),
        cmocka_unit_test(successor_is_up_before_the_old_one_drains),
        cmocka_unit_test(old_one_works_on_while_its_successor_fails),
        cmocka_unit_test(large_one_is_replaced),
        cmocka_unit_test(unneeded_one_has_no_successor),
        cmocka_unit_test(without_a_slot_to_spare_it_ends_first),
        cmocka_unit_test(old_one_that_ends_by_itself_makes_one_too_many),
        cmocka_unit_test(drained_one_that_ends_by_itself_stays_away),
        cmocka_unit_test(new_spawner_is_told_of_those_that_ran),
        cmocka_unit_test(what_ran_before_a_new_gateway_is_taken_over),
        cmocka_unit_test(answer_makes_it_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
