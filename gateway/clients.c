#include "clients.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "conn.h"
#include "counters.h"
#include "remote.h"
#include "seldom.h"
#include "worker.h"

enum {
    RESETS_PER_MS = 30 * 1000,
    COST_PER_MS = 60 * 1000,
    SAY_EVERY_S = 10, /* of one client, of one kind */
};

/* What an account's numbers are of. */
enum { CONNECTIONS, REQUESTS };
enum { RESETS, COST };

struct clients {
    const struct conf_gateway *conf;
    struct accounts *accounts;
    struct cidr_set exempt;
    struct rate rates[2];
    struct seldom said;
};

struct client_work {
    struct clients *clients;
    struct account *client;
    uint64_t since_ms;
};

/* ---- life ---- */

static int make_exempt(struct clients *cs, const struct conf_gateway *conf)
{
    cs->exempt.rules = calloc(conf->n_client_exempt + 1u, sizeof(*cs->exempt.rules));
    if (!cs->exempt.rules)
        return GW_ENO_MEMORY;
    for (unsigned i = 0; i < conf->n_client_exempt; i++)
        cs->exempt.rules[cs->exempt.n++].block = conf->client_exempt[i];
    (void)cidr_set_build(&cs->exempt); /* they all say the same */
    return 0;
}

struct clients *clients_new(const struct conf_gateway *conf)
{
    struct clients *cs = calloc(1, sizeof(*cs));

    if (!cs)
        return NULL;
    cs->conf = conf;
    cs->accounts = accounts_new(conf->client_table + (size_t)4 * conf->max_connections);
    if (!cs->accounts || make_exempt(cs, conf) < 0) {
        clients_free(cs);
        return NULL;
    }
    if (conf->client_resets)
        cs->rates[RESETS] = rate_of(conf->client_resets, RESETS_PER_MS, conf->client_resets);
    if (conf->client_cost_ms)
        cs->rates[COST] = rate_of((uint64_t)conf->client_cost_ms, COST_PER_MS,
                                  (uint64_t)conf->client_cost_ms);
    return cs;
}

void clients_free(struct clients *cs)
{
    if (!cs)
        return;
    accounts_free(cs->accounts);
    free(cs->exempt.rules);
    free(cs);
}

/* ---- lines ---- */

void client_text(const struct account *client, char out[CLIENT_TEXT])
{
    struct cidr c = {.bits = 64, .address = {.family = CIDR_V6}};
    uint64_t key = client->user;

    if (key >> 32 == 1) { /* as remote_key() has it */
        c = (struct cidr){.bits = 32, .address = {.family = CIDR_V4}};
        key <<= 32;
    }
    for (int i = 0; i < 8; i++)
        c.address.ip[i] = (uint8_t)(key >> (56 - 8 * i));
    if (c.address.family == CIDR_V4)
        memset(c.address.ip + 4, 0, 4);
    cidr_text(&c, out);
}

