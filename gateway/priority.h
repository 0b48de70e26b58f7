/*
 * gateway/priority.h - what a client or an application says about the order of responses.  Pure.
 *
 * Shape    a structured-field dictionary: "u=1, i"; members we do not know are skipped, and so is
 *          a value of the wrong type or out of range (RFC 9218 4)
 * Result   0 taken, or -1: no dictionary, nothing is changed
 * Threads  any
 * Source   RFC 9218 4, 5, 8; RFC 9651 3.2, 4.2
 */
#ifndef GATEWAY_PRIORITY_H
#define GATEWAY_PRIORITY_H

#include "slice.h"

enum { URGENCY_LEVELS = 8, URGENCY_DEFAULT = 3 };

struct priority {
    uint8_t urgency;  /* 0, the most urgent, to 7 */
    bool incremental; /* parts of it are of use */
};

/* RFC 9218 4.1, 4.2 */
#define PRIORITY_DEFAULT ((struct priority){URGENCY_DEFAULT, false})

/* What fields said of it. */
struct priority_said {
    struct priority p;
    bool urgency, incremental; /* was said */
};

/* Add what value says; a field of several lines is given line by line. */
int priority_parse(struct slice value, struct priority_said *said);

/* p, but for what was said: the default and a client's field, a client's priority and an
 * application's field (RFC 9218 8). */
struct priority priority_over(struct priority p, struct priority_said said);

#endif
