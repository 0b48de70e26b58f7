/*
 * gateway/conn_file.h - bytes that go from a file to a connection's socket without being read
 * here: sendfile(2).
 *
 * sendfile waits for the disk, so who must not wait asks first whether all of it is in the page
 * cache (THREADS.md, rule 5).  In between it may be thrown out, which takes a machine that is
 * short of memory and the bad luck of a tenth of a second.
 *
 * Threads  the lease holder; without the connection's lock
 */
#ifndef GATEWAY_CONN_FILE_H
#define GATEWAY_CONN_FILE_H

#include "open_file.h"

/* The most that is sent at once: others wait meanwhile.  Pieces end at its multiples. */
enum { FILE_PIECE = 2 * 1024 * 1024 };

/* What has to be sent next. */
struct file_piece {
    struct open_file *file; /* with a reference; NULL: it is not a file's bytes */
    int64_t at;
    size_t n;
};

enum piece_sent {
    PIECE_SENT,    /* all of it */
    PIECE_BLOCKED, /* the socket takes no more */
    PIECE_BROKEN,  /* the socket failed */
    PIECE_FILE,    /* the file did: GW_EFILE, GW_EFILE_SHORT in *ret_err */
};

/* Can it be sent without waiting for the disk?  Where cachestat(2) does not tell, before Linux 6.5,
 * and since early 2025 who neither owns the file nor may write it, as far as one can find out: a
 * byte of each 128 KiB is asked for, and a smaller hole is waited for.  What was there within the
 * last 100 ms is taken to be there still.  Worker only; now_ms is the loop's. */
bool file_piece_is_warm(const struct file_piece *p, uint64_t now_ms);

/* Read it, so that it is; blocks. */
void file_piece_warm(const struct file_piece *p);

/* Send it; where its file system knows no sendfile, by reading it here.  *ret_n bytes were taken. */
enum piece_sent file_piece_send(int socket_fd, const struct file_piece *p, size_t *ret_n,
                                int *ret_err);

#endif
