/*
 * gateway/writer.h - who sends a connection's output: the lease, and the pool of threads that
 * leases are given to.
 *
 * A connection's output has exactly one lease holder (conn.h, enum conn_lease).  At the end of
 * a turn the worker sends up to two batches itself (conn_send.h, SEND_BATCH).  What the socket does
 * not take is STALLED: the worker's epoll watches for EPOLLOUT and as much goes out with each.  So
 * does what is more than two batches, unless the worker is busy with others: then a writer thread
 * sends until the connection is drained, and parks; a socket not writable for 20 ms, or no free
 * writer, is STALLED again.  With `writer = always` the threads send all.
 *
 * The same threads run jobs: work that may block (cold file reads, spool writes, crypt) and
 * that hands its result to a worker as a message.
 *
 * Threads  as said at each function
 */
#ifndef GATEWAY_WRITER_H
#define GATEWAY_WRITER_H

#include "loop.h"

struct conn;
struct writers;

struct writers *writers_new(unsigned max); /* threads at most; NULL: out of memory */
void writers_free(struct writers *w); /* joins all threads; no lease is out, no job waits */

/* Worker, end of turn, at most once per connection and turn: send what c has, or see that
 * somebody does. */
void writer_submit(struct conn *c);

/* Worker: EPOLLOUT on a STALLED connection. */
void writer_unstall(struct conn *c);

/* A piece of work for some thread of the pool: run(job) there, then done(loop, job) on loop's
 * thread, as a message.  Embedded by its owner, who must keep it alive until done ran.  Jobs
 * wait in order when all threads are busy. */
struct job {
    struct job *next;
    void (*run)(struct job *job);
    struct loop *loop;
    void (*done)(struct loop *l, struct job *job);
    struct loop_msg msg;
};
void writers_job(struct writers *w, struct job *job); /* worker */

#endif
