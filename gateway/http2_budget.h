/*
 * gateway/http2_budget.h - what a client's frames may cost: a scanner of frame headers and
 * counters over a rolling time.  Pure: no I/O, no allocation, no clock of its own.
 *
 * The library shows its user neither the frames it ignores (unknown ones, DATA of closed
 * streams) nor all that make it reset a stream, and 1.52 budgets only client resets.  So frame
 * headers are read here once more, in front of it, and every kind that costs us something and
 * brings us nothing is charged.
 *
 * Units    milliseconds, monotonic; frames
 * Threads  one at a time
 * Source   RFC 9113 4.1, 6, 10.5; CVE-2019-9512 to 9518, CVE-2023-44487, CVE-2025-8671
 */
#ifndef GATEWAY_HTTP2_BUDGET_H
#define GATEWAY_HTTP2_BUDGET_H

#include "counters.h"
#include "slice.h"

/* ---- frames as they lie in the input ---- */

struct h2_frame_head {
    uint32_t length;
    uint8_t type, flags;
    uint32_t stream_id;
};

/* Starts in front of the client's preface when zeroed. */
struct h2_scan {
    uint32_t skip;     /* bytes of the current payload still to come */
    uint8_t n_preface; /* preface bytes seen */
    uint8_t n_raw;     /* bytes in raw */
    uint8_t raw[9];
};

/* Go on in *in, which is advanced past what was looked at.  true: a frame header was completed
 * and is in *ret.  false: *in has been used up. */
bool h2_scan_next(struct h2_scan *scan, struct slice *in, struct h2_frame_head *ret);

/* ---- counters ---- */

/* Events in the last window_ms, as two adjacent buckets of that width: the older one counts
 * with the share of it that still lies inside. */
struct h2_rate {
    uint64_t start_ms; /* of now; 0: nothing counted yet */
    uint32_t now, before;
};

/* Add n events at now_ms and return how many lie in the window.  A clock that went back counts
 * as standing still. */
uint32_t h2_rate_add(struct h2_rate *r, uint32_t n, uint64_t now_ms, uint32_t window_ms);

/* ---- charges ---- */

enum h2_charge { H2_CHARGE_NONE, H2_CHARGE_CONTROL, H2_CHARGE_RESET };

enum { H2_RESET_WINDOW_MS = 30 * 1000, H2_CONTROL_WINDOW_MS = 10 * 1000 };

struct h2_budget {
    struct h2_scan scan;
    struct h2_rate resets, controls;
    uint32_t max_resets, max_controls;
    uint32_t updates; /* WINDOW_UPDATEs that what we sent has paid for */
    uint32_t pushed;  /* streams that we opened, each of which may be reset for nothing */
};

void h2_budget_init(struct h2_budget *b, uint32_t max_resets, uint32_t max_controls);

/* A stream is pushed. */
void h2_budget_pushed(struct h2_budget *b);

/* n bytes of DATA are sent: they may be answered with window updates. */
void h2_budget_sent(struct h2_budget *b, size_t n);

/* n streams were reset by us through a fault of the client's. */
void h2_budget_provoked(struct h2_budget *b, uint32_t n, uint64_t now_ms);

/* Charge the frames whose headers end in in.  true: within budget. */
bool h2_budget_input(struct h2_budget *b, struct slice in, uint64_t now_ms);

/* Within budget?  If not, which one and by what figure. */
struct h2_trip {
    const char *what; /* "resets", "control frames" */
    enum counter counter;
    uint32_t figure, limit, window_s;
};
bool h2_budget_tripped(const struct h2_budget *b, uint64_t now_ms, struct h2_trip *ret);

#endif
