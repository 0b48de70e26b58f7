/*
 * gateway/congestion.h - the congestion control of a TCP socket (TCP_CONGESTION, tcp(7)).
 *
 * It is the system's (net.ipv4.tcp_congestion_control), or the one that [listen] names, and
 * between two processes of one machine no bbr.  Bbr sends each segment when a timer says so, in
 * order not to fill the queues on the way.  Inside a machine there is no way, and the timers take
 * more CPU than the sending: 10 MiB by sendfile(2) cost 1,900 us with it, 700 with reno.
 *
 * A connection that had bbr when it came to be keeps its timers whatever it gets then.  So it is
 * decided before: by the address that a socket listens on or connects to, not by who comes.
 *
 * Threads  any
 */
#ifndef GATEWAY_CONGESTION_H
#define GATEWAY_CONGESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* For a socket that listens, before anybody is accepted.  name is a value of congestion_control:
 * "auto" is as told above, "system" leaves it, others are names; a unix socket has none.  false: it
 * cannot be had, and ret_why says why and which can be. */
bool congestion_listen(int fd, const char *name, char *ret_why, size_t cap);

/* For a socket that is about to connect to addr, or listens there: reno for bbr if that is inside
 * this machine. */
void congestion_spare(int fd, const struct sockaddr *addr);

#endif
