/*
 * fcgi/procfs.h - processes as /proc shows them.
 *
 * Source   proc(5)
 * Threads  any
 */
#ifndef FCGI_PROCFS_H
#define FCGI_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs_stat {
    pid_t pid, parent, group, session;
    bool dead;          /* a zombie: nothing to end, its parent has to collect it */
    uint64_t rss_bytes; /* resident */
};

/* false: there is no such process any more. */
bool procfs_stat(pid_t pid, struct procfs_stat *ret_stat);

/* All processes; fn returns false to stop. */
void procfs_each(bool (*fn)(void *user, const struct procfs_stat *st), void *user);

/* The children of this process, which has one thread; fn may end them. */
void procfs_children(void (*fn)(void *user, pid_t pid), void *user);

/* Does the environment that pid was started with hold this "NAME=VALUE"?  0: no, 1: yes, -1: it
 * has none, or may not be read. */
int procfs_has_env(pid_t pid, const char *name_value);

#endif
