/* gateway/auth.h: who is let in by which files, and what guesses cost. */
#include "auth_world.h"

static void parse_table(void **state)
{
    static const struct {
        const char *value, *user, *password; /* NULL: refused */
    } rows[] = {
        {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"}, /* RFC 7617 2 */
        {"Basic dGVzdDoxMjPCow==", "test", "123\xc2\xa3"},                /* 2.1 */
        {"basic YTpi", "a", "b"},
        {"BASIC   YTpi", "a", "b"},
        {"Basic YTo=", "a", ""},
        {"Basic Ojo=", "", ":"},
        {"Basic YTpiOmM=", "a", "b:c"},
        {"", NULL, NULL},
        {"Basic", NULL, NULL},
        {"Basic ", NULL, NULL},
        {"Basic YQ==", NULL, NULL},
        {"Basic YTpi,", NULL, NULL},
        {"Basic YTpi YTpi", NULL, NULL},
        {"Basic YTpiAA==", NULL, NULL}, /* NUL */
        {"Basic YQo6Yg==", NULL, NULL}, /* line feed */
        {"BasicYTpi", NULL, NULL},
        {"Bearer YTpi", NULL, NULL},
        {"Basic YTpi=", NULL, NULL},
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice user, password;
        bool ok = auth_parse_basic(&a, slice_str(rows[i].value), &user, &password);
        if (ok != (rows[i].user != NULL))
            fail_msg("%s", rows[i].value);
        if (ok) {
            assert_true(slice_eq(user, slice_str(rows[i].user)));
            assert_true(slice_eq(password, slice_str(rows[i].password)));
            assert_int_equal(strlen(user.p), user.n);
            assert_int_equal(strlen(password.p), password.n);
        }
    }
    arena_fini(&a);
}

static void challenge(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(
        slice_eq(auth_challenge(&a, "git"), SLICE("Basic realm=\"git\", charset=\"UTF-8\"")));
    assert_true(slice_eq(auth_challenge(&a, "a\"b\\"),
                         SLICE("Basic realm=\"a\\\"b\\\\\", charset=\"UTF-8\"")));
    assert_true(slice_eq(auth_challenge(&a, NULL),
                         SLICE("Basic realm=\"restricted\", charset=\"UTF-8\"")));
    arena_fini(&a);
}

static void without_usable_credentials(void **state)
{
    struct field two[] = {{SLICE("Authorization"), slice_str(ALICE_SECRET)},
                          {SLICE("Authorization"), slice_str(ALICE_SECRET)}};
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask_fields(&q, two, 0);
    assert_int_equal(q.n_done, 1);
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    ask_fields(&q, two, 2);
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    ask(&q, "Basic OnNlY3JldA=="); /* no user */
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
}

static void verified_then_remembered(void **state)
{
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask(&q, ALICE_SECRET);
    assert_int_equal(q.n_done, 0); /* not on the event loop */
    run_job();
    assert_int_equal(q.n_done, 1);
    assert_int_equal(q.err, 0);
    assert_string_equal(q.user, "alice");
    end(&q);

    ask(&q, ALICE_SECRET);
    assert_int_equal(q.n_done, 1);
    assert_int_equal(q.err, 0);
    assert_string_equal(q.user, "alice");
    end(&q);

    ask(&q, ALICE_WRONG);
    run_job();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    ask(&q, BOB_SECRET);
    run_job();
    run_timers();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);

    /* for a minute, if its file does not change */
    the_time_ms += AUTH_CACHE_MS;
    ask(&q, ALICE_SECRET);
    assert_int_equal(q.n_done, 0);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
}

static void changed_file_is_noticed(void **state)
{
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask(&q, ALICE_SECRET);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
    write_user("alice", "$2b$", 4, "another");
    ask(&q, ALICE_SECRET);
    assert_int_equal(q.n_done, 0);
    run_job();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    unlink(file);
    the_time_ms += AUTH_FILE_LOOK_MS;
    for (int i = 0; i < 10; i++) { /* more often than wrong passwords may be */
        ask(&q, ALICE_SECRET);
        run_job();
        assert_int_equal(q.err, GW_EAUTH_FILE);
        end(&q);
    }
    assert_non_null(strstr(logged, file));
}

