/*
 * gateway/http2_check.h - rules of RFC 9113 that the library leaves to its user.
 *
 * libnghttp2 1.52 forgets a stream when it is closed and ignores what comes for it.  That is
 * right where the client cannot know yet that we reset the stream, and wrong where it ended the
 * stream itself or never opened it (5.1, 5.1.1, 6.1).  So it is remembered which streams we
 * reset, and frames are looked at in front of the library, as each comes to its turn.
 *
 * Threads  under conn->mu
 * Source   RFC 9113 4.2, 5.1, 5.1.1, 6.1, 6.3, 6.9.2
 */
#ifndef GATEWAY_HTTP2_CHECK_H
#define GATEWAY_HTTP2_CHECK_H

#include "http2_budget.h"

enum { H2_RESETS_KEPT = 16 };

struct h2_check {
    struct h2_scan scan;
    uint32_t newest, before;        /* streams the client opened last, and last but one */
    uint32_t reset[H2_RESETS_KEPT]; /* a ring of streams that we reset while they were open, */
    unsigned n_reset;               /*     so many since the connection began */
    uint32_t forgotten;             /* the largest that fell out: up to it all may be late */
    int64_t old_window;             /* SETTINGS_INITIAL_WINDOW_SIZE in front of a SETTINGS */
    int64_t widest;                 /*     frame, and the largest window of a stream then */
};

/* A connection error that was found here; why NULL: none. */
struct h2_broken {
    const char *why;
    uint32_t code;
};

struct http2;
struct slice;

/* nghttp2_session_mem_recv with the checks: its result, and 0 where h->broken was set. */
ssize_t h2_check_recv_locked(struct http2 *h, struct slice in);

/* The stream was, or will be, reset by us; what still comes for it was under way. */
void h2_check_reset_locked(struct http2 *h, uint32_t id);

/* The library has taken SETTINGS. */
void h2_check_settings_locked(struct http2 *h);

#endif
