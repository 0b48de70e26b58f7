/*
 * gateway/auth_file.h - a file of users or groups that is read again when it was changed,
 * replaced, or is back.
 *
 * Noticed  at most a second after, by device, inode, size and times, asked when somebody logs in.
 *          What was written less than two seconds before it was read may change once more
 *          without a trace in its times: it is read again
 * Broken   a file that cannot be read lets nobody in, neither those whom it let in before: one
 *          line, and one when it is back.  A line that is no entry is told of with its number
 * Threads  as said at each function
 */
#ifndef GATEWAY_AUTH_FILE_H
#define GATEWAY_AUTH_FILE_H

#include "auth_table.h"

enum { AUTH_FILE_MAX = 16 * 1024 * 1024, AUTH_FILE_LOOK_MS = 1000 };

struct auth_file;

/* key is for names; path is borrowed.  Not read yet.  NULL: out of memory.  init */
struct auth_file *auth_file_new(const char *path, enum auth_table_kind kind,
                                const struct siphash_key *key);
void auth_file_free(struct auth_file *f);

/* Is what was read last what is there?  Looks at most once a second.  any */
bool auth_file_is_fresh(struct auth_file *f, uint64_t now_ms);

/* Read it if it is not fresh.  On a thread that may block, several at once if need be. */
void auth_file_refresh(struct auth_file *f);

/* What was read last, once more referenced; NULL: it could not be.  *ret_generation (may be
 * NULL) is another number for every other content.  any */
struct auth_table *auth_file_hold(struct auth_file *f, uint64_t *ret_generation);

const char *auth_file_path(const struct auth_file *f);

#endif
