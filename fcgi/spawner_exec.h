/*
 * fcgi/spawner_exec.h - one pool process: its command, environment and user, and the fork.
 *
 * Threads  a process of one thread
 * Memory   a struct spawner_command lives in the arena it was made in
 */
#ifndef FCGI_SPAWNER_EXEC_H
#define FCGI_SPAWNER_EXEC_H

#include "identity.h"
#include "spawner.h"

/* Everything the child needs, built before the fork. */
struct spawner_command {
    char **argv; /* argv[0] is the program; without a slash it is looked for in PATH */
    char **envp;
    const char *path;       /* PATH of envp, for that */
    const char *directory;  /* where it is started */
    bool directory_is_said; /* by the INI: it is an error if it cannot be entered */
    int program_fd; /* O_PATH: run this where argv[0] cannot be reached as the pool's user; -1:
                       none */
    const char *own_socket; /* the path that it will bind; NULL: none */
    struct identity id;
    const struct rlimit *nofile; /* NULL: inherited */
    int usage_fd;                /* stays open for the runner; -1: none */
};

enum { SPAWNER_MARK = 48 };

/*
 * The command of a slot's pool: argv from the INI, or for cgi pools the runner with the pool's
 * timeout; PATH, HOME, USER, LOGNAME and SHELL of the user, then env.NAME of the pool, which
 * overrides them, and mark ("NAME=VALUE", spawner_kin.h); nothing else is passed on.  {slot}
 * is replaced where the pool binds its own sockets.  The folder is the pool's, or as other servers
 * have it the program's; "/" for the runner, which goes to each script's own, and for a program
 * that is looked for in PATH.  0, or errno (ENOENT: no such user).
 */
int spawner_command_make(const struct spawner_setup *setup, const struct spawner_socket *slot,
                         const char *mark, int runner_fd, struct arena *a,
                         struct spawner_command *ret_cmd);

/* What the child could not do, sent through the pipe of spawner_exec. */
struct spawner_exec_error {
    int step; /* for spawner_exec_step_name */
    int err;  /* errno */
};
const char *spawner_exec_step_name(int step);

/*
 * Fork and exec: listen_fd (-1: /dev/null) becomes descriptor 0, out_fd 1 and 2, all others
 * are closed; own session and process group (the pid is the group's number), default signals,
 * umask 022; an own socket that nobody listens on any more is out of its way.  Returns the pid,
 * and the end of a pipe that gives a struct spawner_exec_error, or end of file once the program
 * runs.  -1 with errno when the fork failed.
 */
pid_t spawner_exec(const struct spawner_command *cmd, int listen_fd, int out_fd,
                   int *ret_error_fd);

#endif
