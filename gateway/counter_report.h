/*
 * gateway/counter_report.h - what the error log says of the counters: a line for each minute in
 * which one that matters grew, and one with all of them when a drain is over.
 *
 * Threads  the main thread
 */
#ifndef GATEWAY_COUNTER_REPORT_H
#define GATEWAY_COUNTER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "counters.h"

struct loop;

struct counter_values {
    uint64_t n[N_COUNTERS];
};

/* "head_timeout=3 h2_resets=1": those that grew from was to now, by how much.  false: none did
 * that is a reason for a line.  Pure; what does not fit room is left out. */
bool counters_text(char *to, size_t room, const struct counter_values *was,
                   const struct counter_values *now);

struct counter_report;

/* Look every minute, from loop.  NULL: memory is out. */
struct counter_report *counter_report_new(struct loop *loop);
void counter_report_free(struct counter_report *r);

/* The gateway is drained: a line with all that it counted, if it counted anything. */
void counter_report_end(void);

#endif
