#include "beneath_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MOST = 40 }; /* as the kernel, path_resolution(7) */

/* flags: of what the walk ends at; O_PATH for all on the way. */
static int walk(int from_fd, const char *path, int flags, unsigned *n_links, bool in_link);

/* close() without a word on errno. */
static void drop(int fd)
{
    int err = errno;

    if (fd >= 0)
        close(fd);
    errno = err;
}

/* What the link behind link_fd, which is in dir_fd, leads to. */
static int follow(int dir_fd, int link_fd, uid_t owner, int flags, unsigned *n_links)
{
    struct stat st;

    if (++*n_links > LINKS_MOST) {
        errno = ELOOP;
        return -1;
    }
    char *text = malloc(PATH_MAX);
    ssize_t n = text ? readlinkat(link_fd, "", text, PATH_MAX - 1) : -1;
    int fd = -1;
    if (n >= 0) {
        text[n] = '\0';
        fd = walk(dir_fd, text, flags, n_links, true);
    }
    free(text);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == owner)
        return fd;
    if (fd >= 0)
        errno = ELOOP;
    drop(fd);
    return -1;
}

/* name in dir_fd, a link or not. */
static int step(int dir_fd, const char *name, int flags, unsigned *n_links)
{
    int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), next;
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0) {
        drop(fd);
        return -1;
    }
    if (S_ISLNK(st.st_mode)) {
        next = follow(dir_fd, fd, st.st_uid, flags, n_links);
    } else if ((flags & O_DIRECTORY) && !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        next = -1;
    } else if (flags & O_PATH) {
        return fd;
    } else { /* should it be a link by now, ELOOP */
        next = openat(dir_fd, name, flags | O_NOFOLLOW);
    }
    drop(fd);
    return next;
}

/* Cut the next component off *path; false at the end.  name has NAME_MAX + 1 bytes; one that is
 * longer is cut by one byte too few to exist. */
static bool component(const char **path, char *name)
{
    const char *p = *path + strspn(*path, "/");
    size_t n = strcspn(p, "/");
    size_t kept = n > NAME_MAX ? NAME_MAX + 1 : n;

    memcpy(name, p, kept);
    name[kept] = '\0';
    *path = p + n;
    return n > 0;
}

static bool is_last(const char *path)
{
    return path[strspn(path, "/")] == '\0';
}

static int walk(int from_fd, const char *path, int flags, unsigned *n_links, bool in_link)
{
    const int folder = O_PATH | O_DIRECTORY | O_CLOEXEC;
    char name[NAME_MAX + 2];
    int dir_fd = path[0] == '/' && in_link ? open("/", folder) : openat(from_fd, ".", folder),
        fd;

    if (dir_fd >= 0 && is_last(path)) { /* the folder itself */
        fd = openat(dir_fd, ".", flags);
        drop(dir_fd);
        return fd;
    }
    while (dir_fd >= 0 && component(&path, name)) {
        bool last = is_last(path);
        int how = last ? flags | (*path ? O_DIRECTORY : 0) : folder;
        if (!in_link && strcmp(name, "..") == 0) {
            errno = ELOOP;
            fd = -1;
        } else {
            fd = step(dir_fd, name, how, n_links);
        }
        drop(dir_fd);
        if (last)
            return fd;
        dir_fd = fd;
    }
    return -1;
}

int beneath_owner_open(int root_fd, const char *path, int flags)
{
    unsigned n_links = 0;

    return walk(root_fd, path, flags, &n_links, false);
}
