#include "descend.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* proc(5): "pid (comm) state ppid ..."; comm may hold anything, so look behind the last ')'. */
static pid_t parent_of(const char *pid)
{
    char path[32], text[512];

    (void)snprintf(path, sizeof path, "/proc/%.15s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    if (!at || strlen(at) < 5)
        return -1;
    return (pid_t)strtol(at + 4, NULL, 10);
}

static bool is_kept(pid_t pid, const pid_t *keep, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (keep[i] == pid)
            return true;
    }
    return false;
}

/* One look at all children: those that ended are collected, the others are sent SIGKILL.
 * Returns how many there are; *n_ended counts the collected ones. */
static unsigned kill_children(const pid_t *keep, size_t n_keep, unsigned *n_ended)
{
    DIR *dir = opendir("/proc");
    struct dirent *d;
    unsigned n = 0;

    if (!dir)
        return 0;
    while ((d = readdir(dir))) {
        if (!isdigit((unsigned char)d->d_name[0]) || parent_of(d->d_name) != getpid())
            continue;
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
        /* Never 0 or less: that is this process's own group, or everybody. */
        if (pid <= 1 || is_kept(pid, keep, n_keep))
            continue;
        n++;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            (*n_ended)++;
        else
            kill(pid, SIGKILL);
    }
    closedir(dir);
    return n;
}

unsigned descend_kill(const pid_t *keep, size_t n_keep, unsigned limit_ms)
{
    static const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
    unsigned n_ended = 0;

    for (unsigned ms = 0; ms <= limit_ms; ms += 2) {
        if (kill_children(keep, n_keep, &n_ended) == 0)
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
