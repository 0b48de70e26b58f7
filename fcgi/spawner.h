/*
 * fcgi/spawner.h - the process that starts and ends pool processes.
 *
 * Shape    one thread, one poll loop.  Talks to the gateway over a SOCK_SEQPACKET socketpair in
 *          fixed-size messages that carry numbers only: never a path, an argument or a
 *          variable, so a broken gateway can start nothing but what the INI names
 * Life     a slot that was started stays wanted: its process is restarted when it ends, at once
 *          if it ran for 10 s or exited with status 0 (backoff.h), else after a delay that
 *          grows from 100 ms to 30 s and is logged with the reason (exit status, signal)
 *          The slots below min_processes are wanted from the start, without being asked for;
 *          all else is the gateway's to say.  SPAWNER_START on a slot that runs is answered
 *          with SPAWNER_RUNNING
 * Ready    a process is ready when it has taken its first connection: the spawner connects to
 *          its socket before it starts it, sends nothing, and looks whether the process has
 *          closed that again, or nothing waits there to be accepted any more.  One that binds
 *          its own socket is ready when a connect works.  start_timeout ends those that do not
 *          get so far.  Where a process ended on that connection the pool's next ones are started
 *          without, and are ready at once: what comes meanwhile waits in the backlog
 * End      stop_signal to the process, TERM to its group after a third of stop_timeout or when
 *          the process has ended, KILL after stop_timeout.  So does what has left the group:
 *          orphans come back to the spawner, a child subreaper, and are known by the mark in
 *          their environment (spawner_kin.h)
 * Backlog  requests wait there for a process that starts, or will again within a second.  For
 *          one that comes later, or never, they are accepted and closed: the gateway then has
 *          another server, or an error
 * News     a gateway that does not read its end blocks nothing and loses all but the latest of
 *          each slot; a new one (SPAWNER_CONTROL_GATEWAY) is told of every process that runs
 * Output   stdout and stderr of a process go to the error log, line by line, with pool and pid
 * Threads  runs alone in its process
 */
#ifndef FCGI_SPAWNER_H
#define FCGI_SPAWNER_H

#include <sys/resource.h>

#include "../conf/conf.h"
#include "script_usage.h"

enum spawner_verb {
    SPAWNER_START = 1,   /* gateway -> spawner: want this slot */
    SPAWNER_STOP = 2,    /* gateway -> spawner: end it, do not restart */
    SPAWNER_RUNNING = 3, /* spawner -> gateway: pid, age_ms, flags; again when those change */
    SPAWNER_ENDED = 4,  /* spawner -> gateway: pid, wait status, rusage; it will be restarted in
                           delay_ms, or never if stopped */
    SPAWNER_FAILED = 5, /* spawner -> gateway: could not be started (exec failed, no such user):
                           err is errno; retried in delay_ms */
    SPAWNER_ANSWERS = 6, /* gateway -> spawner: it had a byte from there, so it is ready,
                            although its backlog never was empty */
};

/* Of SPAWNER_RUNNING. */
enum {
    SPAWNER_READY = 1, /* it takes connections */
    SPAWNER_LARGE = 2, /* it is over max_memory */
};

struct spawner_msg {
    uint32_t verb;
    uint32_t generation; /* of the configuration, from 1 */
    uint32_t pool;       /* index into conf->pools */
    uint32_t slot;       /* 0 .. slots - 1 */
    int32_t pid;
    int32_t status; /* wait status, or errno for SPAWNER_FAILED */
    uint32_t delay_ms;
    uint32_t flags;
    int64_t age_ms;
    int64_t utime_us, stime_us, maxrss_kb;
};

/* A slot for a pool process, and its listening socket, bound by the master as
 * runtime_dir/POOL.SLOT.sock (mode 0600, owned by the gateway's user). */
struct spawner_socket {
    uint32_t pool, slot;
    int listen_fd;                    /* -1: the process binds a socket itself */
    int usage_fd;                     /* cgi: script_usage.h; else -1 */
    const struct script_usage *usage; /* the same, mapped for reading */
};

/* What the master says on control_fd (fdpass.h). */
enum {
    SPAWNER_CONTROL_GATEWAY = 'G', /* + one descriptor: this end belongs to a new gateway */
    SPAWNER_CONTROL_LOGS = 'L',    /* + error log, access log: reopened ones */
};

struct spawner_setup {
    const struct conf *conf;
    uint32_t generation;
    const struct spawner_socket *sockets; /* sorted by pool, slot */
    unsigned n_sockets;
    int control_fd; /* from the master: SPAWNER_CONTROL_*; EOF: end everything and exit */
    int gateway_fd; /* the first gateway's end, or -1 */
    const char *runner_path; /* absolute path of h2cgi-run */
    struct rlimit nofile;    /* RLIMIT_NOFILE of the processes; rlim_max 0: inherited */
};

/* Runs until control_fd closes or SIGTERM comes; returns the exit status of the process.  All
 * processes it started and their descendants are gone when it returns: TERM, then KILL after 3
 * s. */
int spawner_run(const struct spawner_setup *setup);

/* The path of a pool process's socket: dir/POOL.SLOT.sock.  false if it does not fit sun_path
 * (107 bytes). */
bool spawner_socket_path(char *out, size_t cap, const char *runtime_dir,
                         const struct conf_pool *pool, uint32_t slot);

/* Where its requests go, as connect would have it: that socket, or what it binds itself. */
bool spawner_address(char *out, size_t cap, const char *runtime_dir,
                     const struct conf_pool *pool, uint32_t slot);

/* text with the slot's number for each {slot}.  p is NULL: memory is out. */
struct slice spawner_slot_text(struct arena *a, struct slice text, uint32_t slot);

#endif
