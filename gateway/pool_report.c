#include "pool_report.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum { EVERY_MS = 60 * 1000, LINE_MAX_LEN = 256 };

/* One pool, and what was said of it last. */
struct reported {
    struct pool *pool;
    struct pool_stats was;
};

struct pool_reports {
    struct timer timer;
    unsigned n;
    struct reported pools[];
};

/* ---- texts ---- */

static bool put_refused(char *to, size_t room, const char *when, const struct pool_stats *was,
                        const struct pool_stats *now)
{
    uint64_t full = now->n_full - was->n_full, down = now->n_down - was->n_down;
    uint64_t late = now->n_timed_out - was->n_timed_out;

    (void)snprintf(to, room,
                   "refused %" PRIu64 "%s: queue full %" PRIu64 ", queue timeout %" PRIu64
                   ", pool down %" PRIu64,
                   full + late + down, when, full, late, down);
    return full + late + down > 0;
}

bool pool_report_minute(char *to, size_t room, const struct pool_stats *was,
                        const struct pool_stats *now)
{
    char refused[LINE_MAX_LEN];

    if (!put_refused(refused, sizeof(refused), " in a minute", was, now))
        return false;
    (void)snprintf(to, room, "%s; begun %" PRIu64 ", now at work %u, waiting %u", refused,
                   now->n_requests - was->n_requests, now->in_flight, now->waiting);
    return true;
}

bool pool_report_total(char *to, size_t room, const struct pool_stats *now)
{
    static const struct pool_stats none;
    char refused[LINE_MAX_LEN];

    bool any = put_refused(refused, sizeof(refused), "", &none, now);
    (void)snprintf(to, room, "begun %" PRIu64 ", queued %" PRIu64 ", %s", now->n_requests,
                   now->n_queued, refused);
    return any || now->n_requests;
}

/* ---- lines ---- */

static void look(struct loop *l, struct timer *t)
{
    struct pool_reports *rs =
        (struct pool_reports *)(void *)((char *)t - offsetof(struct pool_reports, timer));
    struct pool_stats now;
    char text[LINE_MAX_LEN];

    for (unsigned i = 0; i < rs->n; i++) {
        struct reported *r = &rs->pools[i];
        pool_stats(r->pool, &now);
        if (pool_report_minute(text, sizeof(text), &r->was, &now))
            log_line(CONF_LOG_WARN, "pool=%s %s", pool_conf(r->pool)->name, text);
        r->was = now;
    }
    timer_set(l, t, EVERY_MS);
}

void pool_reports_end(struct pool_reports *rs)
{
    struct pool_stats now;
    char text[LINE_MAX_LEN];

    for (unsigned i = 0; i < rs->n; i++) {
        pool_stats(rs->pools[i].pool, &now);
        if (pool_report_total(text, sizeof(text), &now))
            log_line(CONF_LOG_NOTICE, "pool=%s drained: %s", pool_conf(rs->pools[i].pool)->name,
                     text);
    }
}

/* ---- life ---- */

struct pool_reports *pool_reports_new(struct loop *loop, struct pool **pools, unsigned n)
{
    struct pool_reports *rs = calloc(1, sizeof(*rs) + n * sizeof(rs->pools[0]));

    if (!rs)
        return NULL;
    rs->n = n;
    rs->timer.fn = look;
    for (unsigned i = 0; i < n; i++)
        rs->pools[i].pool = pools[i];
    timer_set(loop, &rs->timer, EVERY_MS);
    return rs;
}

void pool_reports_free(struct pool_reports *rs)
{
    if (rs)
        timer_clear(&rs->timer);
    free(rs);
}
