/*
 * fcgi/spawner_proc.h - one run of a pool process: its output into the log, when it is ready, and
 * its end.
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
#include "spawner_kin.h"

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
    int runner_fd;  /* -1: no cgi pool */
    bool *unprobed; /* of each pool: its processes do not bear a connection without a request */
    struct proc *all;
};

/* On the way to its end; each step is due at step_ms. */
enum proc_step {
    PROC_LIVES,
    PROC_LEADER_TOLD, /* TERM to the process alone: a watcher of workers that is told together
                         with them would start new ones */
    PROC_GROUP_TOLD,  /* TERM to its whole group, and to what has left that */
    PROC_KILLED,      /* KILL to all of it, repeated */
};

enum proc_exec { PROC_STARTING, PROC_RUNNING, PROC_FAILED };

struct proc {
    struct proc *next;                 /* of the same slot, younger first */
    struct proc *all_next, **all_prev; /* env->all */
    struct spawner_env *env;
    const struct conf_pool *conf;
    const struct spawner_socket *socket; /* of its slot */
    struct spawner_kin kin;              /* its pid, also its group and session */
    struct watch out;                    /* stdout and stderr */
    struct watch exec;                   /* end of file when the program runs */
    enum proc_exec exec_state;
    struct spawner_exec_error error; /* PROC_FAILED */
    struct watch probe;              /* our connection that it has to take */
    bool probed;                     /* there is one, or was */
    bool reaped;
    bool ready; /* it takes connections */
    bool late;  /* ended for start_timeout */
    bool large; /* over max_memory */
    bool left;  /* reaped: something that it started is there */
    enum proc_step step;
    uint64_t started_ms;
    uint64_t took_ms;       /* when it closed the probe; 0: it did not */
    uint64_t look_ms;       /* when it is looked whether it is ready, or anything is left */
    unsigned look_after_ms; /* the pause before the next look */
    uint64_t step_ms;       /* UINT64_MAX: nothing is due */
    uint64_t kill_ms;       /* when the group is killed */
    uint64_t kill_after_ms; /* that long after the first TERM */
    struct lines lines;
};

enum {
    PROC_RUNNER_MS = 1000, /* more for runners, which give their scripts 3 s themselves */
};

/* NULL with *ret_err = errno when it could not even be forked or prepared. */
struct proc *proc_start(struct spawner_env *env, const struct spawner_socket *socket,
                        uint64_t now_ms, int *ret_err);

/* It takes connections. */
void proc_is_ready(struct proc *p, uint64_t now_ms);

/* It ended by itself, by what looks as if it were the probe: when that was closed. */
bool proc_died_of_probe(const struct proc *p, int status, uint64_t now_ms);

/* From stop_signal to KILL, see spawner.h. */
void proc_end(struct proc *p, uint64_t now_ms);

/* How long proc_end may take with a process of this pool. */
uint64_t proc_end_ms(const struct conf_pool *pool);

/* wait() returned its status: its last output is read, what it left in its group is ended. */
void proc_reaped(struct proc *p, uint64_t now_ms);

/* Take the steps that are due.  true once the process, what it started and its output are gone.
 */
bool proc_tick(struct proc *p, uint64_t now_ms);
uint64_t proc_next_ms(const struct proc *p);

/* Close its output although somebody holds the other end, and kill what it left. */
void proc_abandon(struct proc *p);

void proc_free(struct proc *p);

#endif
