#include "pool_procs.h"

#include <stdlib.h>

enum {
    DOWN_DELAY_MS = 1000, /* a process that is back sooner counts as being started */
    LOOK_MS = 1000,       /* the longest between two looks at who is idle */
    LOOKS = 4,            /* looks in idle_ms */
};

/* ---- made ---- */

static void set_state(struct procs_slot *s, enum procs_state state)
{
    s->state = state;
}

/* A process begins in this slot, or will. */
static void begin(struct procs_slot *s, uint64_t now_ms)
{
    s->state = PROCS_STARTING;
    s->born_ms = s->idle_ms = now_ms;
    s->born_served = s->n_requests;
    s->due = NULL;
    s->large = false;
}

static void order(struct procs_slot *s, enum spawner_verb verb, const char *why)
{
    s->order = verb;
    s->why = why;
}

struct procs *procs_new(const struct conf_pool *conf, uint64_t now_ms)
{
    struct procs *ps = calloc(1, sizeof *ps);

    if (!ps)
        return NULL;
    *ps = (struct procs){
        .min = conf->min_processes,
        .max = conf->processes,
        .per_process = conf->requests_per_process ? conf->requests_per_process : 1,
        .idle_ms = (uint64_t)conf->idle_timeout_ms,
        .max_requests = conf->max_requests_per_process,
        .max_age_ms = (uint64_t)conf->max_age_ms,
        .n = conf->slots,
        .slots = calloc(conf->slots ? conf->slots : 1, sizeof *ps->slots),
    };
    if (!ps->slots) {
        procs_free(ps);
        return NULL;
    }
    for (unsigned i = 0; i < ps->n; i++) {
        ps->slots[i].successor = -1;
        if (i < ps->min)
            begin(&ps->slots[i], now_ms);
    }
    return ps;
}

void procs_free(struct procs *ps)
{
    if (!ps)
        return;
    free(ps->slots);
    free(ps);
}

/* ---- news ---- */

static void became_up(struct procs_slot *s, uint64_t now_ms)
{
    set_state(s, PROCS_UP);
    s->n_failed = 0;
    s->idle_ms = now_ms;
}

static void news_running(struct procs_slot *s, const struct spawner_msg *m, uint64_t now_ms)
{
    if (s->state == PROCS_DRAINING || s->state == PROCS_STOPPING)
        return;
    if (s->state == PROCS_OFF || s->state == PROCS_DOWN) /* nobody asked: one of before us */
        begin(s, now_ms);
    s->pid = m->pid;
    s->born_ms = now_ms - (uint64_t)m->age_ms;
    s->large = m->flags & SPAWNER_LARGE;
    if (s->state == PROCS_STARTING && m->flags & SPAWNER_READY)
        became_up(s, now_ms);
}

static void news_ended(struct procs_slot *s, const struct spawner_msg *m, uint64_t now_ms)
{
    bool never_up = (s->state == PROCS_STARTING || s->state == PROCS_DOWN) && !s->took;

    s->pid = 0;
    switch (s->state) {
    case PROCS_OFF:
        break;
    case PROCS_STOPPING:
        set_state(s, PROCS_OFF);
        break;
    case PROCS_DRAINING: /* before it was told, so it would be restarted */
        order(s, SPAWNER_STOP, "ended while it was drained");
        set_state(s, PROCS_STOPPING);
        break;
    case PROCS_STARTING:
    case PROCS_UP:
    case PROCS_DOWN:
        s->n_failed += never_up && (m->verb == SPAWNER_FAILED || m->status != 0);
        begin(s, now_ms);
        if (m->delay_ms >= DOWN_DELAY_MS)
            set_state(s, PROCS_DOWN);
        break;
    }
}

void procs_news(struct procs *ps, const struct spawner_msg *m, uint64_t now_ms)
{
    if (m->slot >= ps->n)
        return;
    struct procs_slot *s = &ps->slots[m->slot];
    if (m->verb == SPAWNER_RUNNING)
        news_running(s, m, now_ms);
    else if (m->verb == SPAWNER_ENDED || m->verb == SPAWNER_FAILED)
        news_ended(s, m, now_ms);
}

void procs_answers(struct procs *ps, unsigned slot, uint64_t now_ms)
{
    struct procs_slot *s = slot < ps->n ? &ps->slots[slot] : NULL;

    /* One that was not even ordered has not answered: that was the one before. */
    if (!s || s->state != PROCS_STARTING || s->order == SPAWNER_START)
        return;
    became_up(s, now_ms);
    order(s, SPAWNER_ANSWERS, NULL);
}

void procs_reset(struct procs *ps, uint64_t now_ms)
{
    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        s->successor = -1;
        s->pid = 0;
        s->order = 0;
        if (s->state == PROCS_STARTING || s->state == PROCS_UP || s->state == PROCS_DOWN) {
            begin(s, now_ms);
            order(s, SPAWNER_START, "the spawner was restarted");
        } else if (s->state != PROCS_OFF) {
            set_state(s, PROCS_OFF);
        }
    }
}

/* ---- counting ---- */

static bool is_live(const struct procs_slot *s)
{
    return s->state == PROCS_STARTING || s->state == PROCS_UP || s->state == PROCS_DOWN;
}

/* A process that will serve: not one whose successor is there to take its place. */
static bool counts(const struct procs_slot *s)
{
    return is_live(s) && s->successor < 0;
}

static unsigned count(const struct procs *ps)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ps->n; i++)
        n += counts(&ps->slots[i]);
    return n;
}

static bool any_failing(const struct procs *ps)
{
    for (unsigned i = 0; i < ps->n; i++) {
        if (ps->slots[i].n_failed && is_live(&ps->slots[i]))
            return true;
    }
    return false;
}

