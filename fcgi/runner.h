/*
 * fcgi/runner.h - h2cgi-run: a FastCGI application that runs CGI programs, one at a time.
 *
 * Shape    runner.c         main: options, descriptors, signals
 *          runner_serve     waits for connections and requests
 *          runner_conn      one connection: records in, events out; the output queue
 *          runner_script    one request under way: the poll loop between socket and script
 *          runner_start     from its head to a running script, or the answer why there is none
 *          runner_spawn     clone and execve
 *          runner_env       environment, arguments and path of the script
 *          runner_body      stdin: from the socket into the pipe
 *          runner_nph       output that begins with an HTTP status line
 *          runner_kin       its descendants: finds them, ends them
 * Threads  one
 * Memory   struct runner lives as long as the process; buffers are kept over requests
 *
 * The records are read and written by our own codec with the constants of libfcgi's fastcgi.h.
 * libfcgi itself would do nothing but read the head of a request: its streams cannot be polled,
 * hide an ABORT that came with the end of STDIN, parse what is left of a body as a new request
 * on a kept connection, wait 2 s at a close and serve one connection until that is closed. Each
 * of these is a workaround with the library and nothing at all without it.
 */
#ifndef FCGI_RUNNER_H
#define FCGI_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "runner_conn.h"
#include "runner_kin.h"
#include "script_usage.h"

/* When the runner itself is to end, its parent may not wait as long as grace. */
enum { RUNNER_STOP_MS = 1500 };

struct runner {
    int64_t timeout_ms;   /* of one request, from its head on; 0: none */
    int64_t grace_ms;     /* between TERM and KILL */
    bool body_first;      /* hold an answer back until the body is there, see runner_script.c */
    char *const *environ; /* what every script inherits */
    int listen_fd;
    struct script_usage *usage; /* what scripts used goes there; NULL: nobody asks */
    int signal_fd;              /* CHLD, TERM, INT, HUP, USR1; all are blocked */
    int stderr_fd;              /* read end of the one pipe that is every script's stderr */
    int stderr_to;              /* its write end */
    bool stop;                  /* TERM, INT, HUP: end everything now */
    bool finish;                /* USR1: the request under way is the last one */
    struct runner_kin kin;      /* what scripts left behind, and the one running */
    struct runner_input input;  /* shared by the connections, see runner_conn.h */
};

/* Milliseconds of the monotonic clock. */
int64_t runner_now(void);

/* Read what came on signal_fd, set stop and finish.  The child that the (last) SIGCHLD among it
 * was for, 0 if there was none. */
pid_t runner_signals(struct runner *r);

/* Bytes that scripts wrote to stderr while no request is there to carry them: they go to our
 * own. */
void runner_stray_stderr(struct runner *r);

#endif
