/*
 * fcgi/runner_spawn.h - start a program.
 *
 * clone(CLONE_VM | CLONE_VFORK): nothing of the runner's memory is copied and its page tables
 * stay as they are, which is half the cost of fork; posix_spawn would add 122 calls of
 * rt_sigaction.  The runner stands still until the program runs, so an error of chdir or execve
 * is known at once and no signal can reach a half-made child: whatever comes meanwhile (an
 * ABORT, a SIGTERM) waits in its socket or signalfd.
 *
 * The child has a session of its own, 0, 1 and 2 and no other descriptor, default signal mask
 * and dispositions (the runner blocks signals but catches and ignores none), the runner's umask
 * and limits, and dies with the runner.
 *
 * Threads  one
 */
#ifndef FCGI_RUNNER_SPAWN_H
#define FCGI_RUNNER_SPAWN_H

#include <sys/types.h>

struct runner_spawn {
    const char *path; /* absolute */
    const char *dir;  /* working directory */
    char *const *argv, *const *envp;
    int stdin_fd; /* -1: the runner's own descriptor 0, /dev/null */
    int stdout_fd, stderr_fd;
    pid_t runner; /* getpid() */
};

/* The process id, above 1; or a negative errno of what failed, with nothing left behind. */
pid_t runner_spawn(const struct runner_spawn *s);

#endif
