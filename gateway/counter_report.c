#include "counter_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "loop.h"

enum { EVERY_MS = 60 * 1000, LINE_MAX_LEN = 2048 };

enum counter_kind { COUNTER_TROUBLE, COUNTER_ROUTINE };

static const struct {
    const char *name;
    enum counter_kind kind;
} rows[N_COUNTERS] = {
#define GW_COUNTER(sym, name, kind) {name, kind},
#include "tbl/counters.def"
#undef GW_COUNTER
};

static struct counter_values values_now(void)
{
    struct counter_values now;

    for (unsigned i = 0; i < N_COUNTERS; i++)
        now.n[i] = counter_get(i);
    return now;
}

bool counters_text(char *to, size_t room, const struct counter_values *was,
                   const struct counter_values *now)
{
    size_t len = 0;
    bool matters = false;

    to[0] = '\0';
    for (unsigned i = 0; i < N_COUNTERS; i++) {
        uint64_t grew = now->n[i] - was->n[i];
        if (!grew)
            continue;
        matters |= rows[i].kind == COUNTER_TROUBLE;
        int n =
            snprintf(to + len, room - len, "%s%s=%" PRIu64, len ? " " : "", rows[i].name, grew);
        if (n < 0 || (size_t)n >= room - len) {
            to[len] = '\0'; /* a name and half a number would be worse than none */
            break;
        }
        len += (size_t)n;
    }
    return matters;
}

struct counter_report {
    struct timer timer;
    struct counter_values was; /* at the last look */
};

static void look(struct loop *l, struct timer *t)
{
    struct counter_report *r =
        (struct counter_report *)(void *)((char *)t - offsetof(struct counter_report, timer));
    struct counter_values now = values_now();
    char text[LINE_MAX_LEN];

    if (counters_text(text, sizeof(text), &r->was, &now))
        log_line(CONF_LOG_NOTICE, "limits met in a minute: %s", text);
    r->was = now;
    timer_set(l, t, EVERY_MS);
}

void counter_report_end(void)
{
    static const struct counter_values none;
    struct counter_values now = values_now();
    char text[LINE_MAX_LEN];

    (void)counters_text(text, sizeof(text), &none, &now);
    if (text[0])
        log_line(CONF_LOG_NOTICE, "drained: limits met: %s", text);
}

struct counter_report *counter_report_new(struct loop *loop)
{
    struct counter_report *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->timer.fn = look;
    r->was = values_now();
    timer_set(loop, &r->timer, EVERY_MS);
    return r;
}

void counter_report_free(struct counter_report *r)
{
    if (r)
        timer_clear(&r->timer);
    free(r);
}
