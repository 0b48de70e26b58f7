/*
 * gateway/acceptor.h - accepts connections, tells the protocol on plain ports by the preface,
 * and gives each to the least loaded worker.
 *
 * TLS connections go on at once.  On plain ports up to 24 bytes are read (never peeked: that
 * spins) into what the worker gets; never a byte of a request after that.  With proxy_protocol
 * the PROXY header is read first (proxyproto.h), on TLS ports too; bytes that came with it go
 * on to the worker, and the connection has the ends that the header says.  A connection that
 * does not get so far is dropped after head_timeout.
 *
 * Threads  its loop's: the main thread of the gateway process
 */
#ifndef GATEWAY_ACCEPTOR_H
#define GATEWAY_ACCEPTOR_H

#include "gateway.h"
#include "worker.h"

struct acceptor;

/* The workers share their clients (worker->clients). */
struct acceptor *acceptor_new(struct loop *l, const struct gateway_setup *setup,
                              struct worker *workers,
                              unsigned n_workers); /* NULL: out of memory */
void acceptor_free(struct acceptor *a);

/* Stop accepting, closing the listening descriptors; connections that were not given away
 * yet are closed. */
void acceptor_stop(struct acceptor *a);

#endif
