#include "load.h"

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What a configuration asks of the machine.  A folder that we may not search hides what is in
 * it: that is no error here, since the processes of a pool may be users who can.
 */
enum file_kind { FILE_PLAIN, FILE_PROGRAM, FILE_FOLDER };

/* What is wrong with path, or NULL. */
static const char *file_error(const char *path, enum file_kind kind)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == EACCES ? NULL : strerror(errno);
    if (kind == FILE_FOLDER)
        return S_ISDIR(st.st_mode) ? NULL : "not a folder";
    if (!S_ISREG(st.st_mode))
        return "not a file";
    if (kind == FILE_PROGRAM && !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return "not executable";
    return NULL;
}

/* Check the file that a key of s names, if it names one. */
static void check_file(struct load *l, const struct section *s, const char *key,
                       const char *path, enum file_kind kind)
{
    const char *error = path ? file_error(path, kind) : NULL;

    if (error)
        complain(&l->bad, section_place(s, key), "%s = %.*s: %s", key, ECHO(slice_str(path)),
                 error);
}

/* A name, or the number of a user who has one. */
static const struct passwd *find_user(const char *user)
{
    const struct passwd *pw = getpwnam(user);
    int64_t uid = pw ? -1 : slice_decimal(slice_str(user), UINT32_MAX - 1);

    return uid < 0 ? pw : getpwuid((uid_t)uid);
}

static void check_peer_user(struct load *l, const struct section *s, const char *user)
{
    if (user && !find_user(user))
        complain(&l->bad, section_place(s, "peer_user"), "peer_user = %s: no such user", user);
}

/* Only root can become somebody else. */
static void check_user(struct load *l, const struct section *s, const char *user)
{
    struct place place = section_place(s, "user");

    if (!user)
        return;
    const struct passwd *pw = find_user(user);
    if (!pw)
        complain(&l->bad, place, "user = %s: no such user", user);
    else if (geteuid() != 0 && pw->pw_uid != geteuid())
        complain(&l->bad, place, "user = %s: only root can start processes of another user",
                 user);
}

static void check_auth(struct load *l, const struct section *s, const struct conf_auth *auth)
{
    if (section_has(s, "auth_file"))
        check_file(l, s, "auth_file", auth->file, FILE_PLAIN);
    if (section_has(s, "auth_group_file"))
        check_file(l, s, "auth_group_file", auth->group_file, FILE_PLAIN);
}

static void check_route(struct load *l, const struct section *s)
{
    const struct conf_route *route = s->item;
    bool cgi = route->pool >= 0 && l->conf->pools[route->pool].cgi;

    check_auth(l, s, &route->auth);
    for (unsigned i = 0; i < route->n_sendfile_root; i++)
        check_file(l, s, "sendfile_root", route->sendfile_root[i].p, FILE_FOLDER);
    /* With script_check = off the files may be those of another machine. */
    if (route->pool >= 0 && route->script_check == CONF_OFF)
        return;
    check_file(l, s, "root", route->root, FILE_FOLDER);
    check_file(l, s, "script", route->script, cgi ? FILE_PROGRAM : FILE_PLAIN);
}

static void check_section(struct load *l, const struct section *s)
{
    switch (s->kind) {
    case SCHEMA_GATEWAY:
        check_user(l, s, l->conf->gateway.user);
        break;
    case SCHEMA_SITE: {
        const struct conf_site *site = s->item;
        check_file(l, s, "root", site->root, FILE_FOLDER);
        check_auth(l, s, &site->auth);
        break;
    }
    case SCHEMA_ROUTE:
        check_route(l, s);
        break;
    case SCHEMA_POOL: {
        const struct conf_pool *pool = s->item;
        check_user(l, s, pool->user);
        check_peer_user(l, s, pool->peer_user);
        check_file(l, s, "spawn", pool->spawn ? pool->spawn[0] : NULL, FILE_PROGRAM);
        check_file(l, s, "directory", pool->directory, FILE_FOLDER);
        break;
    }
    case SCHEMA_LISTEN:
    case SCHEMA_SECTIONS:
        break;
    }
}

void conf_check_machine(struct load *l)
{
    for (size_t i = 0; i < l->n_sections; i++) {
        if (!l->sections[i].broken)
            check_section(l, &l->sections[i]);
    }
}
