/*
 * fcgi/script_usage.h - how a script ended and what it used, from the runner to the gateway: a
 * page of memory that both have mapped.
 *
 * Shape    one page for each slot of a cgi pool, made by the master; the gateway maps it for
 *          reading, the runner gets it as a descriptor (--usage-fd=N).  A runner behind another
 *          web server has none, and what it answers is the same
 *          A runner runs one script at a time: what the page says when END_REQUEST comes is of
 *          that request, provided that n_ended has changed since the request was sent
 * Trust    the runner's user may write anything there, at any time: it is plain numbers, each
 *          read once; the page cannot be made smaller (seals)
 * Threads  any
 */
#ifndef FCGI_SCRIPT_USAGE_H
#define FCGI_SCRIPT_USAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* What the page holds. */
struct script_usage {
    atomic_uint n_ended; /* scripts so far; written last */
    atomic_int status;   /* as wait4() gives it */
    _Atomic uint64_t cpu_us, peak_kb;
};

/* One reading of it. */
struct script_use {
    int status;
    uint64_t cpu_us;  /* user and system, the script and all it waited for */
    uint64_t peak_kb; /* largest resident set of any of them */
};

/* A page, as a descriptor, and mapped; -1 or NULL with errno. */
int script_usage_open(void);
const struct script_usage *script_usage_map_read(int fd);
struct script_usage *script_usage_map_write(int fd);
void script_usage_unmap(const struct script_usage *page);

/* Runner: a script has ended. */
void script_usage_put(struct script_usage *page, int status, const struct rusage *usage);

/* Gateway: n_ended now; and what the page says if n_ended is not n any more. */
unsigned script_usage_n(const struct script_usage *page);
bool script_usage_get(const struct script_usage *page, unsigned n, struct script_use *ret_use);

#endif
