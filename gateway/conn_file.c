#include "conn_file.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counters.h"
#include "err.h"

/* cachestat(2), Linux 6.5: newer than the headers of the systems this is built on. */
enum { CACHESTAT = 451, PAGE = 4096, READ_AHEAD = 128 * 1024, WARM_MS = 100 };
struct cache_range {
    uint64_t at, n;
};
struct cache_pages {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static bool byte_is_there(const struct file_piece *p, size_t at)
{
    char byte;

    return open_file_read_warm(p->file, &byte, 1, p->at + (int64_t)at) == 1;
}

/* Kernels that cannot tell are asked for a byte of each block that read-ahead reads at once, unless
 * told otherwise.  For a MiB, whose sending takes 200 us: a byte of each page would cost 450, to
 * read it all with RWF_NOWAIT 130, this 50.  mincore(2) tells only who may write the file. */
static bool blocks_are_there(const struct file_piece *p)
{
    for (size_t at = 0; at < p->n; at += READ_AHEAD) {
        if (!byte_is_there(p, at))
            return false;
    }
    return true;
}

static bool is_warm(const struct file_piece *p)
{
    struct cache_range range = {(uint64_t)p->at, p->n};
    struct cache_pages pages;
    uint64_t first = range.at / PAGE, last = (range.at + range.n - 1) / PAGE;

    if (syscall(CACHESTAT, p->file->fd, &range, &pages, 0) < 0) {
        if (!blocks_are_there(p))
            return false;
    } else if (pages.cached < last - first + 1) {
        return false;
    }
    return byte_is_there(p, p->n - 1); /* pages that are being read count as cached, too */
}

/* The bit of open_file.warm for the whole piece of the file that p is of; 0: that far in it none
 * is remembered. */
static uint64_t warm_bit(const struct file_piece *p)
{
    int64_t i = p->at / FILE_PIECE;

    return i < 64 ? 1ull << i : 0;
}

static bool is_whole(const struct file_piece *p)
{
    return p->at % FILE_PIECE == 0 &&
           (p->n >= FILE_PIECE || p->at + (int64_t)p->n >= (int64_t)p->file->st.st_size);
}

/* A file that many ask for is asked about ten times a second: to ask each time is a 30th of what it
 * takes to send it. */
bool file_piece_is_warm(const struct file_piece *p, uint64_t now_ms)
{
    struct open_file *f = p->file;
    uint64_t bit = warm_bit(p);

    if (now_ms - f->warm_since_ms >= WARM_MS) {
        f->warm_since_ms = now_ms;
        f->warm = 0;
    }
    if (f->warm & bit)
        return true;
    if (!is_warm(p))
        return false;
    if (is_whole(p))
        f->warm |= bit;
    return true;
}

void file_piece_warm(const struct file_piece *p)
{
    char some[32 * 1024];
    size_t done = 0;
    ssize_t n;

    counter_add(COUNTER_COLD_READS);
    do {
        size_t want = p->n - done < sizeof(some) ? p->n - done : sizeof(some);
        n = pread(p->file->fd, some, want, (off_t)(p->at + (int64_t)done));
        done += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && done < p->n) || (n < 0 && errno == EINTR));
}

/* sendfile() for file systems that have none (EINVAL: FUSE ones, some of /proc and /sys): what the
 * socket did not take is read once more. */
static ssize_t send_read(int socket_fd, int file_fd, off_t *at, size_t left)
{
    char some[32 * 1024];
    ssize_t n = pread(file_fd, some, left < sizeof(some) ? left : sizeof(some), *at);

    if (n < 0 && errno != EINTR)
        errno = EIO; /* whatever it says, it is the file that failed */
    if (n > 0)
        n = send(socket_fd, some, (size_t)n, MSG_NOSIGNAL);
    if (n > 0)
        *at += n;
    return n;
}

static ssize_t send_some(int socket_fd, int file_fd, off_t *at, size_t left)
{
    ssize_t n = sendfile(socket_fd, file_fd, at, left);

    if (n < 0 && (errno == EINVAL || errno == ENOSYS))
        n = send_read(socket_fd, file_fd, at, left);
    return n;
}

enum piece_sent file_piece_send(int socket_fd, const struct file_piece *p, size_t *ret_n,
                                int *ret_err)
{
    off_t at = (off_t)p->at;
    size_t left = p->n;
    enum piece_sent sent = PIECE_SENT;

    while (left && sent == PIECE_SENT) {
        ssize_t n = send_some(socket_fd, p->file->fd, &at, left);
        if (n > 0) {
            left -= (size_t)n;
        } else if (n == 0) { /* the file ends here by now */
            *ret_err = GW_EFILE_SHORT;
            sent = PIECE_FILE;
        } else if (errno == EAGAIN) {
            sent = PIECE_BLOCKED;
        } else if (errno == EIO || errno == EOVERFLOW) {
            *ret_err = GW_EFILE;
            sent = PIECE_FILE;
        } else if (errno != EINTR) {
            sent = PIECE_BROKEN;
        }
    }
    *ret_n = p->n - left;
    return sent;
}
