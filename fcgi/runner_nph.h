/*
 * fcgi/runner_nph.h - output that begins with an HTTP status line (RFC 3875 5).
 *
 * A script that speaks HTTP itself, whether its name begins with nph- or not, starts with
 * "HTTP/1.1 200 OK".  As FastCGI has no such answer, the line becomes "Status: 200 OK", which
 * every server takes, behind "X-Accel-Buffering: no", since output that is not parsed is not held
 * back either.  Only the first line is looked at.
 *
 * Shape    done in place, which takes RUNNER_NPH_GROWS bytes of room behind the output
 * Threads  any; pure
 */
#ifndef FCGI_RUNNER_NPH_H
#define FCGI_RUNNER_NPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RUNNER_NPH_MAX = 9, /* so many bytes decide */
    RUNNER_NPH_GROWS = 23,
};

/* Zeroed is the start state. */
struct runner_nph {
    uint8_t held[RUNNER_NPH_MAX]; /* output so short that it cannot be told yet */
    size_t n_held;
    bool done; /* the beginning is through; nothing is looked at any more */
};

/* Move what is held to p, which has room for RUNNER_NPH_MAX; how many bytes. */
size_t runner_nph_take(struct runner_nph *f, uint8_t *p);

/* p[0..n) is the next output with what was held before it: rewrite a status line at the
 * beginning.  How many bytes of p to send, up to n + RUNNER_NPH_GROWS: 0 if they are all held. */
size_t runner_nph_filter(struct runner_nph *f, uint8_t *p, size_t n);

#endif
