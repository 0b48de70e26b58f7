/*
 * fcgi/identity.h - a user as the system's data base has it, and becoming that user.
 *
 * Result   0, or an errno value
 * Threads  init, or a process of one thread
 * Memory   everything in the caller's arena
 */
#ifndef FCGI_IDENTITY_H
#define FCGI_IDENTITY_H

#include "../gateway/arena.h"

struct identity {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary ones, gid among them */
    size_t n_groups;
    const char *name, *home, *shell;
};

/* name may be a number.  ENOENT: no such user. */
int identity_find(struct arena *a, const char *name, struct identity *ret_id);

/* Whoever runs this process; a user without an entry gets its number as name and "/" as home.
 */
int identity_self(struct arena *a, struct identity *ret_id);

/* Whom root's servers usually run as: www-data, or nobody where there is none. */
int identity_usual(struct arena *a, struct identity *ret_id);

/* Groups, then group, then user, real, effective and saved.  Nothing to do for who already runs
 * under that user without being root.  Async-signal-safe. */
int identity_assume(const struct identity *id);

#endif
