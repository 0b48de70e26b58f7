/*
 * fcgi/lines.h - bytes of a program's stdout or stderr cut into lines for the log.  Pure.
 *
 * Units    bytes; a line longer than LINES_MAX is given out in pieces of that size
 * Threads  one at a time
 */
#ifndef FCGI_LINES_H
#define FCGI_LINES_H

#include "../gateway/slice.h"

enum { LINES_MAX = 2048 };

struct lines {
    char text[LINES_MAX]; /* the beginning of a line, its end still to come */
    size_t len;
    char last[256]; /* the front of the last line that was not blank, NUL-terminated */
    void (*line)(void *user, struct slice text); /* without its line end; never blank */
    void *user;
};

void lines_init(struct lines *l, void (*line)(void *user, struct slice text), void *user);

/* Take all of in; calls line() for each that is complete. */
void lines_feed(struct lines *l, struct slice in);

/* There will be no more: what waits for its end is a line. */
void lines_flush(struct lines *l);

#endif
