/*
 * fcgi/runner_kin.h - the descendants of scripts: which there are, whose they are, their end.
 *
 * The runner is a child subreaper, so whatever a script starts stays below it: double forks,
 * setsid and ignored signals do not lead away.  Two things have to be known of a descendant:
 *
 * Whose    each script has H2CGI_REQUEST=<runner>.<start> in its environment, which its
 *          descendants inherit; start is the request's, in ms, and unique.  So nothing has to
 * be remembered per process, however many there are.  A process that wiped its environment
 * counts as one of the oldest request that may have left something: it can be ended early by
 * that, but never escape How long until the timeout of its request, counted from the start of
 * the request.  Then TERM, and KILL when the grace is over
 *
 * The normal request costs nothing here: wait4 says ECHILD when the script was the last child,
 * and then there are no descendants at all.  Only otherwise /proc is read.
 *
 * Units    ms of the monotonic clock
 * Threads  one
 */
#ifndef FCGI_RUNNER_KIN_H
#define FCGI_RUNNER_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct runner_kin {
    pid_t self;
    int64_t timeout_ms; /* 0: none */
    int64_t grace_ms;
    int64_t last_ms;    /* start of the latest request; its mark */
    int64_t running_ms; /* start of the request under way; -1: none */
    int64_t oldest_ms;  /* start of the oldest one that may have left something; -1: none */
    int64_t tick_ms;    /* when the next one is due; INT64_MAX: none */
    int64_t ticked_ms;  /* when the last tick was */
};

enum { RUNNER_KIN_MARK = 48 };

void runner_kin_init(struct runner_kin *k, int64_t timeout_ms, int64_t grace_ms);

/* A new request begins: its start (now, or 1 ms after the one before), and its mark. */
int64_t runner_kin_begin(struct runner_kin *k, int64_t now, char ret_mark[RUNNER_KIN_MARK]);

/* Collect children that ended.  *ret_exited is set if script (0: none) is among them, with its
 * wait status and what it used.  Returns whether any child is left. */
bool runner_kin_reap(struct runner_kin *k, pid_t script, bool *ret_exited, int *ret_status,
                     struct rusage *ret_usage);

/* Send sig (0: none, just count) to what is left of the request that began at start, -1 to
 * all, but not to members of process group except (0: none).  How many there are. */
size_t runner_kin_signal(struct runner_kin *k, int64_t start, int sig, pid_t except);

/* The request under way is over; left: with something of it still there. */
void runner_kin_end(struct runner_kin *k, bool left);

/* End what is due of the requests that are over; to be called when tick_ms has passed. */
void runner_kin_tick(struct runner_kin *k, int64_t now);

/* The runner ends: TERM to all descendants, KILL after wait_ms at most.  Returns when there are
 * none, or none that would go. */
void runner_kin_end_all(struct runner_kin *k, int64_t wait_ms);

/* Whether a child of this process is in group pgid.  As long as that holds the number cannot
 * belong to strangers, even after the group's leader was reaped. */
bool runner_kin_in_group(pid_t pgid);

#endif
