/*
 * gateway/log.h - the error log and the access log.
 *
 * Error line   2026-11-23T14:05:06.123Z LEVEL pid: text
 *              before the text, fields like client=192.0.2.1 site=example pool=php
 * Access line  combined, its request line with the protocol, then the time taken in seconds:
 *              192.0.2.1 - alice [23/Nov/2026:14:05:06 +0000] "GET /a?b HTTP/2" 200 512 "-"
 *              "curl/7.88.1" 0.001234
 *              then, if a pool took part, its name and how long the request waited for its turn;
 *              if it ran a script, how that ended (exit status or signal), CPU time of user and
 *              system and peak memory, its children included:
 *              ... 0.001234 pool=scripts wait=0ms exit=0 cpu=12ms mem=3456K
 *              Of a request that has an id (its error page shows it, the error log has it) that
 *              follows the pool: ... 0.001234 pool=php wait=0ms id=0123456789abcdef
 *              A script that outlives its request (the client left, its time was over) is waited
 *              for, so that line comes later than others of its time
 *              status 499: the client left before there was one
 * Escaping     no client and no application writes a line of its own: in the access log all but
 *              printable ASCII, and '"' and '\', is \xHH; in the error log control bytes and
 *              what is not UTF-8.  An error line has at most 4096 bytes and ends in " [cut]" if
 *              it had more
 * Errors       a log that cannot be written loses lines; the server goes on
 * Threads      log_open: init; log_line and log_access: any
 */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

#include "access_report.h"
#include "stream.h"

/* Open (append, 0640, create) both logs; master, before privileges go.  0, or -1 with a line on
 * stderr. */
int log_open(const struct conf_gateway *g);
/* Reopen by name (SIGUSR1): master. */
int log_reopen(const struct conf_gateway *g);
/* Descriptors in use (for handing to children), -1 if off. */
int log_error_fd(void);
int log_access_fd(void);
/* Use these descriptors from now on (dup'ed over the old ones; any thread may be logging). */
void log_use_fds(int error_fd, int access_fd);

/* One line; level is enum conf_level; below error_level it is dropped.  One write() each. */
void log_line(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line that another program wrote: pool, pid, escaped text. */
void log_app_line(int level, const char *pool, const char *site, long pid, struct slice text);

/* Append text to buf with control bytes, '"' and '\' escaped. */
int log_escape(struct buf *out, struct slice text);

/* Access lines collect in a worker's batch and are written when 32 KiB are full or
 * log_batch_flush is called. */
struct log_batch {
    struct buf lines;
    void (*wake)(struct log_batch *b); /* a line came while nobody logged; may be NULL */
};
void log_access(struct log_batch *b, const struct stream *s);
void log_batch_flush(struct log_batch *b);

#endif