/* A flood of refusals is one line in a while. */
static void say_refused(struct clients *cs, struct account *client, uint64_t now_ns, int err,
                        const char *key, unsigned limit, const char *done)
{
    uint64_t said = atomic_load_explicit(&client->said_ns, memory_order_relaxed);
    char who[CLIENT_TEXT], more[SELDOM_TEXT];

    if ((said && now_ns < said + SAY_EVERY_S * RATE_SECOND) ||
        !atomic_compare_exchange_strong_explicit(&client->said_ns, &said, now_ns,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    if (!seldom_say(&cs->said, now_ns, more))
        return;
    client_text(client, who);
    log_line(CONF_LOG_WARN, "client=%s %s: %s; %s = %u: %s%s", who, gw_err_name(err),
             gw_err_text(err), key, limit, done, more);
}

/* ---- barring ---- */

static const struct {
    const char *key, *unit;
    enum counter counter;
    unsigned per_s;
} charges[] = {
    [RESETS] = {"client_resets", "resets", COUNTER_CLIENT_RESETS, RESETS_PER_MS / 1000},
    [COST] = {"client_cost", "ms of applications' time", COUNTER_CLIENT_COST,
              COST_PER_MS / 1000},
};

/* How long client is barred still. */
static uint64_t barred_ns(const struct account *client, uint64_t now_ns)
{
    uint64_t until = atomic_load_explicit(&client->until_ns, memory_order_relaxed);

    return until > now_ns ? until - now_ns : 0;
}

static void say_barred(struct clients *cs, const struct account *client, int what,
                       uint64_t figure, uint64_t ns, uint64_t now_ns)
{
    const struct rate *r = &cs->rates[what];
    char who[CLIENT_TEXT], more[SELDOM_TEXT];

    if (!seldom_say(&cs->said, now_ns, more))
        return;
    client_text(client, who);
    log_line(CONF_LOG_WARN,
             "client=%s %s: %s; %" PRIu64 " %s, limit %" PRIu64
             " in %u s (%s): barred for %" PRIu64 " s%s",
             who, gw_err_name(GW_ELIMIT_BARRED), gw_err_text(GW_ELIMIT_BARRED), figure,
             charges[what].unit, rate_events(r, r->burst_ns), charges[what].per_s,
             charges[what].key, (uint64_t)(ns / RATE_SECOND), more);
}

/* n more of what.  true: client is barred. */
static bool charge(struct clients *cs, struct account *client, int what, uint64_t n,
                   uint64_t now_ns)
{
    const struct rate *r = &cs->rates[what];

    if (!r->every_ns)
        return barred_ns(client, now_ns) > 0;
    uint64_t level = rate_charge(&client->level[what], r, n, now_ns);
    if (level <= r->burst_ns)
        return barred_ns(client, now_ns) > 0;
    uint64_t ns = level - r->burst_ns / 2;
    uint64_t until = atomic_load_explicit(&client->until_ns, memory_order_relaxed);
    bool was = until > now_ns;
    while (until < now_ns + ns &&
           !atomic_compare_exchange_weak_explicit(&client->until_ns, &until, now_ns + ns,
                                                  memory_order_relaxed, memory_order_relaxed))
        was = until > now_ns;
    if (!was) {
        counter_add(charges[what].counter);
        say_barred(cs, client, what, rate_events(r, level), ns, now_ns);
    }
    return true;
}

bool clients_is_reset(int err)
{
    return err == GW_ECLIENT_RESET || err == GW_ECLIENT_GONE || err == GW_ECLIENT_PROTO ||
           err == GW_ECLIENT_FLOOD;
}

bool clients_is_given_up(int err)
{
    return clients_is_reset(err) || err == GW_ECLIENT_SLOW || err == GW_EBODY_TIME;
}

bool clients_reset(struct clients *cs, struct account *client, uint64_t now_ns)
{
    return charge(cs, client, RESETS, 1, now_ns);
}

/* ---- connections ---- */

bool clients_is_exempt(const struct clients *cs, const struct cidr_address *address)
{
    return (address->family != CIDR_V4 && address->family != CIDR_V6) ||
           cidr_set_find(&cs->exempt, address) ||
           cidr_set_find(&cs->conf->trusted_proxies, address);
}

struct account *clients_find(struct clients *cs, const struct cidr_address *address,
                             uint64_t now_ns)
{
    uint64_t key = remote_key(address);
    bool lost = false;

    if (clients_is_exempt(cs, address))
        return NULL;
    struct account *client = accounts_hold(cs->accounts, &key, sizeof(key), key, now_ns, &lost);
    if (!client || lost)
        counter_add(COUNTER_CLIENT_TABLE);
    return client;
}

int clients_connect(struct clients *cs, const struct cidr_address *address, uint64_t now_ns,
                    struct account **ret)
{
    unsigned limit = cs->conf->client_connections;
    struct account *client = clients_find(cs, address, now_ns);
    int err = 0;

    *ret = NULL;
    if (!client)
        return 0;
    if (barred_ns(client, now_ns)) {
        counter_add(COUNTER_CLIENT_BARRED);
        err = GW_ELIMIT_BARRED; /* it was said when it came to that */
    } else if (!account_enter(&client->at_once[CONNECTIONS], limit ? limit : UINT_MAX)) {
        counter_add(COUNTER_CLIENT_CONNECTIONS);
        err = GW_ELIMIT_CONNECTIONS;
        say_refused(cs, client, now_ns, err, "client_connections", limit, "closed");
    }
    if (err)
        account_drop(client);
    else
        *ret = client;
    return err;
}

void clients_disconnect(struct account *client)
{
    if (!client)
        return;
    account_leave(&client->at_once[CONNECTIONS]);
    account_drop(client);
}

/* ---- requests ---- */

int clients_begin(struct clients *cs, struct account *client, uint64_t now_ns,
                  unsigned *ret_wait_s)
{
    unsigned limit = cs->conf->client_requests;
    uint64_t barred = barred_ns(client, now_ns);

    *ret_wait_s = (unsigned)(barred / RATE_SECOND) + 1;
    if (barred) {
        counter_add(COUNTER_CLIENT_BARRED);
        return GW_ELIMIT_BARRED;
    }
    if (account_enter(&client->at_once[REQUESTS], limit ? limit : UINT_MAX))
        return 0;
    counter_add(COUNTER_CLIENT_REQUESTS);
    say_refused(cs, client, now_ns, GW_ELIMIT_REQUESTS, "client_requests", limit, "429");
    return GW_ELIMIT_REQUESTS;
}

void clients_end(struct account *client)
{
    account_leave(&client->at_once[REQUESTS]);
}

struct client_work *clients_work(struct clients *cs, struct account *client, uint64_t since_ms)
{
    struct client_work *work = malloc(sizeof(*work));

    if (!work)
        return NULL;
    *work = (struct client_work){cs, client, since_ms};
    account_hold(client);
    account_enter(&client->at_once[REQUESTS], UINT_MAX);
    return work;
}

void clients_worked(struct client_work *work, uint64_t now_ms, uint64_t cpu_us)
{
    struct account *client = work->client;
    uint64_t ms = now_ms > work->since_ms ? now_ms - work->since_ms : 0;

    if (ms < cpu_us / 1000)
        ms = cpu_us / 1000;
    charge(work->clients, client, COST, ms ? ms : 1, now_ms * 1000000);
    clients_end(client);
    account_drop(client);
    free(work);
}

/* ---- streams ---- */

int clients_stream_begin(struct stream *s, unsigned *ret_wait_s)
{
    struct clients *cs = worker_of(s)->clients;
    uint64_t now_ns = s->start_us * 1000;

    s->client_held = s->remote != NULL;
    if (s->remote)
        s->client = clients_find(cs, &s->remote->address, now_ns);
    else
        s->client = s->conn->client;
    int err = s->client ? clients_begin(cs, s->client, now_ns, ret_wait_s) : 0;
    s->at_work = s->client && err == 0;
    return err;
}

bool clients_stream_end(struct stream *s, int err)
{
    /* Reset before its head was complete it is the connection's peer's. */
    struct account *client = s->start_us ? s->client : s->conn->client;
    bool over = false;

    if (!client)
        return false;
    if (clients_is_reset(err))
        over = clients_reset(worker_of(s)->clients, client, clock_now_us() * 1000);
    if (s->at_work)
        clients_end(client);
    if (s->client_held)
        account_drop(client);
    return over && !s->client_held; /* a proxy's connection has others' requests, too */
}
