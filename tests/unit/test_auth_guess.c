/* The clock, the log and who is exempt are played by this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "../../gateway/auth_guess.h"
#include "../../gateway/clients.h"
#include "../../gateway/conn.h"
#include "../../gateway/worker.h"

static uint64_t the_time_us = 1000000;
static char logged[512];
static unsigned n_logged;
static bool is_exempt;

uint64_t clock_now_us(void)
{
    return the_time_us;
}

bool clients_is_exempt(const struct clients *cs, const struct cidr_address *address)
{
    (void)cs;
    (void)address;
    return is_exempt;
}

void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
{
    va_list ap;

    (void)s;
    (void)err;
    assert_int_equal(level, CONF_LOG_WARN);
    va_start(ap, fmt);
    vsnprintf(logged, sizeof(logged), fmt, ap);
    va_end(ap);
    n_logged++;
}

enum { LIMIT = 5, EVERY_US = 12 * 1000000 };

static const struct conf_gateway conf = {
    .limit_table = 1024,
    .auth_failures = {.text = {"5/m", 3}, .n = LIMIT, .per_ms = 60000, .burst = LIMIT - 1},
};
static const struct conf_site site = {.name = "main"};
static struct worker worker;
static struct conn conns[2];
static struct stream streams[2], *const s = &streams[0], *const stranger = &streams[1];
static struct guesses *g;
static const char file_a, file_b;

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        conns[i] = (struct conn){.worker = &worker};
        conns[i].peer.in = (struct sockaddr_in){.sin_family = AF_INET,
                                                .sin_addr.s_addr = htonl(0xc0000201 + i)};
        streams[i] = (struct stream){.conn = &conns[i], .site = &site};
        arena_init(&streams[i].arena);
    }
    g = guesses_new(&conf);
    logged[0] = '\0';
    n_logged = 0;
    is_exempt = false;
    return g ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    guesses_free(g);
    arena_fini(&streams[0].arena);
    arena_fini(&streams[1].arena);
    return 0;
}

/* 0 and the delay of a wrong one; or the error and the wait. */
static int wrong(struct stream *who, const void *file, uint64_t *ret)
{
    unsigned wait_s = 0;
    struct guess guess;
    int err = guesses_begin(g, who, file, &guess, &wait_s);

    *ret = err ? wait_s : guesses_wrong(g, who, &guess, SLICE("bob"), "hall");
    return err;
}

static void grows_then_ends(void **state)
{
    static const uint64_t delays[LIMIT] = {0, 250, 500, 1000, 2000};
    uint64_t got;

    (void)state;
    for (unsigned i = 0; i < LIMIT; i++) {
        assert_int_equal(wrong(s, &file_a, &got), 0);
        assert_int_equal(got, delays[i]);
        assert_int_equal(n_logged, i + 1);
    }
    assert_non_null(strstr(logged, "site=main realm=\"hall\" failures=5 of 5/m, answered after "
                                   "2000 ms, user=\"bob\""));
    assert_int_equal(wrong(s, &file_a, &got), GW_EAUTH_GUESSES);
    assert_int_equal(got, EVERY_US / 1000000 + 1);
    assert_non_null(strstr(logged, "auth_failures = 5/m: next in 13 s"));
    assert_int_equal(n_logged, LIMIT + 1);
    assert_int_equal(wrong(s, &file_a, &got), GW_EAUTH_GUESSES);
    assert_int_equal(n_logged, LIMIT + 1); /* that is told once in a while */
    /* whoever else, and at another file */
    assert_int_equal(wrong(stranger, &file_a, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(wrong(s, &file_b, &got), 0);
    /* one each so often */
    the_time_us += EVERY_US;
    assert_int_equal(wrong(s, &file_a, &got), 0);
    assert_int_equal(got, 2000);
    assert_int_equal(wrong(s, &file_a, &got), GW_EAUTH_GUESSES);
    assert_int_equal(guesses_delay_ms(1000), 4000); /* and never longer */
}

/* Those under way count: no more than the limit get in at once. */
static void many_at_once(void **state)
{
    struct guess guesses[LIMIT], more;
    unsigned wait_s;

    (void)state;
    for (unsigned i = 0; i < LIMIT; i++)
        assert_int_equal(guesses_begin(g, s, &file_a, &guesses[i], &wait_s), 0);
    assert_int_equal(guesses_begin(g, s, &file_a, &more, &wait_s), GW_EAUTH_GUESSES);
    /* one was not looked at after all */
    guesses_undo(g, &guesses[0]);
    guesses_undo(g, &guesses[0]); /* nothing is left of it */
    assert_int_equal(guesses_begin(g, s, &file_a, &guesses[0], &wait_s), 0);
    assert_int_equal(guesses_begin(g, s, &file_a, &more, &wait_s), GW_EAUTH_GUESSES);
    /* one was right: all begins anew, and those that end later owe nothing */
    guesses_right(&guesses[1]);
    guesses_undo(g, &guesses[0]);
    guesses_undo(g, &guesses[2]);
    guesses_undo(g, &guesses[3]);
    assert_int_equal(guesses_wrong(g, s, &guesses[4], SLICE("x"), "r"), 0);
    for (unsigned i = 0; i < LIMIT; i++)
        assert_int_equal(guesses_begin(g, s, &file_a, &guesses[i], &wait_s), 0);
    assert_int_equal(guesses_begin(g, s, &file_a, &more, &wait_s), GW_EAUTH_GUESSES);
    for (unsigned i = 0; i < LIMIT; i++)
        guesses_undo(g, &guesses[i]);
}

/* A second request with the same wrong password waits as the first does, and is no attempt. */
static void joined(void **state)
{
    struct guess first, second;
    unsigned wait_s;
    uint64_t got;

    (void)state;
    assert_int_equal(wrong(s, &file_a, &got), 0);
    assert_int_equal(guesses_begin(g, s, &file_a, &first, &wait_s), 0);
    guesses_join(g, s, &file_a, &second);
    n_logged = 0;
    assert_int_equal(guesses_wrong(g, s, &first, SLICE("x"), "r"), 250);
    assert_int_equal(guesses_wrong(g, s, &second, SLICE("x"), "r"), 250);
    assert_int_equal(n_logged, 1);
    guesses_join(g, s, &file_a, &second);
    guesses_undo(g, &second); /* takes nothing back */
    assert_int_equal(wrong(s, &file_a, &got), 0);
    assert_int_equal(got, 500);
}

static void exempt_or_off(void **state)
{
    static const struct conf_gateway off = {.limit_table = 1024};
    uint64_t got;

    (void)state;
    is_exempt = true;
    for (unsigned i = 0; i < 4 * LIMIT; i++) {
        assert_int_equal(wrong(s, &file_a, &got), 0);
        assert_int_equal(got, 0);
    }
    assert_non_null(strstr(logged, "realm=\"hall\" user=\"bob\""));
    guesses_free(g);
    is_exempt = false;
    g = guesses_new(&off);
    assert_non_null(g);
    for (unsigned i = 0; i < 4 * LIMIT; i++) {
        assert_int_equal(wrong(s, &file_a, &got), 0);
        assert_int_equal(got, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(grows_then_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(joined, setup, teardown),
        cmocka_unit_test_setup_teardown(exempt_or_off, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
