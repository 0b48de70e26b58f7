#include "spawner_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../gateway/log.h"
#include "../gateway/loop.h"
#include "address.h"

enum {
    READ_SIZE = 16 * 1024,
    READS_A_TURN = 4,  /* so that one noisy process does not hold up the others */
    READS_AT_END = 64, /* 1 MiB: more than any pipe holds */
    LOOK_FIRST_MS = 2, /* whether a process is ready; doubled up to */
    LOOK_MAX_MS = 50,
    LEFT_MS = 20, /* whether what an ended process left is gone */
    KILL_AGAIN_MS = 100,
    PROBE_MS = 1000, /* the probe is kept so long after the process is ready */
    BLAME_MS = 100,  /* a process that ends so soon after it closed the probe died of it */
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

    log_app_line(CONF_LOG_WARN, p->conf->name, NULL, p->kin.pid, text);
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

static pid_t fork_it(struct proc *p, int out_fd, int *ret_error_fd, int *ret_err)
{
    struct spawner_command cmd;
    struct arena arena;
    pid_t pid = -1;

    arena_init(&arena);
    spawner_kin_mark(p->kin.mark);
    *ret_err = spawner_command_make(p->env->setup, p->socket, p->kin.mark, p->env->runner_fd,
                                    &arena, &cmd);
    if (*ret_err == 0) {
        p->kin.uid = cmd.id.uid;
        pid = spawner_exec(&cmd, p->socket->listen_fd, out_fd, ret_error_fd);
        *ret_err = pid < 0 ? errno : 0;
    }
    arena_fini(&arena);
    return pid;
}

static int try_connect(const struct proc *p, int *ret_fd);

static void on_probe(void *owner)
{
    struct proc *p = owner;

    if (p->probe.fd < 0)
        return;
    p->took_ms = clock_now_ms();
    p->look_ms = p->took_ms; /* it is ready */
    watch_close(&p->probe);
}

/* So that there is something for it to accept.  Full already is as good. */
static void probe(struct proc *p)
{
    int fd = -1;

    if (p->socket->listen_fd < 0 || p->env->unprobed[p->socket->pool] ||
        try_connect(p, &fd) != 0)
        return;
    p->probed = watch_add(&p->probe, p->env->epoll_fd, fd, on_probe, p) == 0;
    if (!p->probed)
        watch_close(&p->probe);
}

static void link_proc(struct proc *p)
{
    p->all_next = p->env->all;
    p->all_prev = &p->env->all;
    if (p->all_next)
        p->all_next->all_prev = &p->all_next;
    p->env->all = p;
}

static void unlink_proc(struct proc *p)
{
    *p->all_prev = p->all_next;
    if (p->all_next)
        p->all_next->all_prev = p->all_prev;
}

struct proc *proc_start(struct spawner_env *env, const struct spawner_socket *socket,
                        uint64_t now_ms, int *ret_err)
{
    struct proc *p = calloc(1, sizeof *p);
    int out[2] = {-1, -1}, exec_fd = -1;

    if (!p) {
        *ret_err = ENOMEM;
        return NULL;
    }
    p->probe.fd = -1;
    if (pipe2(out, O_CLOEXEC) < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0) {
        *ret_err = errno;
        goto close_pipe;
    }
    p->env = env;
    p->conf = &env->setup->conf->pools[socket->pool];
    p->socket = socket;
    p->started_ms = now_ms;
    p->step_ms = UINT64_MAX;
    p->look_after_ms = LOOK_FIRST_MS;
    p->look_ms = now_ms + p->look_after_ms;
    lines_init(&p->lines, log_output, p);
    /* Watched before the fork: what fails then needs no process to be taken back. */
    if (watch_add(&p->out, env->epoll_fd, out[0], on_output, p) < 0) {
        *ret_err = errno;
        goto close_pipe;
    }
    probe(p);
    p->kin.pid = fork_it(p, out[1], &exec_fd, ret_err);
    if (p->kin.pid < 0)
        goto close_pipe;
    close(out[1]);
    link_proc(p);
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
    watch_close(&p->probe);
    free(p);
    return NULL;
}

/* ---- ready ---- */

/* Connect to its socket and say no more.  0, or errno.  What it reads of the connection is its
 * end; FastCGI applications close it then, and go on to the next one. */
static int try_connect(const struct proc *p, int *ret_fd)
{
    struct sockaddr_storage addr;
    socklen_t len;
    char text[160];
    int err = 0;

    if (!spawner_address(text, sizeof text, p->env->setup->conf->gateway.runtime_dir, p->conf,
                         p->socket->slot) ||
        address_parse(text, &addr, &len) < 0)
        return EINVAL;
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, len) < 0)
        err = errno;
    if (err == EINPROGRESS) { /* TCP to this machine: answered by now, or never */
        struct pollfd pfd = {.fd = fd, .events = POLLOUT};
        socklen_t err_len = sizeof err;
        if (poll(&pfd, 1, 0) == 1)
            (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len);
    }
    if (err == 0 && ret_fd) {
        shutdown(fd, SHUT_WR);
        *ret_fd = fd;
    } else if (fd >= 0) {
        close(fd);
    }
    return err;
}

/* It closed ours; or nobody waits to be accepted any more. */
static bool takes_connections(const struct proc *p)
{
    struct pollfd waiting = {.fd = p->socket->listen_fd, .events = POLLIN};

    if (p->socket->listen_fd < 0)
        return try_connect(p, NULL) == 0;
    return p->took_ms || poll(&waiting, 1, 0) == 0;
}

void proc_is_ready(struct proc *p, uint64_t now_ms)
{
    p->ready = true;
    p->look_ms = now_ms + PROBE_MS;
}

