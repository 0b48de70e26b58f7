/*
 * gateway/listen.h - the sockets that clients come in by.
 *
 * host:port     each address the name stands for
 * *:port        all of IPv4 and, where the machine has it, all of IPv6
 * [v6]:port     IPv6 only
 * unix:/path    mode 0666: a front in the same machine runs as whatever user; restrict the
 *               folder to restrict who may connect
 *
 * Threads  a process of one thread
 */
#ifndef GATEWAY_LISTEN_H
#define GATEWAY_LISTEN_H

#include <stdio.h>

#include "gateway.h"

struct listeners {
    struct gateway_listener *all;
    unsigned n, cap;
};

/* Open every address of every [listen]; 0, or -1 with one line on errors_to that names section
 * and address, and nothing left open.  The addresses are those really bound (port 0 is given
 * one by the system). */
int listeners_open(const struct conf *conf, struct listeners *ret_l, FILE *errors_to);

/* Close them; with_files also removes the socket files (only the master does). */
void listeners_close(struct listeners *l, bool with_files);

/* "http://127.0.0.1:8080", "unix:/path (https)". */
void listener_url(const struct gateway_listener *l, char *out, size_t cap);

#endif
