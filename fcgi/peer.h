/*
 * fcgi/peer.h - is a unix socket really a certain user's server, or could it be another's?
 *
 * A user is trusted with a socket if it is root or the one that is named.  Owner: the socket, every
 * folder above it and every symbolic link on the way belong to a trusted user, and none of the
 * folders can be written by others, unless the sticky bit keeps them from replacing what is
 * not theirs.  Listener: a trusted user called listen() (SO_PEERCRED, unix(7)).  A server that got
 * its socket from somebody else, as a child of php-fpm does from its master, has the listener of
 * whoever made it; so the listener says something only about processes that listen themselves.
 *
 * Result   0; GW_EBACKEND_CONNECT: nothing is there, or we may not see it; GW_EBACKEND_PEER, and
 *          in text what is wrong
 * Threads  any; system calls: about one for each folder on the way
 */
#ifndef FCGI_PEER_H
#define FCGI_PEER_H

#include <stddef.h>
#include <sys/types.h>

enum { PEER_TEXT = 512 };

/* path is absolute.  Whoever could change the answer between this and a connect() to path is
 * trusted. */
int peer_owner(const char *path, uid_t user, char text[PEER_TEXT]);

/* fd is connected. */
int peer_listener(int fd, uid_t user, char text[PEER_TEXT]);

#endif
