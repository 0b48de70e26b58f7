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
#include "tls.h"

struct gateway_listener {
    int fd; /* listening, non-blocking */
    bool tls;
    const char *address; /* as written, for the log */
};

struct gateway_setup {
    const struct conf *conf;
    uint32_t generation;
    struct tls_config *tls;
    const struct gateway_listener *listeners;
    unsigned n_listeners;
    int spawner_fd; /* SOCK_SEQPACKET to the spawner (spawner.h) */
    /* SOCK_SEQPACKET to the master (fdpass.h): 'Q' drain, 'T' end now, 'L' + (error, access) new
     * log descriptors, 'S' + a new spawner's end; end of file: the master is gone, end now.  The
     * gateway sends 'R' once it is ready. */
    int control_fd;
};

/* In the forked gateway process, after privileges were dropped.  Returns its exit status. */
int gateway_run(const struct gateway_setup *setup);

#endif
