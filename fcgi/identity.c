#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_GROUPS = 65536 }; /* NGROUPS_MAX */

static int copy_entry(struct arena *a, const struct passwd *pw, struct identity *id)
{
    id->uid = pw->pw_uid;
    id->gid = pw->pw_gid;
    id->name = arena_dup(a, slice_str(pw->pw_name)).p;
    id->home = arena_dup(a, slice_str(pw->pw_dir)).p;
    id->shell = arena_dup(a, slice_str(pw->pw_shell)).p;
    return id->name && id->home && id->shell ? 0 : ENOMEM;
}

static int find_groups(struct arena *a, struct identity *id)
{
    int n = 32;

    for (;;) {
        int cap = n;
        gid_t *groups = arena_alloc(a, (size_t)cap * sizeof *groups);
        if (!groups)
            return ENOMEM;
        if (getgrouplist(id->name, id->gid, groups, &n) >= 0) {
            id->groups = groups;
            id->n_groups = (size_t)n;
            return 0;
        }
        if (n <= cap || n > MAX_GROUPS)
            return EINVAL;
    }
}

static int from_entry(struct arena *a, const struct passwd *pw, struct identity *ret_id)
{
    struct identity id = {0};
    int err = copy_entry(a, pw, &id);

    if (!err)
        err = find_groups(a, &id);
    if (!err)
        *ret_id = id;
    return err;
}

int identity_find(struct arena *a, const char *name, struct identity *ret_id)
{
    errno = 0;
    const struct passwd *pw = getpwnam(name);
    if (!pw) {
        int64_t uid = slice_decimal(slice_str(name), UINT32_MAX - 1);
        errno = 0;
        pw = uid >= 0 ? getpwuid((uid_t)uid) : NULL;
    }
    if (!pw)
        return errno ? errno : ENOENT;
    return from_entry(a, pw, ret_id);
}

int identity_self(struct arena *a, struct identity *ret_id)
{
    const struct passwd *pw = getpwuid(geteuid());

    if (pw)
        return from_entry(a, pw, ret_id);
    struct slice name = arena_printf(a, "%lu", (unsigned long)geteuid());
    if (!name.p)
        return ENOMEM;
    *ret_id = (struct identity){
        .uid = geteuid(),
        .gid = getegid(),
        .name = name.p,
        .home = "/",
        .shell = "/bin/sh",
    };
    return 0;
}

int identity_usual(struct arena *a, struct identity *ret_id)
{
    static const char *const names[] = {"www-data", "nobody"};
    int err = ENOENT;

    for (size_t i = 0; err && i < sizeof names / sizeof names[0]; i++)
        err = identity_find(a, names[i], ret_id);
    return err;
}

int identity_assume(const struct identity *id)
{
    if (geteuid() != 0)
        return geteuid() == id->uid ? 0 : EPERM;
    if (setgroups(id->n_groups, id->groups) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
        setresuid(id->uid, id->uid, id->uid) < 0)
        return errno;
    return 0;
}
