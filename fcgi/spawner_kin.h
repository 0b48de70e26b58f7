/*
 * fcgi/spawner_kin.h - what a pool process started: its group, and whatever has left that.
 *
 * The spawner is a child subreaper, so a daemon (fork, setsid, fork) of a pool process becomes
 * its child when its parents end.  Whose it is:
 *   - the process group or session is that of the process, or else
 *   - H2CGI_PROCESS=<spawner>.<number> is in its environment: each process has its own mark,
 *     and what it starts inherits it
 *   - a child that wiped its environment belongs to the last process of its user: it is ended
 *     when none of that user is left
 * So a daemon with a clean environment outlives its process if its user has others running, at
 * the most until the spawner ends: then everything goes.
 *
 * Threads  a process of one thread
 */
#ifndef FCGI_SPAWNER_KIN_H
#define FCGI_SPAWNER_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "spawner_exec.h"

/* One process as it was started. */
struct spawner_kin {
    pid_t pid; /* its group and session, too */
    uid_t uid;
    char mark[SPAWNER_MARK]; /* "H2CGI_PROCESS=123.4" */
};

/* Whether pid is a pool process itself, so nobody's orphan; and whether there is one of uid. */
struct spawner_kin_ops {
    bool (*is_leader)(const void *user, pid_t pid);
    bool (*has_user)(const void *user, uid_t uid);
    const void *user;
};

/* A mark that no other process of this spawner has. */
void spawner_kin_mark(char ret_mark[SPAWNER_MARK]);

/*
 * Send sig (0: only count) to what is left of a process that has been reaped: its group, and
 * its orphans among the children of this process.  How many orphans there are, plus one for a
 * group.
 */
size_t spawner_kin_signal(const struct spawner_kin *kin, int sig,
                          const struct spawner_kin_ops *ops);

/* The largest resident set among the members of each session: calls fn for all of them, bytes.
 * One look over /proc. */
void spawner_kin_memory(void (*fn)(void *user, pid_t session, uint64_t bytes), void *user);

#endif
