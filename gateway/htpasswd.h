/*
 * gateway/htpasswd.h - files of users and hashed passwords.
 *
 * Shape    lines of user:hash, "#" starts a comment line; at most 1 MiB
 * Hashes   bcrypt ($2a$ $2b$ $2y$), SHA-crypt ($5$ $6$), yescrypt ($y$); others never match
 * Threads  any; htpasswd_check blocks for as long as the hash takes (up to a second) and
 *          belongs on a writer thread
 */
#ifndef GATEWAY_HTPASSWD_H
#define GATEWAY_HTPASSWD_H

#include "slice.h"

enum { HTPASSWD_FILE_MAX = 1024 * 1024, HTPASSWD_PASSWORD_MAX = 511 };

/* What changes when somebody writes or replaces the file. */
struct htpasswd_version {
    uint64_t device, inode;
    int64_t size, mtime_ns, ctime_ns;
};

/* false with errno. */
bool htpasswd_stat(const char *path, struct htpasswd_version *ret_version);

/*
 * Is password the one of user in the file as it is now?  1 yes, 0 no, -1 with errno if the file
 * cannot be read (EFBIG: over the limit).  *ret_version is what was read.  Both strings are
 * NUL-terminated.  A user that is not there takes as long as one that is, and the comparison
 * always the same time.
 */
int htpasswd_check(const char *path, const char *user, const char *password,
                   struct htpasswd_version *ret_version);

/* The hash of user in text (pure); empty if there is none. */
struct slice htpasswd_find(struct slice text, struct slice user);

#endif