bool proc_died_of_probe(const struct proc *p, int status, uint64_t now_ms)
{
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 && p->took_ms &&
           now_ms < p->took_ms + BLAME_MS;
}

static void look_if_ready(struct proc *p, uint64_t now_ms)
{
    uint64_t limit_ms = (uint64_t)p->conf->start_timeout_ms;

    if (p->exec_state == PROC_RUNNING && takes_connections(p)) {
        proc_is_ready(p, now_ms);
        return;
    }
    if (limit_ms && now_ms >= p->started_ms + limit_ms) {
        log_line(CONF_LOG_ERROR,
                 "pool=%s process %ld took no connection within start_timeout, %llu ms: ended",
                 p->conf->name, (long)p->kin.pid, (unsigned long long)limit_ms);
        p->late = true;
        proc_end(p, now_ms);
        return;
    }
    p->look_after_ms = p->look_after_ms * 2 < LOOK_MAX_MS ? p->look_after_ms * 2 : LOOK_MAX_MS;
    p->look_ms = now_ms + p->look_after_ms;
}

/* ---- end ---- */

static bool is_leader(const void *user, pid_t pid)
{
    for (const struct proc *p = ((const struct spawner_env *)user)->all; p; p = p->all_next) {
        if (!p->reaped && p->kin.pid == pid)
            return true;
    }
    return false;
}

static bool has_user(const void *user, uid_t uid)
{
    for (const struct proc *p = ((const struct spawner_env *)user)->all; p; p = p->all_next) {
        if (!p->reaped && p->kin.uid == uid)
            return true;
    }
    return false;
}

static void step_to(struct proc *p, enum proc_step step, uint64_t at_ms)
{
    p->step = step;
    p->step_ms = at_ms;
}

/* To all of it that is there. */
static void signal_all(struct proc *p, int sig, uint64_t now_ms)
{
    const struct spawner_kin_ops ops = {is_leader, has_user, p->env};

    if (!p->reaped) {
        kill(-p->kin.pid, sig);
        return;
    }
    p->left = spawner_kin_signal(&p->kin, sig, &ops) > 0;
    p->look_ms = now_ms + LEFT_MS;
}

static uint64_t stop_ms(const struct conf_pool *pool)
{
    return (uint64_t)pool->stop_timeout_ms + (pool->cgi ? PROC_RUNNER_MS : 0);
}

uint64_t proc_end_ms(const struct conf_pool *pool)
{
    return stop_ms(pool) + 2 * KILL_AGAIN_MS;
}

void proc_end(struct proc *p, uint64_t now_ms)
{
    if (p->step != PROC_LIVES)
        return;
    p->kill_ms = now_ms + stop_ms(p->conf);
    kill(p->kin.pid, p->conf->stop_signal);
    step_to(p, PROC_LEADER_TOLD, now_ms + stop_ms(p->conf) / 3);
}

static bool has_closed_probe(const struct proc *p)
{
    struct pollfd pfd = {.fd = p->probe.fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

void proc_reaped(struct proc *p, uint64_t now_ms)
{
    on_exec(p); /* its news may still be on the way */
    if (p->exec_state == PROC_STARTING)
        p->exec_state = PROC_RUNNING;
    watch_close(&p->exec);
    if (has_closed_probe(p))
        p->took_ms = now_ms;
    watch_close(&p->probe);
    read_output(p, READS_AT_END);
    lines_flush(&p->lines);
    p->reaped = true;
    if (p->step == PROC_LIVES)
        p->kill_ms = now_ms + stop_ms(p->conf);
    if (p->step == PROC_KILLED) {
        signal_all(p, SIGKILL, now_ms);
    } else {
        signal_all(p, SIGTERM, now_ms);
        step_to(p, PROC_GROUP_TOLD, p->kill_ms);
    }
}

static void take_step(struct proc *p, uint64_t now_ms)
{
    switch (p->step) {
    case PROC_LIVES:
        break;
    case PROC_LEADER_TOLD:
        signal_all(p, SIGTERM, now_ms);
        step_to(p, PROC_GROUP_TOLD, p->kill_ms);
        break;
    case PROC_GROUP_TOLD:
    case PROC_KILLED:
        /* Again and again: a fork in the middle of the first one may have been missed. */
        signal_all(p, SIGKILL, now_ms);
        step_to(p, PROC_KILLED, now_ms + KILL_AGAIN_MS);
        break;
    }
}

static bool looks(const struct proc *p)
{
    return p->step == PROC_LIVES && (!p->ready || p->probe.fd >= 0);
}

bool proc_tick(struct proc *p, uint64_t now_ms)
{
    if (!p->reaped) {
        if (looks(p) && now_ms >= p->look_ms) {
            if (p->ready)
                watch_close(&p->probe);
            else
                look_if_ready(p, now_ms);
        }
        if (now_ms >= p->step_ms)
            take_step(p, now_ms);
        return false;
    }
    if (p->left && now_ms >= p->step_ms)
        take_step(p, now_ms);
    else if (p->left && now_ms >= p->look_ms)
        signal_all(p, 0, now_ms);
    if (p->left)
        return false;
    p->step_ms = UINT64_MAX;
    return p->out.fd < 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t proc_next_ms(const struct proc *p)
{
    return (p->reaped ? p->left : looks(p)) ? earlier(p->look_ms, p->step_ms) : p->step_ms;
}

void proc_abandon(struct proc *p)
{
    signal_all(p, SIGKILL, p->look_ms);
    lines_flush(&p->lines);
    watch_close(&p->out);
}

void proc_free(struct proc *p)
{
    if (!p)
        return;
    unlink_proc(p);
    watch_close(&p->probe);
    watch_close(&p->exec);
    watch_close(&p->out);
    free(p);
}