/* Each wrong one is answered later than the last, then none is looked at; a right one that was
 * right before still is. */
static void wrong_ones_wait(void **state)
{
    static const char *const wrong[] = {ALICE_WRONG, ALICE_OTHER, BOB_SECRET};
    struct asked q, again;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask(&q, ALICE_SECRET);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
    for (size_t i = 0; i < 3; i++) {
        ask(&q, wrong[i]);
        ask(&again, wrong[i]); /* beside it: no attempt, and no sooner answered */
        run_job();
        assert_int_equal(q.n_done, i == 0);
        assert_int_equal(again.n_done, i == 0);
        assert_int_equal(n_timers, i == 0 ? 0 : 2);
        assert_int_equal(timer_ms, i == 0 ? 0 : i == 1 ? 250 : 500);
        if (i == 2) { /* the client does not wait for it */
            end(&q);
            end(&again);
            assert_int_equal(n_timers, 0);
            break;
        }
        run_timers();
        assert_int_equal(q.n_done, 1);
        assert_int_equal(q.err, GW_EUNAUTHORIZED);
        assert_int_equal(again.err, GW_EUNAUTHORIZED);
        end(&q);
        end(&again);
    }
    ask(&q, ALICE_WRONG);
    assert_int_equal(q.err, GW_EAUTH_GUESSES);
    assert_int_equal(q.retry_s, 21);
    end(&q);
    the_time_ms += AUTH_CACHE_MS;    /* beyond the minute that it is taken for right */
    for (size_t i = 0; i < 4; i++) { /* meanwhile three more were free */
        ask(&q, ALICE_WRONG);
        if (i < 3)
            run_job();
        run_timers();
        assert_int_equal(q.err, i < 3 ? GW_EUNAUTHORIZED : GW_EAUTH_GUESSES);
        end(&q);
    }
    ask(&q, ALICE_SECRET);
    assert_int_equal(q.n_done, 0);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
    ask(&q, ALICE_WRONG); /* by which alice buys nothing */
    assert_int_equal(q.err, GW_EAUTH_GUESSES);
    end(&q);
}

static void users_and_groups(void **state)
{
    static struct slice alice[] = {{"alice", 5}}, bob[] = {{"bob", 3}};
    static struct slice staff[] = {{"none", 4}, {"staff", 5}}, admins[] = {{"admins", 6}};
    static const struct {
        struct slice *users, *groups;
        unsigned n_users, n_groups;
        bool in;
    } rows[] = {
        {NULL, NULL, 0, 0, true},   {alice, NULL, 1, 0, true},  {bob, NULL, 1, 0, false},
        {NULL, admins, 0, 1, true}, {NULL, staff, 0, 2, false}, {bob, admins, 1, 1, true},
        {alice, staff, 1, 2, true}, {bob, staff, 1, 2, false},
    };
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    conf_auth.group_file = group_file;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        conf_auth.users = rows[i].users;
        conf_auth.n_users = rows[i].n_users;
        conf_auth.groups = rows[i].groups;
        conf_auth.n_groups = rows[i].n_groups;
        ask(&q, ALICE_SECRET);
        if (!q.n_done)
            run_job();
        assert_int_equal(q.n_done, 1);
        assert_int_equal(q.err, rows[i].in ? 0 : GW_EUNAUTHORIZED);
        assert_int_equal(n_timers, 0); /* it was no guess */
        assert_int_equal(q.s.err_why.n > 0, !rows[i].in);
        end(&q);
    }
    /* a file of groups that is changed, then gone */
    write_to(group_file, "staff: alice\n");
    conf_auth = (struct conf_auth){
        .basic = 1, .file = file, .groups = staff, .n_groups = 2, .group_file = group_file};
    ask(&q, ALICE_SECRET);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
    unlink(group_file);
    the_time_ms += AUTH_FILE_LOOK_MS;
    ask(&q, ALICE_SECRET);
    run_job();
    assert_int_equal(q.err, GW_EAUTH_FILE);
    end(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_table),
        cmocka_unit_test(challenge),
        cmocka_unit_test_setup_teardown(without_usable_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(verified_then_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_file_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_ones_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(users_and_groups, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
