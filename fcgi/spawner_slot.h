/*
 * fcgi/spawner_slot.h - one slot of a pool: whether a process is wanted there, when it is
 * started, and what the gateway is told of it.
 *
 * Units    milliseconds, monotonic; UINT64_MAX is never
 * Threads  a process of one thread
 */
#ifndef FCGI_SPAWNER_SLOT_H
#define FCGI_SPAWNER_SLOT_H

#include "backoff.h"
#include "spawner_proc.h"

enum {
    SLOT_DELAY_MAX_MS = 30 * 1000,
    SLOT_SOON_MS = 1000, /* a process that is back later is not waited for */
    SLOT_REFUSE_MS = 20, /* so that the gateway knows when its requests come back */
    SLOT_UNTOLD = 1u << 31,
    SLOT_PROCS_MAX = 4, /* ended ones whose output or group is still there; then abandoned */
};

struct slot {
    struct spawner_env *env;
    const struct spawner_socket *socket; /* pool, slot, listening socket */
    const struct conf_pool *conf;
    bool wanted;
    struct proc *current; /* started and not reaped; NULL: none */
    struct proc *procs;   /* all, current among them */
    struct backoff backoff;
    uint64_t start_ms;   /* when the next start is due */
    uint64_t refuse_ms;  /* when those in the backlog are told that nobody comes */
    unsigned told_flags; /* of current, as the gateway heard last; SLOT_UNTOLD: nothing */

    /* News for the gateway, at most two: how the last process ended, then that the next one
     * runs.  Only the latest of each is kept, so a gateway that does not read costs nothing. */
    struct spawner_msg ended, running; /* verb 0: nothing to tell */
};

void slot_init(struct slot *s, struct spawner_env *env, const struct spawner_socket *socket);

/* Wanted from now on.  Where a process runs already the gateway is told again. */
void slot_start(struct slot *s, uint64_t now_ms);
void slot_stop(struct slot *s, uint64_t now_ms);

/* The gateway had an answer from its process. */
void slot_answers(struct slot *s, uint64_t now_ms);

/* A member of this session has so many bytes resident. */
void slot_memory(struct slot *s, pid_t session, uint64_t bytes);

/* wait4() gave this for pid.  false: not a process of this slot. */
bool slot_reaped(struct slot *s, pid_t pid, int status, const struct rusage *usage,
                 uint64_t now_ms);

/* Whatever is due.  Frees what is over, so no event of this turn may be handled after it. */
void slot_tick(struct slot *s, uint64_t now_ms);
uint64_t slot_next_ms(const struct slot *s);

/* A process or something in its group still exists. */
bool slot_busy(const struct slot *s);
void slot_fini(struct slot *s);

#endif
