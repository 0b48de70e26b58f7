/*
 * gateway/pool_report.h - what pools refused, for the error log: each minute a line for every pool
 * that refused something since the last, and one with all that it did when a drain is over.
 *
 * Threads  the main thread
 */
#ifndef GATEWAY_POOL_REPORT_H
#define GATEWAY_POOL_REPORT_H

#include "../fcgi/pool.h"

struct pool_reports;

/* pools[n], which outlive it.  NULL: memory is out. */
struct pool_reports *pool_reports_new(struct loop *loop, struct pool **pools, unsigned n);
void pool_reports_free(struct pool_reports *rs);

/* The gateway is drained: a line for each pool that was asked for anything. */
void pool_reports_end(struct pool_reports *rs);

/* The text of a line, without the pool's name: what happened between was and now, and what
 * there is now.  false: nothing was refused.  Pure. */
bool pool_report_minute(char *to, size_t room, const struct pool_stats *was,
                        const struct pool_stats *now);

/* The same for all that happened; false: nothing did.  Pure. */
bool pool_report_total(char *to, size_t room, const struct pool_stats *now);

#endif
