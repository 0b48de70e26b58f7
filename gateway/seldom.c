#include "seldom.h"

#include <stdio.h>

static const struct rate lines = {RATE_SECOND, 29 * RATE_SECOND};

bool seldom_say(struct seldom *s, uint64_t now_ns, char more[SELDOM_TEXT])
{
    more[0] = '\0';
    if (rate_take(&s->cell, &lines, now_ns)) {
        atomic_fetch_add_explicit(&s->n_unsaid, 1, memory_order_relaxed);
        return false;
    }
    unsigned n = atomic_exchange_explicit(&s->n_unsaid, 0, memory_order_relaxed);
    if (n)
        (void)snprintf(more, SELDOM_TEXT, " (and %u more like it)", n);
    return true;
}
