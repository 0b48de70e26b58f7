/*
 * gateway/auth_table.h - a file of names, read: users and their hashes (htpasswd), or who is in
 * which group.  Pure.
 *
 * Shape    users   lines of USER:HASH; what follows a second colon, or a space, is not the hash's
 *          groups  lines of GROUP: USER USER
 *          "#" begins a comment line; of two lines for one user the first counts
 * Find     a keyed hash of the name, so that it takes the same time whatever else is in the file
 * Threads  made by one; then constant, and shared by count: any
 * Memory   a table has the text it was made of, which is wiped with it
 */
#ifndef GATEWAY_AUTH_TABLE_H
#define GATEWAY_AUTH_TABLE_H

#include "siphash.h"
#include "slice.h"

struct auth_table;

enum auth_table_kind { AUTH_TABLE_USERS, AUTH_TABLE_GROUPS };

/* What is wrong with a line, which says nothing then.  name: its user or group. */
typedef void auth_table_fault(void *arg, unsigned line, struct slice name, const char *why);

/* The table of text, which is copied; NULL: out of memory. */
struct auth_table *auth_table_new(enum auth_table_kind kind, struct slice text,
                                  const struct siphash_key *key, auth_table_fault *fault,
                                  void *arg);

void auth_table_ref(struct auth_table *t);
void auth_table_unref(struct auth_table *t); /* may be NULL */

/* Users, or members of groups. */
size_t auth_table_size(const struct auth_table *t);

/* The hash of user; n = 0: there is none. */
struct slice auth_table_hash(const struct auth_table *t, struct slice user);

/* For a user who is not there, the hash of one who is, always the same one: whoever measures
 * the time of an answer finds every name in the file.  n = 0: the file is empty. */
struct slice auth_table_other_hash(const struct auth_table *t, struct slice user);

bool auth_table_in_group(const struct auth_table *t, struct slice group, struct slice user);

/* Was t made of this text? */
bool auth_table_is(const struct auth_table *t, struct slice text);

#endif
