/*
 * fcgi/runner_start.h - from a complete head to a running script, or to the answer that says
 * why there is none.
 *
 * Threads  one
 */
#ifndef FCGI_RUNNER_START_H
#define FCGI_RUNNER_START_H

#include "runner.h"

struct runner_started {
    pid_t pid;               /* above 1 */
    int stdin_fd, stdout_fd; /* our ends; stdin_fd is O_NONBLOCK, -1 if there is no body */
};

/* Start the script of c's request with mark in its environment.  0, or a negative errno with
 * nothing left behind. */
int runner_start(struct runner *r, struct runner_conn *c, const char *mark,
                 struct runner_started *ret);

/* Queue the answer to a failed start and a line for the log; the exit status a shell would
 * give. */
int runner_start_failed(struct runner_conn *c, int err);

/* Queue a document that says status ("404 Not Found") and nothing else. */
void runner_put_status(struct runner_conn *c, const char *status);

/* Queue a line of ours for the log, among the script's stderr. */
void runner_say(struct runner_conn *c, const char *what);

#endif
