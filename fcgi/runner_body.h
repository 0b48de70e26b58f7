/*
 * fcgi/runner_body.h - a request body on its way from the socket to the script's stdin.
 *
 * Body is read only when the pipe takes it, so nothing piles up.  Large records are spliced:
 * their content never enters the process.  A script that reads no more of its body is not in
 * error (EPIPE): the rest is dropped as it comes.
 *
 * Threads  one
 */
#ifndef FCGI_RUNNER_BODY_H
#define FCGI_RUNNER_BODY_H

#include "runner_conn.h"

struct runner_body {
    struct runner_conn *c; /* borrowed */
    int fd;                /* write end of the script's stdin, O_NONBLOCK; -1: closed */
    bool conn_ready;       /* the socket was readable and has not been read empty since */
    bool pipe_ready;       /* the pipe took all that came so far */
    bool more;             /* the last pump stopped with something left to do at once */
};

void runner_body_init(struct runner_body *b, struct runner_conn *c, int fd);
void runner_body_close(struct runner_body *b);

/* Move what can be moved, in a few steps so that output gets its turn.  RUNNER_MORE; or
 * RUNNER_ABORT; or RUNNER_BROKEN: the peer is gone or no FastCGI peer. */
enum runner_event runner_body_pump(struct runner_body *b);

/* What has to become ready for the next step. */
bool runner_body_wants_conn(const struct runner_body *b);
bool runner_body_wants_pipe(const struct runner_body *b);

#endif
