/*
 * gateway/seldom.h - log lines that a flood could ask for: some at once, then one a second, and
 * how many were left out.
 *
 * Threads  any
 */
#ifndef GATEWAY_SELDOM_H
#define GATEWAY_SELDOM_H

#include <stdbool.h>

#include "rate.h"

/* Zeroed: nothing was said. */
struct seldom {
    rate_cell cell;
    atomic_uint n_unsaid;
};

enum { SELDOM_TEXT = 40 };

/* May a line be said now?  more: "", or what to put behind it: " (and 12 more like it)". */
bool seldom_say(struct seldom *s, uint64_t now_ns, char more[SELDOM_TEXT]);

#endif
