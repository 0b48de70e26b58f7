/* gateway/auth_verify.h: one verification for all that wait for it, and how many there may be. */
#include "auth_world.h"

/* ---- each hash that a password is held against ---- */

#define htpasswd_matches htpasswd_matches_really
#include "../../gateway/htpasswd.c"
#undef htpasswd_matches

bool htpasswd_matches(struct slice hash, const char *password);

static char verified[4][256];
static size_t n_verified;

bool htpasswd_matches(struct slice hash, const char *password)
{
    if (n_verified < 4)
        snprintf(verified[n_verified], sizeof(verified[0]), "%.*s", SLICE_FMT(hash));
    n_verified++;
    return htpasswd_matches_really(hash, password);
}

/* What it costs to refuse value: one verification, of the hash in ret. */
static void refusal(const char *value, char ret[256])
{
    struct asked q;

    n_verified = 0;
    ask(&q, value);
    run_job();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    assert_int_equal(n_verified, 1);
    memcpy(ret, verified[0], 256);
}

/* Whether there is a user cannot be told from the work that a refusal is: who is not there is
 * held against a hash of the file, so one of the same kind and cost. */
static void unknown_users_cost_as_much(void **state)
{
    static const char *const kinds[] = {
        "$2b$04$abcdefghijklmnopqrstuuSNPiZZ6TBsXfDzKPiZJ1Vb9EsfF6yCi",
        "$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1",
        "$5$rounds=1000$saltsalt$2sEjuBZ0RQeWKxqyaKNQmVAJKGgRzHvgwcjqFXDDLmA",
        "$y$j75$abcdefgh$Mc9VpLVJRUYU5dbRvV/VJ4U4rdZVPBbbZDj1VUZ0uN2",
    };
    char text[512], known[256], unknown[256];

    (void)state;
    is_exempt = true;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_null(htpasswd_fault(slice_str(kinds[i])));
        snprintf(text, sizeof(text), "carol:%s\nalice:%s\n", kinds[i], kinds[i]);
        write_to(file, text);
        refusal(ALICE_WRONG, known);
        refusal(BOB_SECRET, unknown);
        assert_string_equal(known, kinds[i]);
        assert_string_equal(unknown, kinds[i]);
    }
    write_to(file, "alice:plain\n"); /* a hash that is not taken is as none */
    refusal(ALICE_WRONG, known);
    refusal(BOB_SECRET, unknown);
    assert_string_equal(known, htpasswd_dummy.p);
    assert_string_equal(unknown, htpasswd_dummy.p);
}

/* ---- requests ---- */

static void client_gone_meanwhile(void **state)
{
    struct asked q[3];

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    for (size_t i = 0; i < 3; i++)
        ask(&q[i], i == 2 ? BOB_SECRET : ALICE_SECRET);
    for (size_t i = 0; i < 3; i++)
        end(&q[i]);
    while (n_jobs)
        run_job();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(q[i].n_done, 0);
}

/* Many requests with one password are one verification, on whichever worker each is. */
static void one_for_all(void **state)
{
    enum { N = 30 };
    static struct asked q[N];
    static char other_loop;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    for (size_t i = 0; i < N; i++) {
        ask(&q[i], ALICE_SECRET);
        if (i == 7 || i == 9) {
            struct verify_wait *wait = q[i].s.handler_state; /* it begins with that */
            wait->loop = (struct loop *)(void *)&other_loop;
        }
    }
    assert_int_equal(n_jobs, 1);
    end(&q[3]); /* one leaves */
    run_job();
    assert_int_equal(n_messages, 2);
    end(&q[9]); /* its answer is on its way */
    run_messages();
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(q[i].n_done, i != 3 && i != 9);
        assert_int_equal(q[i].err, i != 3 && i != 9 ? 0 : 1);
        if (i != 3 && i != 9)
            end(&q[i]);
    }
}

/* alice:0, alice:1 ... */
static void ask_number(struct asked *q, unsigned i)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char value[64];

    snprintf(value, sizeof(value), "Basic YWxpY2U6%c%cS%c", digits[8 + (i >> 9 & 7)],
             digits[36 + (i >> 6 & 7)], digits[i & 63]);
    ask(q, value);
}

/* Never more jobs than half the cores; those that wait follow in order, also past one that left;
 * and no more wait than are answered in time. */
static void bounded_work(void **state)
{
    enum { N = 600 };
    struct asked *q = calloc(N, sizeof(*q));
    size_t refused = 0, done = 0;

    (void)state;
    is_exempt = true;
    write_to(file, "nobody:x\n");
    for (unsigned i = 0; i < N; i++) {
        ask_number(&q[i], i);
        refused += q[i].n_done && q[i].err == GW_EAUTH_BUSY;
    }
    size_t n_running = n_jobs;
    assert_true(n_running >= 1 && n_running <= VERIFY_RUNNING_MAX);
    assert_int_equal(refused, N - VERIFY_WAITING_MAX - n_running);
    assert_int_equal(q[N - 1].retry_s, 1);
    for (size_t i = 100; i < N; i++) /* some under way or waiting leave */
        end(&q[i]);
    while (n_jobs) {
        assert_true(n_jobs <= n_running);
        run_job();
    }
    for (size_t i = 0; i < 100; i++) {
        done += q[i].n_done;
        assert_int_equal(q[i].err, GW_EUNAUTHORIZED);
        end(&q[i]);
    }
    assert_int_equal(done, 100);
    free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unknown_users_cost_as_much, setup, teardown),
        cmocka_unit_test_setup_teardown(client_gone_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(one_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded_work, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
