#include "unixsock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int make_address(const char *path, struct sockaddr_un *un)
{
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof un->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(un->sun_path, path, strlen(path) + 1);
    return 0;
}

/* With no moment in which the socket has a wider mode than asked for. */
static int bind_with_mode(int fd, const struct sockaddr_un *un, mode_t mode)
{
    mode_t old = umask(~mode & 0777);
    int rc = bind(fd, (const struct sockaddr *)un, sizeof *un);
    int err = errno;

    umask(old);
    errno = err;
    return rc;
}

/* A socket file whose owner has died refuses; one with a full backlog says EAGAIN. */
static int is_stale(const struct sockaddr_un *un)
{
    struct stat st;

    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return 0;
    int refused =
        connect(fd, (const struct sockaddr *)un, sizeof *un) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

void unixsock_remove_stale(const char *path)
{
    struct sockaddr_un un;

    if (make_address(path, &un) == 0 && is_stale(&un))
        unlink(path);
}

static int bind_or_replace(int fd, const struct sockaddr_un *un, mode_t mode)
{
    if (bind_with_mode(fd, un, mode) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    if (!is_stale(un)) {
        errno = EADDRINUSE;
        return -1;
    }
    if (unlink(un->sun_path) < 0)
        return -1;
    return bind_with_mode(fd, un, mode);
}

int unixsock_listen(const char *path, mode_t mode, uid_t uid, gid_t gid, int backlog)
{
    struct sockaddr_un un;

    if (make_address(path, &un) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind_or_replace(fd, &un, mode) < 0)
        goto close_fd;
    if (uid != (uid_t)-1 && lchown(path, uid, gid) < 0)
        goto unlink_path;
    if (listen(fd, backlog) < 0)
        goto unlink_path;
    return fd;
unlink_path:;
    int err = errno;
    unlink(path);
    errno = err;
close_fd:
    err = errno;
    close(fd);
    errno = err;
    return -1;
}
