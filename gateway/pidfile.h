/*
 * gateway/pidfile.h - one running gateway per pid file, and finding it.
 *
 * The file holds the pid as text for people and scripts; the truth is a record lock (fcntl) on
 * it, which the kernel drops with its holder, so a stale file is never taken for a running
 * gateway, and F_GETLK tells whose it is.  Such locks are not inherited by fork.
 *
 * Threads  a process of one thread
 */
#ifndef GATEWAY_PIDFILE_H
#define GATEWAY_PIDFILE_H

#include <sys/types.h>

/* Lock path and write this process's pid.  The descriptor to keep; -1 with errno, where
 * EWOULDBLOCK means that *ret_holder runs. */
int pidfile_take(const char *path, pid_t *ret_holder);

/* Remove the file, then the lock. */
void pidfile_drop(const char *path, int fd);

/* The pid of the running gateway and a pidfd for it; 0 if none runs, -1 with errno. */
pid_t pidfile_holder(const char *path, int *ret_pidfd);

#endif
