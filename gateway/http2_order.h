/*
 * gateway/http2_order.h - whose response bytes go next on an HTTP/2 connection.  Pure.
 *
 * The order of RFC 9218 10, among the streams that have bytes their client would take:
 *
 *   - the most urgent first;
 *   - of one urgency, those that are not incremental one after another, in the order in which
 *     they were asked for, which is that of their ids;
 *   - of one urgency, the incremental ones at once, each the same share of the bytes.  Those that
 *     are not count as one together, so that neither kind holds up the other;
 *   - nobody starves: behind every H2_PATIENCE bytes of more urgent responses one frame of each
 *     less urgent level goes, a 64th of what goes on; so a page that polls its feed with u=0 still
 *     gets its pictures.
 *
 * A stream takes part while it has something to send.  It is asked for anew with every frame, so
 * a change of priority counts from the next frame on.
 *
 * Units    bytes of DATA
 * Threads  one at a time (the connection's lock)
 * Memory   embedded; h2_order_next looks at one stream while none is incremental, blocked or due, else
 *          at as many as there are
 * Source   RFC 9218 10
 */
#ifndef GATEWAY_HTTP2_ORDER_H
#define GATEWAY_HTTP2_ORDER_H

#include "priority.h"

enum { H2_PATIENCE = 1024 * 1024 };

/* A stream's place; zeroed but for id and priority it takes no part yet. */
struct h2_turn {
    struct h2_turn *prev,
        *next; /* while it takes part: in order of level, incremental first, id */
    int32_t id;
    uint64_t served; /* bytes, beside those of its level's others */
    struct priority priority;
    bool in;      /* it takes part */
    bool blocked; /* it would, but for its client's window */
};

struct h2_order {
    struct h2_turn *first, *last;
    unsigned n;
    uint8_t due; /* bit u: level u was passed over for long enough */
    struct h2_level {
        uint64_t served; /* of what is not incremental, beside incremental ones */
        uint64_t floor;  /* whoever was served less was not there: it has no claim to it */
        uint32_t passed; /* bytes that went to more urgent levels since it had its last */
        uint32_t n;      /* that take part */
    } levels[URGENCY_LEVELS];
};

void h2_order_enter(struct h2_order *ts, struct h2_turn *t); /* no effect if it is in */
void h2_order_leave(struct h2_order *ts, struct h2_turn *t); /* no effect if it is not */

/* Give it another priority, whether it takes part or not. */
void h2_order_change(struct h2_order *ts, struct h2_turn *t, struct priority p);

/* Whose turn is it?  NULL: nobody's.  Who is blocked is passed over. */
struct h2_turn *h2_order_next(const struct h2_order *ts);

/* n bytes of t went out. */
void h2_order_sent(struct h2_order *ts, struct h2_turn *t, size_t n);

/* All windows have changed: nobody is known to be blocked. */
void h2_order_unblock(struct h2_order *ts);

#endif
