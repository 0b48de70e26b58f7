/*
 * gateway/unixsock.h - a listening socket in the file system, in place of one that nobody
 * listens on any more.
 *
 * Threads  a process of one thread (the umask is the process's)
 */
#ifndef GATEWAY_UNIXSOCK_H
#define GATEWAY_UNIXSOCK_H

#include <sys/stat.h>
#include <sys/types.h>

/* Bind path with mode (0666, 0600) from birth, give it to uid and gid unless uid is -1, listen
 * with backlog.  A socket that refuses connections is a stale one and replaced; anything else
 * in the way stays: EADDRINUSE.  The descriptor (blocking, close-on-exec), or -1 with errno. */
int unixsock_listen(const char *path, mode_t mode, uid_t uid, gid_t gid, int backlog);

/* Remove the socket at path if it is such a stale one. */
void unixsock_remove_stale(const char *path);

#endif
