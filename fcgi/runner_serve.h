/*
 * fcgi/runner_serve.h - wait for connections and requests, run one script after the other.
 *
 * Several connections may be open at a time: an idle one that a web server keeps never holds up
 * the request on another.  While a script runs new connections stay in the listen queue, where
 * other runners on the same socket find them.
 *
 * Threads  one
 */
#ifndef FCGI_RUNNER_SERVE_H
#define FCGI_RUNNER_SERVE_H

#include "runner.h"

/* Until r->stop or r->finish.  0, or a negative errno: the listening socket is of no use. */
int runner_serve(struct runner *r);

#endif
