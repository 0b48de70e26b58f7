/*
 * fcgi/descend.h - the processes below this one, as /proc shows them.
 *
 * For a child subreaper (PR_SET_CHILD_SUBREAPER): whatever forks twice or calls setsid still
 * comes back to it when its parents end, so killing children until there are none leaves
 * nothing behind.
 *
 * Threads  a process of one thread
 */
#ifndef FCGI_DESCEND_H
#define FCGI_DESCEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Kill (SIGKILL) and reap every child, and what comes back in their place, but those in
 * keep[0..n).  Gives up after limit_ms; how many were ended. */
unsigned descend_kill(const pid_t *keep, size_t n_keep, unsigned limit_ms);

/* Whether a child of this process is a member of group pgid.  Only then kill(-pgid) is safe
 * once the group's leader has been reaped: the number may belong to strangers by now. */
bool descend_group_is_ours(pid_t pgid);

#endif
