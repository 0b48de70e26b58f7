/*
 * gateway/child.h - one of the master's two children: its process, when it is started again,
 * and the pair of sockets between them.
 *
 * Units    milliseconds, monotonic; UINT64_MAX is never
 * Threads  a process of one thread
 */
#ifndef GATEWAY_CHILD_H
#define GATEWAY_CHILD_H

#include <sys/types.h>

#include "../fcgi/backoff.h"

enum { CHILD_DELAY_MAX_MS = 10 * 1000 };

struct child {
    const char *name; /* "gateway", "spawner" */
    pid_t pid;        /* 0: none runs */
    int control_fd;   /* our end of a SOCK_SEQPACKET pair; -1: none */
    uint64_t started_ms;
    uint64_t start_ms; /* when the next start is due; UINT64_MAX: it runs, or never */
    struct backoff backoff;
};

uint64_t child_now_ms(void);

void child_init(struct child *c, const char *name);

/*
 * Fork; in the child run(owner, control_fd) and exit with what it returns.  The child has a
 * session of its own, so that a Ctrl-C in the terminal reaches the master alone, default
 * actions for all signals and none of them blocked.  0, or -1: logged, and the next try is
 * scheduled.
 */
int child_start(struct child *c, int (*run)(void *owner, int control_fd), void *owner);

/* wait() gave this status: log it, close our end, schedule the restart unless ending. */
void child_ended(struct child *c, int status, bool ending);

/* For the child: KILL when parent ends; only after the last change of user, which takes the
 * request back. */
void child_die_with(pid_t parent);

#endif
