/*
 * gateway/processes.h - the gateway's side of the socket to the spawner: news of processes go to
 * their pools, what pools want of them goes out.
 *
 * Threads  the main thread
 */
#ifndef GATEWAY_PROCESSES_H
#define GATEWAY_PROCESSES_H

#include "../fcgi/pool.h"
#include "gateway.h"

struct processes;

/* pools[setup->conf->n_pools].  NULL: memory is out. */
struct processes *processes_new(struct loop *loop, const struct gateway_setup *setup,
                                struct pool **pools);

/* The spawner speaks on fd (-1: there is none yet), which is closed with the next one or the end.
 * again: a new one after another ended, of which nothing runs any more.  0, or -1 with errno. */
int processes_use_spawner(struct processes *ps, int fd, bool again);

void processes_free(struct processes *ps);

#endif
