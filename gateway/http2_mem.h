/*
 * gateway/http2_mem.h - where a session's fixed parts lie, so that an idle one is small.
 *
 * A fresh session of nghttp2 1.52 is 25 KB in five blocks: 16 KiB for the frame being sent, of
 * which an ordinary response's head fills some hundred bytes; a hash table of 4 KiB for the
 * streams; two rings of 1 KiB for the fields of header compression, written from the end.  On
 * the heap they come to lie where something large was before, the buffers of a TLS handshake
 * for one, so that all of it is resident: 33 KiB a connection with TLS were measured.  Here they
 * get fresh pages and lie so that an idle session is one page:
 *
 *     0       3168   4096      4192      7120   8144  8192                 24576    28672
 *     |       [ring ......]    [session] [ring] [frame being sent ......]  [streams]
 *     |              |<------------ one page -------->|                    |
 *
 * SETTINGS and their like fit the first bytes of the frame.  Responses touch more of it and the
 * table; both are given back when the connection has been idle for a while (h2_mem_cool).  A
 * client with many fields to remember costs a page more.
 *
 * Another version of the library, whose blocks have other sizes, gets them from malloc like
 * everything else and works as well.
 *
 * Result   h2_mem_open: 0 or GW_ENO_MEMORY
 * Threads  open, close and cool: worker, without a lock (each is a system call).  The functions
 *          for the library: the lease holder, under the connection's lock
 */
#ifndef GATEWAY_HTTP2_MEM_H
#define GATEWAY_HTTP2_MEM_H

#include <nghttp2/nghttp2.h>

struct h2_mem {
    uint8_t *base;
    unsigned taken; /* bit i: slot i of http2_mem.c is in use */
};

int h2_mem_open(struct h2_mem *m);
void h2_mem_close(struct h2_mem *m); /* after nghttp2_session_del */

/* Give back what only streams need.  No frame may be under way and nobody else may be in the
 * session meanwhile. */
void h2_mem_cool(struct h2_mem *m);

/* For nghttp2_session_server_new3; m must stay where it is. */
nghttp2_mem h2_mem_functions(struct h2_mem *m);

#endif
