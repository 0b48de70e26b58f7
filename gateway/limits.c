#include "limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "accounts.h"
#include "conn.h"
#include "counters.h"
#include "remote.h"
#include "seldom.h"
#include "siphash.h"

enum { SAY_EVERY_S = 10 };

struct limits {
    struct accounts *accounts;
    struct siphash_key key; /* of users and fields */
    struct seldom said;
};

/* What s has of one limit; in its arena. */
struct limit_taken {
    struct limit_taken *next;
    const struct conf_limit *limit;
    struct account *account; /* held; NULL: no more */
};

/* ---- life ---- */

struct limits *limits_new(const struct conf *conf)
{
    struct limits *ls = calloc(1, sizeof(*ls));

    if (!ls)
        return NULL;
    ls->accounts = accounts_new(conf->gateway.limit_table);
    if (!ls->accounts || getrandom(&ls->key, sizeof(ls->key), 0) < 0) {
        limits_free(ls);
        return NULL;
    }
    return ls;
}

void limits_free(struct limits *ls)
{
    if (!ls)
        return;
    accounts_free(ls->accounts);
    free(ls);
}

/* ---- whose it is ---- */

/* What an account is called; the limit is as constant as the configuration. */
struct name {
    const struct conf_limit *limit;
    uint64_t whose[2];
};

static void name_value(const struct limits *ls, struct slice value, struct name *ret)
{
    struct siphash_tag tag = siphash(ls->key, value.p, value.n);

    ret->whose[0] = tag.v[0];
    ret->whose[1] = tag.v[1];
}

/* false: s is none of those that l counts. */
static bool name_of(const struct limits *ls, const struct stream *s, const struct conf_limit *l,
                    struct name *ret)
{
    const struct field *f;
    struct cidr_address a;

    *ret = (struct name){.limit = l};
    switch (l->by) {
    case CONF_BY_ADDRESS:
        a = remote_address(s);
        ret->whose[0] = remote_key(&a);
        return a.family == CIDR_V4 || a.family == CIDR_V6;
    case CONF_BY_USER:
        name_value(ls, s->remote_user, ret);
        return s->remote_user.n > 0;
    case CONF_BY_FIELD:
        f = fields_find(s->req.fields, s->req.n_fields, l->field);
        if (f)
            name_value(ls, f->value, ret);
        return f && f->value.n;
    case CONF_BY_ALL:
        break;
    }
    return true;
}

/* ---- lines ---- */

static bool is_dry(const struct stream *s)
{
    return s->route->limits_dry_run > 0;
}

/* One that is over is not worth a line each time. */
static void say(struct limits *ls, const struct stream *s, struct account *a, int err,
                uint64_t now_ns)
{
    uint64_t said = atomic_load_explicit(&a->said_ns, memory_order_relaxed);
    char more[SELDOM_TEXT];

    if ((said && now_ns < said + SAY_EVERY_S * RATE_SECOND) ||
        !atomic_compare_exchange_strong_explicit(&a->said_ns, &said, now_ns,
                                                 memory_order_relaxed, memory_order_relaxed) ||
        !seldom_say(&ls->said, now_ns, more))
        return;
    conn_log_stream(s, CONF_LOG_WARN, err, "site=%s route=\"%.*s\" %.*s%s%s", s->site->name,
                    SLICE_FMT(s->route->pattern), SLICE_FMT(s->err_why),
                    is_dry(s) ? " (limits_dry_run)" : "", more);
}

/* ---- taking ---- */

static struct rate rate_of_limit(const struct conf_limit *l)
{
    return rate_of(l->n, (uint64_t)l->per_ms, l->burst);
}

static bool take_rate(struct stream *s, const struct conf_limit *l, struct account *a,
                      uint64_t now_ns, uint64_t *ret_wait_ns)
{
    struct rate r = rate_of_limit(l);

    *ret_wait_ns = rate_take(&a->level[0], &r, now_ns);
    if (!*ret_wait_ns)
        return true;
    uint64_t wait_ms = *ret_wait_ns / 1000000 + 1;
    s->err_why = arena_printf(&s->arena, "rate = %.*s: next in %" PRIu64 " ms",
                              SLICE_FMT(l->text), wait_ms);
    return false;
}

static bool take_at_once(struct stream *s, const struct conf_limit *l, struct account *a)
{
    if (account_enter(&a->at_once[0], l->n))
        return true;
    s->err_why = arena_printf(&s->arena, "requests_at_once = %.*s: %u are under way",
                              SLICE_FMT(l->text), l->n);
    return false;
}

