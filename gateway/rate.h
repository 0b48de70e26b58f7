/*
 * gateway/rate.h - so many in so much time: the generic cell rate algorithm, a leaky bucket that
 * is one number.  Pure: no I/O, no allocation, no clock.
 *
 * Shape    a cell holds the time at which all that was taken will have been earned back: its
 *          level is how far that is ahead of now.  One more costs every_ns, and is taken while
 *          the level is at most burst_ns: so burst_ns / every_ns and one at once, then one each
 *          every_ns.  There are no windows at whose edge twice as many pass
 * Units    nanoseconds, monotonic
 * Threads  any; a cell is one atomic, so what several threads take together is exact.  A thread
 *          whose clock is behind finds the level higher by as much
 * Source   ITU-T I.371, A: virtual scheduling
 */
#ifndef GATEWAY_RATE_H
#define GATEWAY_RATE_H

#include <stdatomic.h>
#include <stdint.h>

#define RATE_SECOND 1000000000ULL

struct rate {
    uint64_t every_ns; /* > 0 */
    uint64_t burst_ns;
};

/* Zeroed: nothing was taken. */
typedef _Atomic uint64_t rate_cell;

/* n in per_ms, and burst more at once: n, per_ms > 0. */
struct rate rate_of(uint64_t n, uint64_t per_ms, uint64_t burst);

/* One more.  0: taken.  Else nothing is, and it is the time until one would be. */
uint64_t rate_take(rate_cell *cell, const struct rate *r, uint64_t now_ns);

/* One that was taken did not happen. */
void rate_give_back(rate_cell *cell, const struct rate *r);

/* One that was taken is no longer owed, if anything is. */
void rate_forgive(rate_cell *cell, const struct rate *r, uint64_t now_ns);

/* n more, whatever the level, which never rises over twice the burst and one: who was far over
 * his limit is under it again after a while that can be told.  Returns the level, ns. */
uint64_t rate_charge(rate_cell *cell, const struct rate *r, uint64_t n, uint64_t now_ns);

/* The level, ns; 0: nothing is owed. */
uint64_t rate_level(const rate_cell *cell, uint64_t now_ns);

/* A level as a number of events, rounded up. */
uint64_t rate_events(const struct rate *r, uint64_t level_ns);

#endif
