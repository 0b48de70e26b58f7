/*
 * gateway/folders.h - runtime_dir and spool_dir: made at start, checked where they exist.
 *
 * Threads  a process of one thread
 */
#ifndef GATEWAY_FOLDERS_H
#define GATEWAY_FOLDERS_H

#include <stdbool.h>
#include <stdio.h>

#include "../fcgi/identity.h"

/* What was made, to be removed at the end. */
struct folders {
    bool made_runtime, made_spool;
};

/*
 * runtime_dir holds sockets that others connect to, so nobody but us and root may put anything
 * there: owned by us, 0711 as root (the gateway's user goes through) and 0700 otherwise.
 * spool_dir belongs to the gateway's user, 0700; one that exists must be writable for that
 * user and is left as it is.  Missing folders above them are made too.  0, or -1 with a line on
 * errors_to.
 */
int folders_make(const char *runtime_dir, const char *spool_dir, const struct identity *user,
                 struct folders *ret_f, FILE *errors_to);

/* Remove what folders_make made, where nothing else is in it. */
void folders_remove(const char *runtime_dir, const char *spool_dir, const struct folders *f);

#endif
