#include "runner_kin.h"

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

#include "../gateway/buf.h"

enum {
    /* KILL is repeated as long as new ones appear. */
    KILL_AGAIN_MS = 20,
    /* What does not go then (uninterruptible sleep) is not waited for. */
    KILL_FOR_MS = 1000,
    /* A process has no more environment than the kernel lets execve pass (2 MiB as a rule). */
    ENVIRON_MAX = 4 * 1024 * 1024,
};

static const char mark_name[] = "H2CGI_REQUEST=";

struct proc {
    pid_t pid, parent, group;
    bool dead; /* a zombie: nothing to end, its parent has to collect it */
    bool kin;
};

struct procs {
    struct buf mem; /* struct proc[n], sorted by pid */
    size_t n;
};

static struct proc *proc_at(const struct procs *ps, size_t i)
{
    return (struct proc *)(void *)ps->mem.data + i;
}

/* ---- /proc ---- */

/* Read /proc/PID/name whole, at most max bytes, NUL behind it.  false if that cannot be. */
static bool read_proc(pid_t pid, const char *name, size_t max, struct buf *out)
{
    char path[64];
    ssize_t n = -1;

    buf_clear(out);
    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (buf_len(out) < max) {
        uint8_t *at = buf_reserve(out, 4096);
        n = at ? read(fd, at, 4096) : -1;
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
    }
    close(fd);
    return n >= 0 && buf_append(out, "", 1) == 0;
}

/* proc(5): "pid (comm) state ppid pgrp ...".  comm may hold anything, so the last ')' counts.
 */
static bool parse_stat(const char *text, struct proc *ret)
{
    const char *at = strrchr(text, ')');
    char *end;

    if (!at || strlen(at) < 5)
        return false;
    ret->dead = at[2] == 'Z' || at[2] == 'X';
    ret->parent = (pid_t)strtol(at + 4, &end, 10);
    ret->group = (pid_t)strtol(end, NULL, 10);
    return true;
}

static int by_pid(const void *a, const void *b)
{
    const struct proc *x = a, *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static void read_procs(struct procs *ps)
{
    DIR *dir = opendir("/proc");
    struct buf text = {0};
    struct dirent *d;

    *ps = (struct procs){0};
    while (dir && (d = readdir(dir))) {
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        struct proc p = {.pid = (pid_t)strtol(d->d_name, NULL, 10)};
        if (!read_proc(p.pid, "stat", 4096, &text))
            continue; /* it ended meanwhile */
        if (!parse_stat((char *)buf_at(&text), &p) || buf_append(&ps->mem, &p, sizeof(p)))
            continue;
        ps->n++;
    }
    if (dir)
        closedir(dir);
    buf_fini(&text);
    if (ps->n)
        qsort(proc_at(ps, 0), ps->n, sizeof(struct proc), by_pid);
}

/* Whether p descends from self: up its parents.  The table is of no single moment, so the walk
 * is bounded in case it holds a ring. */
static bool is_kin(const struct procs *ps, const struct proc *p, pid_t self)
{
    for (size_t depth = 0; p && depth <= ps->n; depth++) {
        if (p->parent == self)
            return true;
        struct proc key = {.pid = p->parent};
        p = bsearch(&key, proc_at(ps, 0), ps->n, sizeof(struct proc), by_pid);
    }
    return false;
}

/* ---- whose ---- */

/* The start of the request that process pid belongs to, read from its mark; -1 if it has none.
 */
static int64_t start_of(const struct runner_kin *k, pid_t pid)
{
    struct buf text = {0};
    char want[RUNNER_KIN_MARK];
    int64_t start = -1;

    int n = snprintf(want, sizeof(want), "%s%ld.", mark_name, (long)k->self);
    if (read_proc(pid, "environ", ENVIRON_MAX, &text)) {
        const char *at = (const char *)buf_at(&text), *end = at + buf_len(&text);
        for (; at < end; at += strlen(at) + 1) {
            if (strncmp(at, want, (size_t)n) == 0)
                start = strtoll(at + n, NULL, 10);
        }
    }
    buf_fini(&text);
    return start;
}

/* The request of a descendant.  With no leftovers there is only the one running. */
static int64_t whose(const struct runner_kin *k, pid_t pid)
{
    if (k->oldest_ms < 0)
        return k->last_ms;
    int64_t start = start_of(k, pid);
    return start < 0 ? k->oldest_ms : start;
}

void runner_kin_init(struct runner_kin *k, int64_t timeout_ms, int64_t grace_ms)
{
    *k = (struct runner_kin){
        .self = getpid(),
        .timeout_ms = timeout_ms,
        .grace_ms = grace_ms,
        .running_ms = -1,
        .oldest_ms = -1,
        .tick_ms = INT64_MAX,
    };
}

int64_t runner_kin_begin(struct runner_kin *k, int64_t now, char ret_mark[RUNNER_KIN_MARK])
{
    k->last_ms = now > k->last_ms ? now : k->last_ms + 1;
    (void)snprintf(ret_mark, RUNNER_KIN_MARK, "%s%ld.%lld", mark_name, (long)k->self,
                   (long long)k->last_ms);
    k->running_ms = k->last_ms;
    return k->last_ms;
}

/* ---- ends ---- */

/* Nobody is left, so nobody has to be watched. */
static void forget(struct runner_kin *k)
{
    k->oldest_ms = -1;
    k->tick_ms = INT64_MAX;
}

bool runner_kin_reap(struct runner_kin *k, pid_t script, bool *ret_exited, int *ret_status,
                     struct rusage *ret_usage)
{
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        if (pid != script)
            continue;
        *ret_exited = true;
        *ret_status = status;
        *ret_usage = usage;
    }
    if (pid < 0)
        forget(k); /* ECHILD */
    return pid == 0;
}

