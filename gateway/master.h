/*
 * gateway/master.h - the process that owns what outlives the others: listeners, sockets, logs,
 * keys.  It starts gateway and spawner, starts them again when they end, and ends them.  One
 * thread, and nothing that comes from the network is ever read here.
 *
 * Life     master_open, master_start, master_wait, master_stop, master_close
 * Signals  TERM, INT end at once; QUIT drains; USR1 reopens the logs; HUP is logged and ignored
 * Threads  a process of one thread
 */
#ifndef GATEWAY_MASTER_H
#define GATEWAY_MASTER_H

#include <sys/resource.h>

#include "child.h"
#include "folders.h"
#include "listen.h"
#include "poolsock.h"

struct master {
    struct conf *conf; /* borrowed; user and max_connections are settled in place */
    struct arena arena;
    struct identity user; /* whom the gateway runs as */
    struct rlimit nofile; /* as it was when we came, for pool processes */
    char *runner_path;    /* NULL: no cgi pool */
    struct folders folders;
    int pid_fd;
    struct listeners listeners;
    struct poolsocks poolsocks;
    uint8_t ticket_key[TLS_TICKET_KEY];
    struct tls_config *tls;
    int signal_fd;
    unsigned n_opened; /* steps of master_open to take back */

    struct child gateway, spawner;
    int gateway_end, spawner_end; /* of their pair, on the way to them; else -1 */
    bool ready;                   /* a gateway has been up */
    bool draining;
    uint64_t drain_ms; /* draining: ended at once after this; else UINT64_MAX */
    bool stop;         /* leave master_wait */
    int status;        /* exit status */
};

/* Everything that can fail, before anything is started: limits, user, logs, folders, pid file,
 * listeners, sockets, keys.  0, or -1 with a line on stderr and all taken back. */
int master_open(struct master *m, struct conf *conf);

void master_start(struct master *m);

/* Until it is time to end. */
void master_wait(struct master *m);

/* The gateway has 3 s, then the spawner ends its processes; nothing is left below us after. */
void master_stop(struct master *m);

/* What master_open opened, in reverse; no socket, no pid file stays.  Returns the exit status.
 */
int master_close(struct master *m);

#endif
