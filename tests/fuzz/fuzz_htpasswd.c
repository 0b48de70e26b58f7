/*
 * The first line of the input is a user, the rest a file of users, and of groups.  What is found
 * for him stands behind his name in a line of it; a hash of any form is taken or refused, and
 * apr1 says of one whether it is one as it makes them.
 */
#include <stdlib.h>

#include "../../gateway/apr1.h"
#include "../../gateway/auth_table.h"
#include "../../gateway/htpasswd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void count(void *arg, unsigned line, struct slice name, const char *why)
{
    unsigned *last = arg;

    (void)name;
    check(line >= *last && why[0]);
    *last = line;
}

static bool can_be_a_user(struct slice user)
{
    return user.n && user.p[0] != '#' && slice_find(user, ':') < 0;
}

static bool contains(struct slice text, struct slice what)
{
    return memmem(text.p, text.n, what.p, what.n) != NULL;
}

static void check_hash(struct slice text, struct slice user, struct slice hash)
{
    char line[MOST], out[APR1_TEXT];

    check(can_be_a_user(user) && !htpasswd_fault(hash));
    size_t n = user.n;
    memcpy(line, user.p, n);
    line[n++] = ':';
    memcpy(line + n, hash.p, hash.n);
    check(contains(text, slice_of(line, n + hash.n)));
    if (apr1_is(hash)) {
        check(apr1_crypt(hash, "x", out));
        check(apr1_is(slice_str(out)) && strlen(out) == hash.n);
        check(htpasswd_matches(slice_str(out), "x"));
    }
}

static void users(struct slice text, struct slice user)
{
    static const struct siphash_key key = {{1, 2}};
    unsigned last = 0;
    struct auth_table *t = auth_table_new(AUTH_TABLE_USERS, text, &key, count, &last);

    check(t && auth_table_is(t, text));
    struct slice hash = auth_table_hash(t, user);
    if (hash.n)
        check_hash(text, user, hash);
    struct slice other = auth_table_other_hash(t, user);
    check((other.n > 0) == (auth_table_size(t) > 0));
    auth_table_unref(t);
}

/* In a group whose line names him, and in no other. */
static void groups(struct slice text, struct slice user)
{
    static const struct siphash_key key = {{3, 4}};
    unsigned last = 0;
    struct auth_table *t = auth_table_new(AUTH_TABLE_GROUPS, text, &key, count, &last);
    ssize_t colon = slice_find(text, ':');
    struct slice group = slice_of(text.p, colon < 0 ? 0 : (size_t)colon);

    check(t != NULL);
    if (auth_table_in_group(t, group, user))
        check(contains(text, user) && auth_table_size(t));
    check(!auth_table_in_group(t, group, slice_of("", 0)));
    auth_table_unref(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    ssize_t nl = slice_find(text, '\n');

    if (nl < 0 || size > MOST / 2)
        return 0;
    struct slice user = slice_of(text.p, (size_t)nl);
    text = slice_from(text, (size_t)nl + 1);
    users(text, user);
    groups(text, user);
    return 0;
}