/* Signal one process.  It counts only if it can be reached: a set-user-ID program of somebody
 * else's cannot, and nothing would be won by waiting for it. */
static bool signal_one(pid_t pid, int sig)
{
    return pid > 1 && kill(pid, sig) == 0;
}

size_t runner_kin_signal(struct runner_kin *k, int64_t start, int sig, pid_t except)
{
    struct procs ps;
    size_t n = 0;

    read_procs(&ps);
    for (size_t i = 0; i < ps.n; i++) {
        const struct proc *p = proc_at(&ps, i);
        if (p->dead || (except && p->group == except) || !is_kin(&ps, p, k->self))
            continue;
        if (start >= 0 && whose(k, p->pid) != start)
            continue;
        n += signal_one(p->pid, sig);
    }
    buf_fini(&ps.mem);
    return n;
}

void runner_kin_end(struct runner_kin *k, bool left)
{
    int64_t start = k->running_ms;

    k->running_ms = -1;
    if (!left)
        return;
    if (k->oldest_ms < 0)
        k->oldest_ms = start;
    if (k->timeout_ms && start + k->timeout_ms < k->tick_ms)
        k->tick_ms = start + k->timeout_ms;
}

/* End one process of the request that began at start if it is due at now; when to look
 * again. */
static int64_t end_if_due(const struct runner_kin *k, pid_t pid, int64_t start, int64_t now)
{
    int64_t due = start + k->timeout_ms;

    if (due > now)
        return due;
    if (due + k->grace_ms <= now) {
        signal_one(pid, SIGKILL);
        return now + KILL_AGAIN_MS;
    }
    if (due > k->ticked_ms) /* once */
        signal_one(pid, SIGTERM);
    return due + k->grace_ms;
}

void runner_kin_tick(struct runner_kin *k, int64_t now)
{
    struct procs ps;
    int64_t next = INT64_MAX, oldest = INT64_MAX;

    read_procs(&ps);
    for (size_t i = 0; i < ps.n; i++) {
        const struct proc *p = proc_at(&ps, i);
        if (p->dead || !is_kin(&ps, p, k->self))
            continue;
        int64_t start = whose(k, p->pid);
        if (start == k->running_ms)
            continue;
        int64_t at = end_if_due(k, p->pid, start, now);
        next = at < next ? at : next;
        oldest = start < oldest ? start : oldest;
    }
    buf_fini(&ps.mem);
    k->ticked_ms = now;
    k->tick_ms = next;
    k->oldest_ms = oldest == INT64_MAX ? -1 : oldest;
}

void runner_kin_end_all(struct runner_kin *k, int64_t wait_ms)
{
    static const struct timespec pause = {.tv_nsec = KILL_AGAIN_MS * 1000 * 1000};
    struct rusage usage;
    bool exited;
    int status;

    if (!runner_kin_reap(k, 0, &exited, &status, &usage))
        return;
    runner_kin_signal(k, -1, SIGTERM, 0);
    for (int64_t ms = 0; ms < wait_ms + KILL_FOR_MS; ms += KILL_AGAIN_MS) {
        nanosleep(&pause, NULL);
        if (!runner_kin_reap(k, 0, &exited, &status, &usage))
            return;
        if (ms >= wait_ms)
            runner_kin_signal(k, -1, SIGKILL, 0);
    }
}

bool runner_kin_in_group(pid_t pgid)
{
    siginfo_t info;

    return pgid > 1 && waitid(P_PGID, (id_t)pgid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}
