#include "runner_spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child reads, and where it leaves its errno: they share memory. */
struct job {
    const struct runner_spawn *spawn;
    int failed; /* errno, 0 while nothing has */
};

/* Only one child is between clone and execve at any time, so one stack will do. */
static alignas(64) char child_stack[64 * 1024];

static int to_place(int fd, int place)
{
    return fd < 0 || dup2(fd, place) >= 0 ? 0 : -1;
}

/* What the child does until execve; returns only if that fails.  Its descriptors are above 2,
 * so dup2 loses none and clears close-on-exec. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static void
become(const struct runner_spawn *s)
{
    sigset_t none;

    setsid(); /* a process group of its own, by which it is ended */
    /* The runner may have died before this was asked for. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != s->runner)
        return;
    if (to_place(s->stdin_fd, 0) || to_place(s->stdout_fd, 1) || to_place(s->stderr_fd, 2))
        return;
    if (close_range(3, ~0U, 0) != 0)
        return;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 || chdir(s->dir) != 0)
        return;
    execve(s->path, s->argv, s->envp);
}

__attribute__((no_sanitize("address", "undefined", "thread"))) static int run_child(void *arg)
{
    struct job *job = arg;

    become(job->spawn);
    job->failed = errno ? errno : EINVAL;
    _exit(127);
}

pid_t runner_spawn(const struct runner_spawn *s)
{
    struct job job = {.spawn = s};
    pid_t pid = clone(run_child, child_stack + sizeof(child_stack),
                      CLONE_VM | CLONE_VFORK | SIGCHLD, &job);

    if (pid < 0)
        return -errno;
    if (job.failed) {
        waitpid(pid, NULL, 0);
        return -job.failed;
    }
    return pid;
}
