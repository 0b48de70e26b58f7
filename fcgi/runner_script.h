/*
 * fcgi/runner_script.h - one request from its head to its END_REQUEST.
 *
 * Threads  one
 */
#ifndef FCGI_RUNNER_SCRIPT_H
#define FCGI_RUNNER_SCRIPT_H

#include "runner.h"

/*
 * Run the script that c's request (its head just completed) names and carry what flows between
 * the two until the answer is complete and sent.  Afterwards c is ready for the next request,
 * or its descriptor is closed and -1: the peer hung up, or the runner has to stop.
 */
void runner_script_run(struct runner *r, struct runner_conn *c);

#endif
