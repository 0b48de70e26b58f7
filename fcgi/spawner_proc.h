/*
 * fcgi/spawner_proc.h - one run of a pool process: its output into the log, and its end.
 *
 * Life     proc_start, then proc_tick each turn; proc_end or its own death; proc_reaped when
 * wait() gave its status; free once proc_tick says that nothing of it is left
 * Units    milliseconds, monotonic
 * Threads  a process of one thread
 * Memory   proc_free, and only between two turns: events of the turn may still point to it
 */
#ifndef FCGI_SPAWNER_PROC_H
#define FCGI_SPAWNER_PROC_H

#include "lines.h"
#include "spawner_exec.h"

/* A descriptor in the spawner's epoll; the epoll event points to it. */
struct watch {
    int fd; /* -1: none */
    int epoll_fd;
    void (*fn)(void *owner);
    void *owner;
};

int watch_add(struct watch *w, int epoll_fd, int fd, void (*fn)(void *owner), void *owner);
void watch_close(struct watch *w); /* the descriptor too */

/* What all processes share. */
struct spawner_env {
    const struct spawner_setup *setup;
    int epoll_fd;
    int runner_fd; /* -1: no cgi pool */
};

/* On the way to its end; each step is due at step_ms. */
enum proc_step {
    PROC_LIVES,
    PROC_LEADER_TOLD, /* TERM to the process alone: a watcher of workers that is told together
                         with them would start new ones */
    PROC_GROUP_TOLD,  /* TERM to its whole group */
    PROC_KILLED,      /* KILL to the group, repeated */
};

enum proc_exec { PROC_STARTING, PROC_RUNNING, PROC_FAILED };

struct proc {
    struct proc *next; /* of the same slot, younger first */
    const char *pool;  /* its name, for the log */
    pid_t pid;         /* also its group and session */
    struct watch out;  /* stdout and stderr */
    struct watch exec; /* end of file when the program runs */
    enum proc_exec exec_state;
    struct spawner_exec_error error; /* PROC_FAILED */
    bool reaped;
    enum proc_step step;
    uint64_t started_ms;
    uint64_t step_ms;       /* UINT64_MAX: nothing is due */
    uint64_t kill_ms;       /* when the group is killed */
    uint64_t kill_after_ms; /* that long after the first TERM */
    struct lines lines;
};

enum {
    PROC_GROUP_MS = 1000,
    PROC_KILL_MS = 3000,
    PROC_RUNNER_MS = 1000, /* more for runners, which give their scripts 3 s themselves */
};

/* NULL with *ret_err = errno when it could not even be forked or prepared. */
struct proc *proc_start(const struct spawner_env *env, const struct conf_pool *pool,
                        int listen_fd, uint64_t now_ms, int *ret_err);

/* TERM to the process, a second later to its group, KILL three seconds after the first. */
void proc_end(struct proc *p, uint64_t now_ms);

/* wait() returned its status: its last output is read, what it left in its group is ended. */
void proc_reaped(struct proc *p, uint64_t now_ms);

/* Take the steps that are due.  true once the process, its group and its output are gone. */
bool proc_tick(struct proc *p, uint64_t now_ms);

/* Close its output although somebody holds the other end (a daemon it left behind), and kill
 * its group. */
void proc_abandon(struct proc *p);

void proc_free(struct proc *p);

#endif
