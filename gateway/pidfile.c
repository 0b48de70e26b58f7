#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

/* The gateway that just ended removed the file between our open and our lock: then the lock is
 * on a file that nobody else will find. */
static bool still_there(const char *path, int fd)
{
    struct stat by_name, by_fd;

    return stat(path, &by_name) == 0 && fstat(fd, &by_fd) == 0 &&
           by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
}

static int write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) < 0)
        return -1;
    return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -1;
}

static int lock_it(int fd, pid_t *ret_holder)
{
    struct flock lock = whole_file();

    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return -1;
    lock = whole_file();
    *ret_holder = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
    errno = EWOULDBLOCK;
    return -1;
}

/* One try: the descriptor; -1; or -2 when the file was removed meanwhile. */
static int try_take(const char *path, pid_t *ret_holder)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    int rc = -1;

    if (fd < 0)
        return -1;
    if (lock_it(fd, ret_holder) == 0) {
        if (!still_there(path, fd))
            rc = -2;
        else if (write_pid(fd) == 0)
            return fd;
    }
    int err = errno;
    close(fd);
    errno = err;
    return rc;
}

int pidfile_take(const char *path, pid_t *ret_holder)
{
    int fd;

    do
        fd = try_take(path, ret_holder);
    while (fd == -2);
    return fd;
}

void pidfile_drop(const char *path, int fd)
{
    if (fd < 0)
        return;
    unlink(path);
    close(fd);
}

static pid_t lock_holder(int fd)
{
    struct flock lock = whole_file();

    if (fcntl(fd, F_GETLK, &lock) < 0)
        return -1;
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

pid_t pidfile_holder(const char *path, int *ret_pidfd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    pid_t pid = lock_holder(fd);
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    int err = errno;
    /* Looked at again with the pidfd in hand: it is the holder's and no later process's. */
    if (pidfd >= 0 && lock_holder(fd) != pid) {
        close(pidfd);
        pid = 0;
    } else if (pid > 0 && pidfd < 0) {
        pid = err == ESRCH ? 0 : -1;
    }
    close(fd);
    errno = err;
    if (pid > 0)
        *ret_pidfd = pidfd;
    return pid;
}
