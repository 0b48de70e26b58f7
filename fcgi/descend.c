#include "descend.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "procfs.h"

/* One look at all children. */
struct look {
    const pid_t *keep;
    size_t n_keep;
    unsigned n;       /* those there are, but for what is kept */
    unsigned n_ended; /* and of these, those that had ended and are collected */
};

static bool is_kept(pid_t pid, const pid_t *keep, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (keep[i] == pid)
            return true;
    }
    return false;
}

/* Collect it if it ended, or send it SIGKILL. */
static void end_child(void *user, pid_t pid)
{
    struct look *l = user;

    /* Never 0 or less: that is this process's own group, or everybody. */
    if (pid <= 1 || is_kept(pid, l->keep, l->n_keep))
        return;
    l->n++;
    if (waitpid(pid, NULL, WNOHANG) == pid)
        l->n_ended++;
    else
        kill(pid, SIGKILL);
}

unsigned descend_kill(const pid_t *keep, size_t n_keep, unsigned limit_ms)
{
    static const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
    unsigned n_ended = 0;

    for (unsigned ms = 0; ms <= limit_ms; ms += 2) {
        struct look l = {.keep = keep, .n_keep = n_keep};
        procfs_children(end_child, &l);
        n_ended += l.n_ended;
        if (l.n == 0)
            break;
        nanosleep(&pause, NULL);
    }
    return n_ended;
}

bool descend_group_is_ours(pid_t pgid)
{
    siginfo_t info = {0};

    return pgid > 1 && waitid(P_PGID, (id_t)pgid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}
