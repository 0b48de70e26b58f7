#include "auth_guess.h"

#include <inttypes.h>
#include <stdlib.h>

#include "accounts.h"
#include "clients.h"
#include "conn.h"
#include "counters.h"
#include "remote.h"
#include "seldom.h"
#include "worker.h"

enum { DELAY_FIRST_MS = 250, DELAY_DOUBLINGS = 4, SAY_EVERY_S = 10 };

struct guesses {
    struct accounts *accounts; /* I  NULL: auth_failures = off */
    const struct conf_limit *limit;
    struct rate rate; /* I */
    struct seldom said;
};

struct guesses *guesses_new(const struct conf_gateway *conf)
{
    struct guesses *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->limit = &conf->auth_failures;
    if (!g->limit->n)
        return g;
    g->rate = rate_of(g->limit->n, (uint64_t)g->limit->per_ms, g->limit->burst);
    g->accounts = accounts_new(conf->limit_table);
    if (g->accounts)
        return g;
    free(g);
    return NULL;
}

void guesses_free(struct guesses *g)
{
    if (!g)
        return;
    accounts_free(g->accounts);
    free(g);
}

/* ---- trying ---- */

/* What an account is called. */
struct name {
    const void *of;
    uint64_t client;
};

static struct account *account_of(struct guesses *g, const struct stream *s, const void *of,
                                  uint64_t now_ns)
{
    struct cidr_address a = remote_address(s);
    struct name name = {of, remote_key(&a)};
    bool lost = false;

    if (!g->accounts || clients_is_exempt(worker_of(s)->clients, &a))
        return NULL;
    struct account *account =
        accounts_hold(g->accounts, &name, sizeof(name), name.client, now_ns, &lost);
    if (!account || lost)
        counter_add(COUNTER_LIMIT_TABLE);
    return account;
}

static void say_refused(struct guesses *g, const struct stream *s, struct account *account,
                        uint64_t now_ns)
{
    uint64_t said = atomic_load_explicit(&account->said_ns, memory_order_relaxed);
    char more[SELDOM_TEXT];

    if ((said && now_ns < said + SAY_EVERY_S * RATE_SECOND) ||
        !atomic_compare_exchange_strong_explicit(&account->said_ns, &said, now_ns,
                                                 memory_order_relaxed, memory_order_relaxed) ||
        !seldom_say(&g->said, now_ns, more))
        return;
    conn_log_stream(s, CONF_LOG_WARN, GW_EAUTH_GUESSES, "site=%s %.*s%s", s->site->name,
                    SLICE_FMT(s->err_why), more);
}

int guesses_begin(struct guesses *g, struct stream *s, const void *of, struct guess *ret,
                  unsigned *ret_wait_s)
{
    uint64_t now_ns = clock_now_us() * 1000;
    struct account *account = account_of(g, s, of, now_ns);

    *ret = (struct guess){account, true};
    if (!account)
        return 0;
    uint64_t wait_ns = rate_take(&account->level[0], &g->rate, now_ns);
    if (!wait_ns)
        return 0;
    *ret = (struct guess){0};
    *ret_wait_s = (unsigned)(wait_ns / RATE_SECOND) + 1;
    counter_add(COUNTER_AUTH_BARRED);
    s->err_why = arena_printf(&s->arena, "auth_failures = %.*s: next in %u s",
                              SLICE_FMT(g->limit->text), *ret_wait_s);
    say_refused(g, s, account, now_ns);
    account_drop(account);
    return GW_EAUTH_GUESSES;
}

void guesses_join(struct guesses *g, const struct stream *s, const void *of, struct guess *ret)
{
    *ret = (struct guess){account_of(g, s, of, clock_now_us() * 1000), false};
}

/* ---- ends ---- */

static void guess_end(struct guess *guess)
{
    if (guess->account)
        account_drop(guess->account);
    *guess = (struct guess){0};
}

void guesses_right(struct guess *guess)
{
    if (guess->account)
        atomic_store_explicit(&guess->account->level[0], 0, memory_order_relaxed);
    guess_end(guess);
}

/* Not rate_give_back(): a right password may have ended the count meanwhile. */
void guesses_undo(const struct guesses *g, struct guess *guess)
{
    if (guess->account && guess->counts)
        rate_forgive(&guess->account->level[0], &g->rate, clock_now_us() * 1000);
    guess_end(guess);
}

uint64_t guesses_delay_ms(uint64_t n)
{
    if (n < 2)
        return 0;
    return (uint64_t)DELAY_FIRST_MS << (n - 2 < DELAY_DOUBLINGS ? n - 2 : DELAY_DOUBLINGS);
}

static void say_wrong(struct guesses *g, const struct stream *s, const struct guess *guess,
                      uint64_t n, struct slice user, const char *realm)
{
    char more[SELDOM_TEXT];

    if (guess->account)
        conn_log_stream(s, CONF_LOG_WARN, GW_EUNAUTHORIZED,
                        "wrong user or password, site=%s realm=\"%s\" failures=%" PRIu64
                        " of %.*s, answered after %" PRIu64 " ms, user=\"%.*s\"",
                        s->site->name, realm, n, SLICE_FMT(g->limit->text), guesses_delay_ms(n),
                        SLICE_FMT(user));
    else if (seldom_say(&g->said, clock_now_us() * 1000,
                        more)) /* nothing bounds their number */
        conn_log_stream(s, CONF_LOG_WARN, GW_EUNAUTHORIZED,
                        "wrong user or password, site=%s realm=\"%s\" user=\"%.*s\"%s",
                        s->site->name, realm, SLICE_FMT(user), more);
}

uint64_t guesses_wrong(struct guesses *g, const struct stream *s, struct guess *guess,
                       struct slice user, const char *realm)
{
    uint64_t n = 0;

    if (guess->account)
        n = rate_events(&g->rate, rate_level(&guess->account->level[0], clock_now_us() * 1000));
    if (guess->counts) {
        counter_add(COUNTER_AUTH_FAILURES);
        say_wrong(g, s, guess, n, user, realm);
    }
    guess_end(guess);
    return guesses_delay_ms(n);
}
