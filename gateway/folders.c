#include "folders.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folders above path, 0755 as mkdir -p makes them. */
static int make_parents(const char *path)
{
    char part[PATH_MAX];

    if (strlen(path) >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t n = (size_t)(slash - path);
        memcpy(part, path, n);
        part[n] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

/* 1 made, 0 was there, -1 with errno. */
static int make_folder(const char *path, mode_t mode)
{
    if (make_parents(path) < 0)
        return -1;
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? 1 : -1; /* whatever the umask */
    return errno == EEXIST ? 0 : -1;
}

static int complain(FILE *errors_to, const char *key, const char *path, const char *why)
{
    fprintf(errors_to, "h2cgi: %s %s: %s\n", key, path, why);
    return -1;
}

/* Why sockets in this folder would not be safe, or NULL. */
static const char *runtime_problem(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return strerror(errno);
    if (!S_ISDIR(st.st_mode))
        return "not a folder";
    if (st.st_uid != geteuid())
        return "belongs to another user, who could replace the sockets in it";
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return "others may write there and could replace the sockets in it";
    return NULL;
}

static bool in_group(const struct identity *user, gid_t gid)
{
    for (size_t i = 0; i < user->n_groups; i++) {
        if (user->groups[i] == gid)
            return true;
    }
    return user->gid == gid;
}

/* By the mode alone, since this process may be root and could write anywhere. */
static const char *spool_problem(const char *path, const struct identity *user)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return strerror(errno);
    if (!S_ISDIR(st.st_mode))
        return "not a folder";
    mode_t need = st.st_uid == user->uid      ? S_IWUSR | S_IXUSR
                  : in_group(user, st.st_gid) ? S_IWGRP | S_IXGRP
                                              : S_IWOTH | S_IXOTH;
    if (user->uid != 0 && (st.st_mode & need) != need)
        return "the gateway's user may not write there";
    return NULL;
}

static int make_runtime(const char *path, struct folders *f, FILE *errors_to)
{
    int made = make_folder(path, geteuid() == 0 ? 0711 : 0700);

    if (made < 0)
        return complain(errors_to, "runtime_dir", path, strerror(errno));
    f->made_runtime = made;
    const char *why = runtime_problem(path);
    return why ? complain(errors_to, "runtime_dir", path, why) : 0;
}

static int make_spool(const char *path, const struct identity *user, struct folders *f,
                      FILE *errors_to)
{
    int made = make_folder(path, 0700);

    if (made < 0)
        return complain(errors_to, "spool_dir", path, strerror(errno));
    f->made_spool = made;
    if (made && geteuid() == 0 && chown(path, user->uid, user->gid) < 0)
        return complain(errors_to, "spool_dir", path, strerror(errno));
    const char *why = spool_problem(path, user);
    return why ? complain(errors_to, "spool_dir", path, why) : 0;
}

int folders_make(const char *runtime_dir, const char *spool_dir, const struct identity *user,
                 struct folders *ret_f, FILE *errors_to)
{
    struct folders f = {0};

    if (make_runtime(runtime_dir, &f, errors_to) < 0 ||
        make_spool(spool_dir, user, &f, errors_to) < 0) {
        folders_remove(runtime_dir, spool_dir, &f);
        return -1;
    }
    *ret_f = f;
    return 0;
}

void folders_remove(const char *runtime_dir, const char *spool_dir, const struct folders *f)
{
    if (f->made_spool)
        rmdir(spool_dir);
    if (f->made_runtime)
        rmdir(runtime_dir);
}
