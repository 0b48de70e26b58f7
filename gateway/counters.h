/*
 * gateway/counters.h - the one table of gateway-wide counters (tbl/counters.def) as an enum, and
 * their values.  counter_report.h tells of them.
 *
 * Only what is rare on a busy server is counted here (a limit that was met, not a request that
 * was served), so that all workers may share the same few cache lines.
 *
 * Threads  any
 */
#ifndef GATEWAY_COUNTERS_H
#define GATEWAY_COUNTERS_H

#include <stdint.h>

enum counter {
#define GW_COUNTER(sym, name, kind) COUNTER_##sym,
#include "tbl/counters.def"
#undef GW_COUNTER
    N_COUNTERS
};

/* One more, or n more. */
void counter_add(enum counter c);
void counter_add_n(enum counter c, uint64_t n);

/* Since the process began. */
uint64_t counter_get(enum counter c);

#endif
