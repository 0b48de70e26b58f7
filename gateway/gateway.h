/*
 * gateway/gateway.h - the process that speaks with the network: threads, and how the master
 * starts it.
 *
 * Threads  gateway_run becomes the main thread of the gateway process: it starts acceptor,
 * workers and writers, waits for signals and the master, and stops them in reverse
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "../conf/conf.h"
#include "../fcgi/spawner.h"
#include "tls.h"

struct gateway_listener {
    int fd; /* listening, non-blocking */
    bool tls;
    const char *address; /* as written, for the log */
    const struct conf_listen *conf;
};

/* What is said over control_fd, one byte a message, descriptors as SCM_RIGHTS (fdpass.h). */
enum gateway_control {
    GATEWAY_CONTROL_DRAIN = 'Q', /* master -> gateway */
    GATEWAY_CONTROL_END = 'T',   /* master -> gateway: at once */
    GATEWAY_CONTROL_LOGS = 'L',  /* master -> gateway: + error log, access log: reopened ones */
    GATEWAY_CONTROL_SPAWNER = 'S', /* master -> gateway: + a new spawner_fd */
    GATEWAY_CONTROL_READY = 'R',   /* gateway -> master, once: the acceptor runs */
};

struct gateway_setup {
    const struct conf *conf;
    uint32_t generation;
    struct tls_config *tls;
    const struct gateway_listener *listeners;
    unsigned n_listeners;
    const struct spawner_socket *slots; /* of pool processes, without descriptors */
    unsigned n_slots;
    int spawner_fd; /* SOCK_SEQPACKET to the spawner (spawner.h) */
    int control_fd;
};

/* In the forked gateway process, after privileges were dropped.  Returns its exit status. */
int gateway_run(const struct gateway_setup *setup);

#endif
