/*
 * gateway/serve.h - h2cgi serve DIR: a configuration without a file.
 *
 * DIR is served on http://127.0.0.1:8080 and https://127.0.0.1:8443, with a certificate made on
 * the spot; executables below DIR/cgi-bin/ run as CGI.  A folder without index.html is listed,
 * and the first page then says where one is.  Started by root it runs as DIR's owner,
 * or where that is root too as www-data or nobody.
 *
 * Threads  a process of one thread
 */
#ifndef GATEWAY_SERVE_H
#define GATEWAY_SERVE_H

#include "../conf/conf.h"

enum { SERVE_FAILED = -1, SERVE_USAGE = -2 };

struct serve {
    struct conf *conf;
    char place[64];           /* a folder of its own for certificate, sockets and spool files */
    char http[32], https[32]; /* addresses */
};

/* args: DIR and options, NULL-terminated.  0, or SERVE_FAILED, SERVE_USAGE with a line on
 * errors_to and nothing left. */
int serve_open(struct serve *s, char **args, FILE *errors_to);

/* Ends the configuration and removes the folder. */
void serve_close(struct serve *s);

#endif
