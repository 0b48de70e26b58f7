#include "http2_order.h"

#include <assert.h>

/* ---- the list ---- */

/* Does a come before b?  Incremental ones lie first in their level, so that one without them shows
 * it by its first. */
static bool before(const struct h2_turn *a, const struct h2_turn *b)
{
    if (a->priority.urgency != b->priority.urgency)
        return a->priority.urgency < b->priority.urgency;
    if (a->priority.incremental != b->priority.incremental)
        return a->priority.incremental;
    return a->id < b->id;
}

/* From the end: who comes is mostly the latest. */
static void insert(struct h2_order *ts, struct h2_turn *t)
{
    struct h2_turn *at = ts->last;

    while (at && before(t, at))
        at = at->prev;
    t->prev = at;
    t->next = at ? at->next : ts->first;
    *(t->prev ? &t->prev->next : &ts->first) = t;
    *(t->next ? &t->next->prev : &ts->last) = t;
}

/* Level u has been passed over by so many bytes. */
static void passed(struct h2_order *ts, unsigned u, uint64_t n)
{
    uint8_t bit = (uint8_t)(1u << u);

    ts->levels[u].passed = n < H2_PATIENCE ? (uint32_t)n : H2_PATIENCE;
    ts->due = (uint8_t)(n < H2_PATIENCE ? ts->due & ~bit : ts->due | bit);
}

void h2_order_enter(struct h2_order *ts, struct h2_turn *t)
{
    struct h2_level *level = &ts->levels[t->priority.urgency];

    if (t->in)
        return;
    t->in = true;
    t->blocked = false;
    if (level->n++ == 0)
        passed(ts, t->priority.urgency, 0);
    ts->n++;
    insert(ts, t);
}

void h2_order_leave(struct h2_order *ts, struct h2_turn *t)
{
    if (!t->in)
        return;
    *(t->prev ? &t->prev->next : &ts->first) = t->next;
    *(t->next ? &t->next->prev : &ts->last) = t->prev;
    t->prev = t->next = NULL;
    t->in = false;
    ts->levels[t->priority.urgency].n--;
    ts->n--;
}

void h2_order_change(struct h2_order *ts, struct h2_turn *t, struct priority p)
{
    bool in = t->in, blocked = t->blocked;

    assert(p.urgency < URGENCY_LEVELS);
    h2_order_leave(ts, t);
    t->priority = p;
    t->served = 0;
    if (in)
        h2_order_enter(ts, t);
    t->blocked = blocked;
}

void h2_order_unblock(struct h2_order *ts)
{
    for (struct h2_turn *t = ts->first; t; t = t->next)
        t->blocked = false;
}

/* ---- the order ---- */

static uint64_t served(const struct h2_level *level, const struct h2_turn *t)
{
    uint64_t n = t->priority.incremental ? t->served : level->served;

    return n < level->floor ? level->floor : n;
}

/* Of the level that begins at t, whose turn is it?  NULL: all are blocked. */
static struct h2_turn *next_of_level(const struct h2_order *ts, struct h2_turn *t)
{
    const struct h2_level *level = &ts->levels[t->priority.urgency];
    uint8_t urgency = t->priority.urgency;
    struct h2_turn *best = NULL;

    for (; t && t->priority.urgency == urgency; t = t->next) {
        if (t->blocked)
            continue;
        if (!best || served(level, t) < served(level, best))
            best = t;
        if (!t->priority.incremental)
            break; /* none behind it comes before it */
    }
    return best;
}

static struct h2_turn *level_behind(struct h2_turn *t)
{
    uint8_t urgency = t->priority.urgency;

    while (t && t->priority.urgency == urgency)
        t = t->next;
    return t;
}

/* Of those that were passed over for long enough the most urgent one. */
static struct h2_turn *next_due(const struct h2_order *ts)
{
    struct h2_turn *found = NULL;

    for (struct h2_turn *t = ts->first; t && !found; t = level_behind(t)) {
        if (ts->due & 1u << t->priority.urgency)
            found = next_of_level(ts, t);
    }
    return found;
}

struct h2_turn *h2_order_next(const struct h2_order *ts)
{
    struct h2_turn *found = ts->due ? next_due(ts) : NULL;

    for (struct h2_turn *t = ts->first; t && !found; t = level_behind(t))
        found = next_of_level(ts, t);
    return found;
}

void h2_order_sent(struct h2_order *ts, struct h2_turn *t, size_t n)
{
    unsigned urgency = t->priority.urgency;
    struct h2_level *level = &ts->levels[urgency];

    level->floor = served(level, t);
    *(t->priority.incremental ? &t->served : &level->served) = level->floor + n;
    passed(ts, urgency, 0);
    if (!ts->last || ts->last->priority.urgency <= urgency)
        return;
    for (unsigned u = urgency + 1; u < URGENCY_LEVELS; u++) {
        if (ts->levels[u].n)
            passed(ts, u, ts->levels[u].passed + n);
    }
}