/* Start a process where none is.  Its slot, or -1: there is no place. */
static int start(struct procs *ps, const char *why, uint64_t now_ms)
{
    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        if (s->state != PROCS_OFF || s->order)
            continue;
        begin(s, now_ms);
        s->n_failed = 0;
        order(s, SPAWNER_START, why);
        return (int)i;
    }
    return -1;
}

static void drain(struct procs_slot *s, const char *why)
{
    set_state(s, PROCS_DRAINING);
    s->successor = -1;
    s->why = why;
}

/* ---- the rules ---- */

static const char *due_for(const struct procs *ps, const struct procs_slot *s, uint64_t now_ms)
{
    if (ps->max_requests && s->n_requests - s->born_served >= ps->max_requests)
        return "max_requests_per_process";
    if (ps->max_age_ms && now_ms - s->born_ms >= ps->max_age_ms)
        return "max_age";
    return s->large ? "max_memory" : NULL;
}

static void replace(struct procs *ps, struct procs_slot *s, const struct procs_demand *d,
                    uint64_t now_ms)
{
    bool no_spare = ps->n <= ps->max;
    bool unneeded = s->n_in_flight == 0 && d->n_waiting == 0 && count(ps) > ps->min;

    if (s->successor >= 0) {
        const struct procs_slot *next = &ps->slots[s->successor];
        if (next->state == PROCS_UP)
            drain(s, s->due);
        else if (!is_live(next)) /* it was stopped, or is another's by now */
            s->successor = -1;
        return;
    }
    if (no_spare || unneeded)
        drain(s, s->due);
    else if (!any_failing(ps))
        s->successor = start(ps, s->due, now_ms);
}

static void replace_due(struct procs *ps, const struct procs_demand *d, uint64_t now_ms)
{
    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        if (!is_live(s)) {
            s->successor = -1;
        } else if (s->state == PROCS_UP) {
            s->due = due_for(ps, s, now_ms);
            if (s->due)
                replace(ps, s, d, now_ms);
            else
                s->successor = -1; /* it ended and came back by itself */
        } else {
            s->successor = -1;
        }
    }
}

/* Of several that fail to start one is tried on. */
static void stop_failing(struct procs *ps)
{
    unsigned n = count(ps);
    bool one = false;

    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        if (!s->n_failed || s->state == PROCS_UP || !counts(s))
            continue;
        if (one && n > ps->min) {
            order(s, SPAWNER_STOP, "another one fails to start, too");
            set_state(s, PROCS_STOPPING);
            n--;
        }
        one = true;
    }
}

/* Room for requests in processes that are being started. */
static unsigned coming(const struct procs *ps)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ps->n; i++) {
        const struct procs_slot *s = &ps->slots[i];
        if (s->state == PROCS_STARTING && s->n_in_flight < ps->per_process)
            n += ps->per_process - s->n_in_flight;
    }
    return n;
}

static void start_wanted(struct procs *ps, const struct procs_demand *d, uint64_t now_ms)
{
    unsigned n = count(ps), wanted = d->n_waiting < d->room ? d->n_waiting : d->room;

    while (n < ps->min && start(ps, "processes", now_ms) >= 0)
        n++;
    while (n < ps->max && wanted > coming(ps) && !any_failing(ps) &&
           start(ps, "requests wait", now_ms) >= 0)
        n++;
}

/* The one that had nothing to do for longest: of those that were, before those that still
 * start. */
static struct procs_slot *idlest(const struct procs *ps)
{
    struct procs_slot *best = NULL;

    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        if (s->state != PROCS_UP || s->n_in_flight || !counts(s))
            continue;
        if (!best || s->idle_ms < best->idle_ms)
            best = s;
    }
    return best;
}

static void stop_idle(struct procs *ps, const struct procs_demand *d, uint64_t now_ms)
{
    unsigned n = count(ps);
    struct procs_slot *s;

    while (n > ps->min && d->n_waiting == 0 && (s = idlest(ps)) &&
           (now_ms - s->idle_ms >= ps->idle_ms || n > ps->max)) {
        drain(s, n > ps->max ? "one too many" : "idle_timeout");
        n--;
    }
}

static void stop_drained(struct procs *ps)
{
    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        if (s->state != PROCS_DRAINING || s->n_in_flight)
            continue;
        order(s, SPAWNER_STOP, s->why);
        set_state(s, PROCS_STOPPING);
    }
}

static void see_work(struct procs *ps, uint64_t now_ms)
{
    for (unsigned i = 0; i < ps->n; i++) {
        struct procs_slot *s = &ps->slots[i];
        if (s->n_in_flight || s->n_requests != s->seen)
            s->idle_ms = now_ms;
        s->seen = s->n_requests;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_ms(const struct procs *ps, uint64_t now_ms)
{
    uint64_t next = UINT64_MAX, look = earlier(LOOK_MS, ps->idle_ms / LOOKS + 1);

    for (unsigned i = 0; i < ps->n; i++) {
        const struct procs_slot *s = &ps->slots[i];
        if (s->state == PROCS_UP && ps->max_age_ms && s->born_ms + ps->max_age_ms > now_ms)
            next = earlier(next, s->born_ms + ps->max_age_ms);
    }
    return count(ps) > ps->min ? earlier(next, now_ms + look) : next;
}

uint64_t procs_step(struct procs *ps, const struct procs_demand *demand, uint64_t now_ms)
{
    see_work(ps, now_ms);
    replace_due(ps, demand, now_ms);
    stop_failing(ps);
    start_wanted(ps, demand, now_ms);
    stop_idle(ps, demand, now_ms);
    stop_drained(ps);
    ps->startable = count(ps) < ps->max && !any_failing(ps);
    return next_ms(ps, now_ms);
}