static bool is_rate(const struct conf_limit *l)
{
    return l->per_ms > 0;
}

/* t was in vain. */
static void give_back(struct limit_taken *t)
{
    struct rate r;

    if (!t->account)
        return;
    if (is_rate(t->limit)) {
        r = rate_of_limit(t->limit);
        rate_give_back(&t->account->level[0], &r);
    } else {
        account_leave(&t->account->at_once[0]);
    }
    account_drop(t->account);
    t->account = NULL;
}

static bool has_taken(const struct stream *s, const struct conf_limit *l)
{
    for (const struct limit_taken *t = s->limits_taken; t; t = t->next) {
        if (t->limit == l)
            return true;
    }
    return false;
}

/* 0: taken, or not to be counted.  Else the error, and *ret_wait_ns. */
static int take(struct limits *ls, struct stream *s, const struct conf_limit *l,
                uint64_t now_ns, uint64_t *ret_wait_ns)
{
    struct limit_taken *t;
    struct name name;
    bool lost = false;

    *ret_wait_ns = 0;
    if (has_taken(s, l) || !name_of(ls, s, l, &name))
        return 0;
    t = arena_zalloc(&s->arena, sizeof(*t));
    if (!t)
        return GW_ENO_MEMORY;
    struct account *a = accounts_hold(ls->accounts, &name, sizeof(name), 0, now_ns, &lost);
    if (!a || lost)
        counter_add(COUNTER_LIMIT_TABLE);
    if (!a)
        return 0;
    bool rate = is_rate(l);
    bool fits = rate ? take_rate(s, l, a, now_ns, ret_wait_ns) : take_at_once(s, l, a);
    if (!fits) {
        int err = rate ? GW_ELIMIT_RATE : GW_ELIMIT_AT_ONCE;
        counter_add(is_dry(s) ? COUNTER_LIMITS_DRY_RUN : rate ? COUNTER_RATE : COUNTER_AT_ONCE);
        say(ls, s, a, err, now_ns);
        account_drop(a);
        if (!is_dry(s))
            return err;
        s->err_why = slice_of("", 0); /* it is not what will become of s */
        return 0;
    }
    *t = (struct limit_taken){s->limits_taken, l, a};
    s->limits_taken = t;
    return 0;
}

static int take_all(struct limits *ls, struct stream *s, const struct conf_limit *list,
                    unsigned n, enum limits_when when, uint64_t *ret_wait_ns)
{
    uint64_t now_ns = clock_now_us() * 1000;

    for (unsigned i = 0; i < n; i++) {
        bool later = list[i].by == CONF_BY_USER;
        if (later != (when == LIMITS_USER_KNOWN))
            continue;
        int err = take(ls, s, &list[i], now_ns, ret_wait_ns);
        if (err)
            return err;
    }
    return 0;
}

static void refuse(struct stream *s, int err, uint64_t wait_ns)
{
    unsigned long long seconds = (wait_ns + RATE_SECOND - 1) / RATE_SECOND;
    struct field after = {SLICE("Retry-After"),
                          arena_printf(&s->arena, "%llu", seconds ? seconds : 1)};

    stream_error_fields(s, err, &after, after.value.p ? 1 : 0);
}

/* Of a rate only its account's level is left. */
static void settle(struct stream *s, const struct limit_taken *end)
{
    for (struct limit_taken *t = s->limits_taken; t != end; t = t->next) {
        if (!is_rate(t->limit))
            continue;
        account_drop(t->account);
        t->account = NULL;
    }
}

bool limits_admit(struct limits *ls, struct stream *s, enum limits_when when)
{
    const struct conf_route *route = s->route;
    struct limit_taken *before = s->limits_taken;
    uint64_t wait_ns = 0;

    if (!route->n_rate && !route->n_at_once)
        return true;
    int err = take_all(ls, s, route->at_once, route->n_at_once, when, &wait_ns);
    if (err == 0)
        err = take_all(ls, s, route->rate, route->n_rate, when, &wait_ns);
    if (err == 0) {
        settle(s, before);
        return true;
    }
    for (; s->limits_taken != before; s->limits_taken = s->limits_taken->next)
        give_back(s->limits_taken);
    refuse(s, err, wait_ns);
    return false;
}

void limits_leave(struct stream *s)
{
    for (struct limit_taken *t = s->limits_taken; t; t = t->next) {
        if (t->account)
            give_back(t);
    }
    s->limits_taken = NULL;
}
