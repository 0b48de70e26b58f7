/*
 * fcgi/signals.h - every signal back to its default disposition, for processes that others' programs
 * run in.
 *
 * By the system call itself: the C library refuses to touch signals 32 and 33, which it keeps for
 * threads, and whoever started us may have left those ignored too.
 *
 * Threads  one: before threads start, or after fork
 */
#ifndef FCGI_SIGNALS_H
#define FCGI_SIGNALS_H

void signals_default(void);

#endif
