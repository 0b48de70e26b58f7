/*
 * gateway/sockaddr.h - the two ends of a connection.
 *
 * Threads  any
 */
#ifndef GATEWAY_SOCKADDR_H
#define GATEWAY_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

/* Of a unix socket only the family is kept: nobody asks for its path, and it would be most of a
 * connection. */
union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

#endif
