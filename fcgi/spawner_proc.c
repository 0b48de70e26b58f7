#include "spawner_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../gateway/log.h"
#include "descend.h"

enum {
    READ_SIZE = 16 * 1024,
    READS_A_TURN = 4,  /* so that one noisy process does not hold up the others */
    READS_AT_END = 64, /* 1 MiB: more than any pipe holds */
};

/* ---- watches ---- */

int watch_add(struct watch *w, int epoll_fd, int fd, void (*fn)(void *owner), void *owner)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = w};

    *w = (struct watch){.fd = fd, .epoll_fd = epoll_fd, .fn = fn, .owner = owner};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

/* Closing alone is not enough: a child between fork and exec still holds the descriptor, which
 * would stay in the epoll with a pointer to freed memory. */
void watch_close(struct watch *w)
{
    if (w->fd < 0)
        return;
    epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    close(w->fd);
    w->fd = -1;
}

/* ---- output ---- */

static void log_output(void *user, struct slice text)
{
    const struct proc *p = user;

    log_app_line(CONF_LOG_WARN, p->pool, NULL, p->pid, text);
}

static void read_output(struct proc *p, int max_reads)
{
    char text[READ_SIZE];

    while (p->out.fd >= 0 && max_reads-- > 0) {
        ssize_t n = read(p->out.fd, text, sizeof text);
        if (n > 0) {
            lines_feed(&p->lines, slice_of(text, (size_t)n));
        } else if (n == 0) {
            lines_flush(&p->lines);
            watch_close(&p->out);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void on_output(void *owner)
{
    read_output(owner, READS_A_TURN);
}

/* ---- start ---- */

static void on_exec(void *owner)
{
    struct proc *p = owner;
    struct spawner_exec_error e;

    if (p->exec.fd < 0)
        return;
    ssize_t n = read(p->exec.fd, &e, sizeof e);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == (ssize_t)sizeof e) {
        p->error = e;
        p->exec_state = PROC_FAILED;
    } else {
        p->exec_state = PROC_RUNNING;
    }
    watch_close(&p->exec);
}

static pid_t fork_it(const struct spawner_env *env, const struct conf_pool *pool, int listen_fd,
                     int out_fd, int *ret_error_fd, int *ret_err)
{
    struct spawner_command cmd;
    struct arena arena;
    pid_t pid = -1;

    arena_init(&arena);
    *ret_err = spawner_command_make(env->setup, pool, env->runner_fd, &arena, &cmd);
    if (*ret_err == 0) {
        pid = spawner_exec(&cmd, listen_fd, out_fd, ret_error_fd);
        *ret_err = pid < 0 ? errno : 0;
    }
    arena_fini(&arena);
    return pid;
}

struct proc *proc_start(const struct spawner_env *env, const struct conf_pool *pool,
                        int listen_fd, uint64_t now_ms, int *ret_err)
{
    struct proc *p = calloc(1, sizeof *p);
    int out[2] = {-1, -1}, exec_fd = -1;

    if (!p) {
        *ret_err = ENOMEM;
        return NULL;
    }
    if (pipe2(out, O_CLOEXEC) < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0) {
        *ret_err = errno;
        goto close_pipe;
    }
    p->pool = pool->name;
    p->started_ms = now_ms;
    p->kill_after_ms = PROC_KILL_MS + (pool->cgi ? PROC_RUNNER_MS : 0);
    p->step_ms = UINT64_MAX;
    lines_init(&p->lines, log_output, p);
    /* Watched before the fork: what fails then needs no process to be taken back. */
    if (watch_add(&p->out, env->epoll_fd, out[0], on_output, p) < 0) {
        *ret_err = errno;
        goto close_pipe;
    }
    p->pid = fork_it(env, pool, listen_fd, out[1], &exec_fd, ret_err);
    if (p->pid < 0)
        goto close_pipe;
    close(out[1]);
    /* Out of memory for the watch: it counts as started; exec's failure shows in its status. */
    if (watch_add(&p->exec, env->epoll_fd, exec_fd, on_exec, p) < 0) {
        p->exec_state = PROC_RUNNING;
        watch_close(&p->exec);
    }
    return p;
close_pipe:
    if (out[0] >= 0)
        close(out[0]); /* no child has it: that also takes it out of the epoll */
    if (out[1] >= 0)
        close(out[1]);
    free(p);
    return NULL;
}

/* ---- end ---- */

static void step_to(struct proc *p, enum proc_step step, uint64_t at_ms)
{
    p->step = step;
    p->step_ms = at_ms;
}

/* Once the leader has been reaped its number may belong to a stranger; a group with a child of
 * ours in it cannot. */
static bool group_exists(const struct proc *p)
{
    return p->pid > 1 && (!p->reaped || descend_group_is_ours(p->pid));
}

static void signal_group(const struct proc *p, int sig)
{
    if (group_exists(p))
        kill(-p->pid, sig);
}

void proc_end(struct proc *p, uint64_t now_ms)
{
    if (p->step != PROC_LIVES)
        return;
    p->kill_ms = now_ms + p->kill_after_ms;
    if (p->reaped) {
        signal_group(p, SIGTERM);
        step_to(p, PROC_GROUP_TOLD, p->kill_ms);
        return;
    }
    kill(p->pid, SIGTERM);
    step_to(p, PROC_LEADER_TOLD, now_ms + PROC_GROUP_MS);
}

void proc_reaped(struct proc *p, uint64_t now_ms)
{
    on_exec(p); /* its news may still be on the way */
    if (p->exec_state == PROC_STARTING)
        p->exec_state = PROC_RUNNING;
    watch_close(&p->exec);
    read_output(p, READS_AT_END);
    lines_flush(&p->lines);
    p->reaped = true;
    if (p->step == PROC_LIVES)
        p->kill_ms = now_ms + p->kill_after_ms;
    if (p->step == PROC_LIVES || p->step == PROC_LEADER_TOLD) {
        signal_group(p, SIGTERM);
        step_to(p, PROC_GROUP_TOLD, p->kill_ms);
    }
}

static void take_step(struct proc *p, uint64_t now_ms)
{
    switch (p->step) {
    case PROC_LIVES:
        break;
    case PROC_LEADER_TOLD:
        signal_group(p, SIGTERM);
        step_to(p, PROC_GROUP_TOLD, p->kill_ms);
        break;
    case PROC_GROUP_TOLD:
    case PROC_KILLED:
        /* Again and again: a fork in the middle of the first one may have been missed. */
        signal_group(p, SIGKILL);
        step_to(p, PROC_KILLED, now_ms + 100);
        break;
    }
}

bool proc_tick(struct proc *p, uint64_t now_ms)
{
    if (now_ms >= p->step_ms)
        take_step(p, now_ms);
    if (group_exists(p))
        return false;
    p->step_ms = UINT64_MAX;
    return p->out.fd < 0;
}

void proc_abandon(struct proc *p)
{
    signal_group(p, SIGKILL);
    lines_flush(&p->lines);
    watch_close(&p->out);
}

void proc_free(struct proc *p)
{
    if (!p)
        return;
    watch_close(&p->exec);
    watch_close(&p->out);
    free(p);
}
