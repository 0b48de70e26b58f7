/*
 * gateway/conn_send.h - between conn.c and writer.c: turning what a connection owes into bytes
 * on its socket.
 *
 * Threads  conn_send: the lease holder.  *_locked: c->mu held.  conn_watch_out: worker
 */
#ifndef GATEWAY_CONN_SEND_H
#define GATEWAY_CONN_SEND_H

#include "conn.h"

/* Bytes of plaintext.  With the TLS records' overhead they stay under the 64 KiB that the kernel
 * handles as one packet: a send of a little more is two, each of which wakes whoever reads, and over
 * the loopback cost a tenth of the CPU of a large body. */
enum { SEND_BATCH = 60 * 1024 };

/* A thread's room for one batch, so that connections need none while their sockets take
 * everything.  Zeroed it gets its memory when it is first used. */
struct send_scratch {
    uint8_t *plain;  /* SEND_BATCH, for TLS */
    struct buf wire; /* SEND_BATCH and the TLS records' overhead */
    bool may_wait;   /* for a disk */
};
int send_scratch_init(struct send_scratch *x); /* beforehand: 0 or GW_ENO_MEMORY */
void send_scratch_fini(struct send_scratch *x);

enum sent {
    SENT_ALL,     /* nothing more to send */
    SENT_BATCH,   /* a full batch was taken; more waits */
    SENT_BLOCKED, /* the socket takes no more */
    SENT_COLD,    /* next are bytes of c->cold, which are not in the page cache */
    SENT_BROKEN,  /* the socket or the protocol failed: c->broken is set */
};

/* Send what c has, up to SEND_BATCH bytes of plaintext, or FILE_PIECE of a file. */
enum sent conn_send(struct conn *c, struct send_scratch *x);

/* The protocol or TLS has something for conn_send. */
bool conn_pending_locked(struct conn *c);

/* Nothing waits: not in out, not in the protocol, and nobody holds the lease. */
bool conn_drained_locked(struct conn *c);

void conn_watch_out(struct conn *c, bool on);

#endif
