/*
 * fcgi/runner_nph.h - output that begins with an HTTP status line (RFC 3875 5).
 *
 * A script that speaks HTTP itself, whether its name begins with nph- or not, starts with
 * "HTTP/1.1 200 OK".  As FastCGI has no such answer, the line becomes "Status: 200 OK", which
 * every server takes.  Only the first line is looked at.
 *
 * Shape    both forms have one length or differ by a byte, so it is done in place
 */
#ifndef FCGI_RUNNER_NPH_H
#define FCGI_RUNNER_NPH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* This many bytes decide. */
enum { RUNNER_NPH_MAX = 9 };

/* p[0..n) is the beginning of the output.  Returns how many bytes to leave out at the front
 * (0 or 1), the status line being rewritten behind them; -1 if it takes more bytes to tell. */
ssize_t runner_nph_rewrite(uint8_t *p, size_t n);

#endif
