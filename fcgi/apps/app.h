/*
 * fcgi/apps/app.h - what the FastCGI applications here share: threads that accept and answer.
 *
 * Shape    PROGRAM [--threads N] with a listening socket as descriptor 0
 * Threads  N threads (1 unless told) that call answer at the same time
 * Source   FastCGI 1.0, 2.2; libfcgi's threaded example
 */
#ifndef FCGI_APPS_APP_H
#define FCGI_APPS_APP_H

#include <stdint.h>
#include <fcgiapp.h>

/* Answer one request: write to req->out; the caller finishes it. */
typedef void (*app_answer)(FCGX_Request *req);

/* Never returns while the socket can be accepted from; the exit status. */
int app_run(int argc, char **argv, app_answer answer);

/* A request variable, or "" where it is missing. */
const char *app_param(const FCGX_Request *req, const char *name);

/* The number of KEY=NUMBER in QUERY_STRING, or fallback. */
int64_t app_query_number(const FCGX_Request *req, const char *key, int64_t fallback);

#endif
