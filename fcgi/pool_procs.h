/*
 * fcgi/pool_procs.h - which processes a pool has: when one is started, replaced and stopped.
 *
 * Shape    a process lives in a slot, with a socket of its own (spawner.h).  There are slots to
 *          spare, so that a successor runs and is ready before the process that it replaces is
 *          told to end:
 *
 *              OFF -> STARTING -> UP -> DRAINING -> STOPPING -> OFF
 *                        ^  |     |     takes no     told to
 *                        |  v     |     requests     end
 *                        DOWN <---'  it ended, and the spawner restarts it later than soon
 *
 *          Started   up to min always; one for each request that waits and that no process being
 *                    started will take, up to max.  Not while one fails to start: the others
 *                    would, too, and of several that fail only one is tried on
 *          Replaced  after max_requests, max_age, or over max_memory: a successor is started, and
 *                    once that is UP the old one drains.  Where no slot is to spare it drains
 *                    first.  One that nobody needs just ends
 *          Stopped   above min, without a request for idle_ms, the longest idle one first
 * Units    milliseconds, monotonic, of the caller's clock
 * Threads  any, one at a time; pure
 * Memory   procs_new to procs_free
 */
#ifndef FCGI_POOL_PROCS_H
#define FCGI_POOL_PROCS_H

#include "spawner.h"

enum procs_state {
    PROCS_OFF,
    PROCS_STARTING,
    PROCS_UP,
    PROCS_DRAINING,
    PROCS_STOPPING,
    PROCS_DOWN,
};

struct procs_slot {
    /* written by the caller before procs_news() */
    bool took; /* it took a request, and ended before it said that it is up */

    /* written by the caller before procs_step() */
    unsigned n_in_flight;
    uint64_t n_requests; /* granted so far, ever growing */

    /* read by the caller after it */
    enum procs_state state;
    enum spawner_verb order; /* to be sent now; 0: none */
    const char *why;         /* of START and STOP, for the log */

    pid_t pid; /* 0: not known */
    uint64_t born_ms;
    uint64_t idle_ms;     /* since when it was seen without work */
    uint64_t seen;        /* n_requests at the last step */
    uint64_t born_served; /* n_requests when its process was started */
    int successor;        /* slot, -1: none */
    const char *due;      /* to be replaced, and why; NULL: not */
    bool large;
    unsigned n_failed; /* in a row its processes ended badly without having been up */
};

struct procs {
    unsigned min, max, per_process;
    uint64_t idle_ms;
    uint64_t max_requests, max_age_ms; /* 0: never */
    unsigned n;
    struct procs_slot *slots; /* [n] */
    bool startable;           /* a request that waits may have a process started */
};

/* Who asks for processes. */
struct procs_demand {
    unsigned n_waiting;
    unsigned room; /* how many more the pool would have in flight */
};

/* Nothing runs yet, but the spawner starts the slots below min by itself.  NULL: memory is out.
 */
struct procs *procs_new(const struct conf_pool *conf, uint64_t now_ms);
void procs_free(struct procs *ps);

/* What the spawner says of a slot (RUNNING, ENDED, FAILED). */
void procs_news(struct procs *ps, const struct spawner_msg *m, uint64_t now_ms);

/* Is another process in this slot hardly going to come up?  What failed once may have met
 * something that passes, and who waits for it waits on. */
static inline bool procs_doubtful(const struct procs_slot *s)
{
    return s->n_failed > 1;
}

/* A byte came from the process of a slot. */
void procs_answers(struct procs *ps, unsigned slot, uint64_t now_ms);

/* A new spawner, which knows nothing: what ran is gone. */
void procs_reset(struct procs *ps, uint64_t now_ms);

/* Decide; orders and states are in the slots then.  When to be asked again unless something
 * happens before; UINT64_MAX: never. */
uint64_t procs_step(struct procs *ps, const struct procs_demand *demand, uint64_t now_ms);

#endif
