/*
 * gateway/htpasswd.h - the password hashes that htpasswd files have: which are taken, and whether
 * a password is the one.
 *
 * Taken    bcrypt ($2a$ $2b$ $2y$), SHA-crypt ($5$ $6$), yescrypt ($y$), apr1 ($apr1$, apr1.h)
 * Refused  DES crypt, MD5 crypt ($1$), {SHA} and plain text: a stolen file of those is a list of
 *          passwords.  And what would keep a core busy for many seconds: bcrypt over 16, SHA-crypt
 *          over 5,000,000 rounds, yescrypt over 128 MiB
 * Threads  any; htpasswd_matches blocks for as long as the hash takes and belongs on a thread that
 *          may
 */
#ifndef GATEWAY_HTPASSWD_H
#define GATEWAY_HTPASSWD_H

#include "slice.h"

enum { HTPASSWD_PASSWORD_MAX = 511 };

/* Why hash is not taken, or NULL. */
const char *htpasswd_fault(struct slice hash);

/* Is password, with its NUL, the one of hash?  The comparison takes constant time. */
bool htpasswd_matches(struct slice hash, const char *password);

/* For a file without a usable hash: something to be busy with. */
extern const struct slice htpasswd_dummy;

#endif
