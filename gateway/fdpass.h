/*
 * gateway/fdpass.h - one byte and some descriptors over a SOCK_SEQPACKET pair: what master,
 * gateway and spawner tell each other.
 *
 * Result   as said at each function
 * Threads  any
 */
#ifndef GATEWAY_FDPASS_H
#define GATEWAY_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

enum { FDPASS_MAX = 4 };

/* Never blocks and never raises SIGPIPE.  0, or -1 with errno (EAGAIN: the other side does not
 * read).  The caller keeps its descriptors. */
int fdpass_send(int sock, char verb, const int *fds, size_t n_fds);

/* Never blocks.  1: a message, with *ret_n descriptors (close-on-exec, the caller's) in fds; 0:
 * the other side is gone; -1 with errno (EAGAIN: nothing there).  What does not fit into
 * fds[0..cap) is closed. */
int fdpass_recv(int sock, char *ret_verb, int *fds, size_t cap, size_t *ret_n);

#endif
