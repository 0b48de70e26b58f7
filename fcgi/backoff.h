/*
 * fcgi/backoff.h - how a process ended, in words, and how long to wait before it is started
 * again.
 *
 * Units    milliseconds
 * Threads  any; pure but for the caller's struct
 */
#ifndef FCGI_BACKOFF_H
#define FCGI_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backoff {
    unsigned n_fails; /* bad ends in a row */
    unsigned n_quick; /* clean ends in a row that came suspiciously early */
};

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_GOOD_MS = 10 * 1000, /* who ran that long is started again at once */
    BACKOFF_QUICK_MS = 100,  /* a clean end before that may be a program that serves nothing */
    BACKOFF_QUICK_FREE = 10, /* so many of them are forgiven */
    BACKOFF_CLEAN_MAX_MS = 1000,
};

/*
 * The delay before the next start.  clean: exit status 0, which applications use to end after a
 * number of requests (PHP_FCGI_MAX_REQUESTS, CGI::Fast): at once, unless it comes within 100 ms
 * of the start more than ten times in a row; then slower and slower, up to a second.  All other
 * ends: 100 ms, doubled each time up to max_ms, until one has run for 10 s.
 */
unsigned backoff_next(struct backoff *b, bool clean, uint64_t ran_ms, unsigned max_ms);

/* "exit status 1", "signal 11 (SIGSEGV)" from what wait() gave; returns text. */
const char *backoff_reason(int wait_status, char *text, size_t cap);

#endif
