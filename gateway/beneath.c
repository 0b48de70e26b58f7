#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beneath_owner.h"

/* A rename somewhere in the path while it is being resolved makes the kernel give up with
 * EAGAIN (openat2(2)); whoever renames without pause gets a refusal. */
enum { BENEATH_TRIES = 16 };

static int open_at(int root_fd, const char *rel, int flags, uint64_t resolve)
{
    struct open_how how = {.flags = (unsigned)flags,
                           .resolve = RESOLVE_NO_MAGICLINKS | resolve};

    for (int i = 0; i < BENEATH_TRIES; i++) {
        long fd = syscall(SYS_openat2, root_fd, rel, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return (int)fd;
    }
    errno = EPERM;
    return -1;
}

static int open_by_policy(int root_fd, const char *rel, int flags, enum conf_links links)
{
    int fd;

    /* O_PATH opens nothing, so the flags that keep an open from waiting are not taken with it.
     */
    if (!(flags & O_PATH))
        flags |= O_NONBLOCK | O_NOCTTY;
    flags |= O_CLOEXEC;
    switch (links) {
    case CONF_LINKS_FOLLOW:
        return open_at(root_fd, rel, flags, 0);
    case CONF_LINKS_OWNER:
        fd = open_at(root_fd, rel, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (fd >= 0 || errno != ELOOP)
            return fd;
        return beneath_owner_open(root_fd, rel, flags);
    case CONF_LINKS_NEVER:
        return open_at(root_fd, rel, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    case CONF_LINKS_INSIDE:
        break;
    }
    return open_at(root_fd, rel, flags, RESOLVE_BENEATH);
}

static int errno_of_caller(int err)
{
    switch (err) {
    case ENOTDIR:
    case ENAMETOOLONG:
        return ENOENT;
    case EXDEV: /* RESOLVE_BENEATH: leads outside */
    case ELOOP: /* a link that the policy forbids, RESOLVE_NO_MAGICLINKS, or a circle of them */
        return EPERM;
    default:
        return err;
    }
}

int beneath_open(const char *root, struct slice rel, int flags, enum conf_links links)
{
    char name[PATH_MAX];

    while (rel.n && rel.p[0] == '/')
        rel = slice_from(rel, 1);
    if (rel.n >= sizeof(name) || (rel.n && memchr(rel.p, '\0', rel.n))) {
        errno = ENOENT;
        return -1;
    }
    if (rel.n)
        memcpy(name, rel.p, rel.n);
    else
        name[rel.n++] = '.';
    name[rel.n] = '\0'; /* double slashes inside are one to the kernel */

    /* By name each time: a deploy may have put another folder there. */
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = -1, err;
    if (root_fd >= 0)
        fd = open_by_policy(root_fd, name, flags, links);
    err = fd < 0 ? errno_of_caller(errno) : 0;
    if (root_fd >= 0)
        close(root_fd);
    errno = err;
    return fd;
}
