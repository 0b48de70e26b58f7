#include "spawner_slot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../gateway/log.h"

void slot_init(struct slot *s, struct spawner_env *env, const struct spawner_socket *socket)
{
    *s = (struct slot){
        .env = env,
        .conf = &env->setup->conf->pools[socket->pool],
        .socket = socket,
        .start_ms = UINT64_MAX,
        .refuse_ms = UINT64_MAX,
    };
}

/* ---- news ---- */

static struct spawner_msg news(const struct slot *s, enum spawner_verb verb, pid_t pid,
                               int status, unsigned delay_ms)
{
    return (struct spawner_msg){
        .verb = verb,
        .generation = s->env->setup->generation,
        .pool = s->socket->pool,
        .slot = s->socket->slot,
        .pid = pid,
        .status = status,
        .delay_ms = delay_ms,
    };
}

static int64_t timeval_us(const struct timeval *t)
{
    return (int64_t)t->tv_sec * 1000000 + t->tv_usec;
}

/* What was to be told of the process before is overtaken. */
static void tell_ended(struct slot *s, struct spawner_msg msg, const struct rusage *usage)
{
    if (usage) {
        msg.utime_us = timeval_us(&usage->ru_utime);
        msg.stime_us = timeval_us(&usage->ru_stime);
        msg.maxrss_kb = usage->ru_maxrss;
    }
    s->ended = msg;
    s->running.verb = 0;
}

static unsigned flags_of(const struct proc *p)
{
    return (p->ready ? SPAWNER_READY : 0) | (p->large ? SPAWNER_LARGE : 0);
}

static void tell_running(struct slot *s, uint64_t now_ms)
{
    s->told_flags = flags_of(s->current);
    s->running = news(s, SPAWNER_RUNNING, s->current->kin.pid, 0, 0);
    s->running.flags = s->told_flags;
    s->running.age_ms = (int64_t)(now_ms - s->current->started_ms);
}

/* ---- start ---- */

static void refuse_later(struct slot *s, uint64_t now_ms)
{
    if (s->socket->listen_fd >= 0)
        s->refuse_ms = now_ms + SLOT_REFUSE_MS;
}

