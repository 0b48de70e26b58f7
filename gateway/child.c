#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

uint64_t child_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void child_init(struct child *c, const char *name)
{
    *c = (struct child){.name = name, .control_fd = -1, .start_ms = UINT64_MAX};
}

void child_die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked */
        _exit(1);
}

/* The master reads its signals from a descriptor and has set no handler but "ignore".  Faults
 * are left alone: nobody ignores them, and a sanitizer reports through handlers of its own. */
static void default_signals(void)
{
    static const int handled[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM, SIGTERM,
                                  SIGUSR1, SIGUSR2, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU};
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        sigaction(handled[i], &dfl, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void schedule(struct child *c, unsigned delay_ms)
{
    c->start_ms = child_now_ms() + delay_ms;
}

static int not_started(struct child *c, const char *what)
{
    unsigned delay = backoff_next(&c->backoff, false, 0, CHILD_DELAY_MAX_MS);

    log_line(CONF_LOG_ERROR, "%s: %s: %s, tried again in %u ms", c->name, what, strerror(errno),
             delay);
    schedule(c, delay);
    return -1;
}

int child_start(struct child *c, int (*run)(void *owner, int control_fd), void *owner)
{
    int pair[2];

    c->start_ms = UINT64_MAX;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return not_started(c, "socketpair");
    fflush(NULL); /* or both would write what is buffered */
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        setsid();
        default_signals();
        exit(run(owner, pair[1]));
    }
    int err = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = err;
        return not_started(c, "fork");
    }
    c->pid = pid;
    c->control_fd = pair[0];
    c->started_ms = child_now_ms();
    return 0;
}

void child_ended(struct child *c, int status, bool ending)
{
    char reason[64];
    long pid = (long)c->pid;

    c->pid = 0;
    if (c->control_fd >= 0)
        close(c->control_fd);
    c->control_fd = -1;
    backoff_reason(status, reason, sizeof reason);
    if (ending) {
        bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        log_line(good ? CONF_LOG_INFO : CONF_LOG_ERROR, "%s process %ld ended: %s", c->name,
                 pid, reason);
        return;
    }
    /* It should not have ended at all, whatever its status says. */
    unsigned delay =
        backoff_next(&c->backoff, false, child_now_ms() - c->started_ms, CHILD_DELAY_MAX_MS);
    log_line(CONF_LOG_ERROR, "%s process %ld ended: %s, restarted in %u ms", c->name, pid,
             reason, delay);
    schedule(c, delay);
}
