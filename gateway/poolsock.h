/*
 * gateway/poolsock.h - the listening sockets of pool processes, bound by the master so that
 * they outlive processes and spawner.
 *
 * Threads  a process of one thread
 */
#ifndef GATEWAY_POOLSOCK_H
#define GATEWAY_POOLSOCK_H

#include <stdio.h>

#include "../fcgi/identity.h"
#include "../fcgi/spawner.h"

struct poolsocks {
    const struct conf *conf; /* borrowed */
    struct spawner_socket *all;
    unsigned n;
};

/* One entry for every slot of every pool that h2cgi starts, with a socket unless the processes
 * bind their own: runtime_dir/POOL.SLOT.sock, 0600, of the gateway's user.  0, or -1 with a line
 * on errors_to and nothing left. */
int poolsocks_open(const struct conf *conf, const struct identity *user,
                   struct poolsocks *ret_p, FILE *errors_to);

/* Close the descriptors and keep the rest: the gateway reads the pages of script_usage.h. */
void poolsocks_close_fds(struct poolsocks *p);

/* Close them; with_files also removes them from runtime_dir (only the master does). */
void poolsocks_close(struct poolsocks *p, bool with_files);

#endif