/* Whoever starts next makes the socket blocking again. */
static void refuse_now(struct slot *s)
{
    int fd = s->socket->listen_fd, flags = fcntl(fd, F_GETFL), one;

    s->refuse_ms = UINT64_MAX;
    if (s->current || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return;
    while ((one = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(one);
}

static void failed(struct slot *s, pid_t pid, const char *step, int err, uint64_t now_ms)
{
    unsigned delay = backoff_next(&s->backoff, false, 0, SLOT_DELAY_MAX_MS);
    const char *program = s->conf->cgi ? s->env->setup->runner_path : s->conf->spawn[0];

    log_line(CONF_LOG_ERROR, "pool=%s cannot start %s: %s: %s, tried again in %u ms",
             s->conf->name, program, step, strerror(err), delay);
    s->start_ms = s->wanted ? now_ms + delay : UINT64_MAX;
    if (!s->wanted || delay >= SLOT_SOON_MS)
        refuse_later(s, now_ms);
    tell_ended(s, news(s, SPAWNER_FAILED, pid, err, delay), NULL);
}

/* Ended processes that leave a daemon with their output behind must not pile up. */
static void bound_procs(struct slot *s)
{
    unsigned n = 0;

    for (struct proc *p = s->procs; p; p = p->next) {
        if (++n > SLOT_PROCS_MAX && p->reaped)
            proc_abandon(p);
    }
}

static void start_now(struct slot *s, uint64_t now_ms)
{
    int err = 0;

    s->start_ms = UINT64_MAX;
    s->told_flags = SLOT_UNTOLD;
    struct proc *p = proc_start(s->env, s->socket, now_ms, &err);
    if (!p) {
        failed(s, 0, "start", err, now_ms);
        return;
    }
    p->next = s->procs;
    s->procs = p;
    s->current = p;
    bound_procs(s);
}

void slot_start(struct slot *s, uint64_t now_ms)
{
    if (!s->wanted) {
        s->wanted = true;
        s->start_ms = s->current ? UINT64_MAX : now_ms;
    }
    if (s->current && s->current->exec_state == PROC_RUNNING)
        tell_running(s, now_ms);
}

void slot_stop(struct slot *s, uint64_t now_ms)
{
    s->wanted = false;
    s->start_ms = UINT64_MAX;
    if (s->current) {
        proc_end(s->current, now_ms);
    } else { /* the answer that the gateway waits for */
        if (s->backoff.n_fails)
            refuse_later(s, now_ms);
        tell_ended(s, news(s, SPAWNER_ENDED, 0, 0, 0), NULL);
    }
}

void slot_answers(struct slot *s, uint64_t now_ms)
{
    if (s->current && s->current->exec_state == PROC_RUNNING)
        proc_is_ready(s->current, now_ms);
}

void slot_memory(struct slot *s, pid_t session, uint64_t bytes)
{
    struct proc *p = s->current;

    if (!p || p->kin.pid != session || p->large || !s->conf->max_memory ||
        bytes <= (uint64_t)s->conf->max_memory)
        return;
    p->large = true;
    log_line(CONF_LOG_NOTICE, "pool=%s process %ld is over max_memory: %llu K resident",
             s->conf->name, (long)session, (unsigned long long)bytes / 1024);
}

/* ---- end ---- */

static void log_end(const struct slot *s, const struct proc *p, int status, unsigned delay)
{
    bool good = !s->wanted || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char reason[64], then[48] = "";

    backoff_reason(status, reason, sizeof reason);
    if (s->wanted && delay)
        (void)snprintf(then, sizeof then, ", restarted in %u ms", delay);
    else if (s->wanted)
        (void)snprintf(then, sizeof then, ", restarted");
    log_line(good ? CONF_LOG_INFO : CONF_LOG_ERROR, "pool=%s process %ld ended: %s%s%s%s",
             s->conf->name, (long)p->kin.pid, reason, then,
             !good && p->lines.last[0] ? "; its last line: " : "", good ? "" : p->lines.last);
}

/* Some applications (Ruby's fcgi.rb without its C part) end when a connection is closed before a
 * request came, and so on the probe by which it is seen that they are ready.  They are started
 * again without; where one ends soon then, too, the probe may not have been the reason. */
static bool blames_probe(struct slot *s, const struct proc *p, int status, uint64_t now_ms)
{
    bool *unprobed = &s->env->unprobed[s->socket->pool];

    if (proc_died_of_probe(p, status, now_ms)) {
        if (!*unprobed)
            log_line(
                CONF_LOG_NOTICE,
                "pool=%s process %ld ended on a connection without a request: its like are "
                "started without that test from now on",
                s->conf->name, (long)p->kin.pid);
        return *unprobed = true;
    }
    if (!p->probed && now_ms < p->started_ms + SLOT_SOON_MS)
        *unprobed = false;
    return false;
}

static void ended(struct slot *s, struct proc *p, int status, const struct rusage *usage,
                  uint64_t now_ms)
{
    bool asked = p->step != PROC_LIVES && !p->late;
    unsigned delay = 0;

    proc_reaped(p, now_ms);
    s->current = NULL;
    if (p->exec_state == PROC_FAILED) {
        failed(s, p->kin.pid, spawner_exec_step_name(p->error.step), p->error.err, now_ms);
        return;
    }
    if (s->wanted && !asked) {
        bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !p->late;
        /* One that never was ready did not run, however long it took. */
        uint64_t ran_ms = p->late ? 0 : now_ms - p->started_ms;
        if (!blames_probe(s, p, status, now_ms))
            delay = backoff_next(&s->backoff, clean, ran_ms, SLOT_DELAY_MAX_MS);
    }
    log_end(s, p, status, delay);
    s->start_ms = s->wanted ? now_ms + delay : UINT64_MAX;
    /* One that was ready is stopped when nothing waits there. */
    if (delay >= SLOT_SOON_MS || (!s->wanted && !p->ready))
        refuse_later(s, now_ms);
    tell_ended(s, news(s, SPAWNER_ENDED, p->kin.pid, status, delay), usage);
}

bool slot_reaped(struct slot *s, pid_t pid, int status, const struct rusage *usage,
                 uint64_t now_ms)
{
    struct proc *p = s->current;

    if (!p || p->kin.pid != pid)
        return false;
    ended(s, p, status, usage, now_ms);
    return true;
}

/* ---- turns ---- */

void slot_tick(struct slot *s, uint64_t now_ms)
{
    for (struct proc **at = &s->procs; *at;) {
        struct proc *p = *at;
        if (proc_tick(p, now_ms) && p != s->current) {
            *at = p->next;
            proc_free(p);
        } else {
            at = &p->next;
        }
    }
    /* Behind what the looks found, so that the gateway hears of it in this turn. */
    if (s->current && s->current->exec_state == PROC_RUNNING &&
        s->told_flags != flags_of(s->current)) {
        if (s->told_flags == SLOT_UNTOLD)
            log_line(CONF_LOG_INFO, "pool=%s process %ld started", s->conf->name,
                     (long)s->current->kin.pid);
        tell_running(s, now_ms);
    }
    if (now_ms >= s->refuse_ms)
        refuse_now(s);
    if (s->wanted && !s->current && now_ms >= s->start_ms)
        start_now(s, now_ms);
}

uint64_t slot_next_ms(const struct slot *s)
{
    uint64_t next = s->wanted && !s->current ? s->start_ms : UINT64_MAX;

    if (s->refuse_ms < next)
        next = s->refuse_ms;
    for (const struct proc *p = s->procs; p; p = p->next) {
        uint64_t at = proc_next_ms(p);
        if (at < next)
            next = at;
    }
    return next;
}

bool slot_busy(const struct slot *s)
{
    for (const struct proc *p = s->procs; p; p = p->next) {
        if (!p->reaped || p->step_ms != UINT64_MAX)
            return true;
    }
    return false;
}

void slot_fini(struct slot *s)
{
    while (s->procs) {
        struct proc *p = s->procs;
        s->procs = p->next;
        proc_free(p);
    }
    s->current = NULL;
}
