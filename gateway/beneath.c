#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename somewhere in the path while it is being resolved makes the kernel give up with
 * EAGAIN (openat2(2)); whoever renames without pause gets a refusal. */
enum { BENEATH_TRIES = 16 };

static int open_at(int root_fd, const char *rel, int flags, uint64_t resolve)
{
    struct open_how how = {.resolve = resolve};

    /* O_PATH opens nothing, so the flags that keep an open from waiting are not taken with it.
     */
    if (!(flags & O_PATH))
        flags |= O_NONBLOCK | O_NOCTTY;
    how.flags = (unsigned)(flags | O_CLOEXEC);
    for (int i = 0; i < BENEATH_TRIES; i++) {
        long fd = syscall(SYS_openat2, root_fd, rel, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return (int)fd;
    }
    errno = EPERM;
    return -1;
}

static int errno_of_caller(int err)
{
    switch (err) {
    case ENOTDIR:
    case ENAMETOOLONG:
        return ENOENT;
    case EXDEV: /* RESOLVE_BENEATH: leads outside */
    case ELOOP: /* RESOLVE_NO_MAGICLINKS, or links in a circle */
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
        fd =
            open_at(root_fd, name, flags,
                    RESOLVE_NO_MAGICLINKS | (links == CONF_LINKS_INSIDE ? RESOLVE_BENEATH : 0));
    err = fd < 0 ? errno_of_caller(errno) : 0;
    if (root_fd >= 0)
        close(root_fd);
    errno = err;
    return fd;
}
