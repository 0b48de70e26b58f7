/*
 * gateway/access_report.h - between a request and the script that runs for it: whichever ends
 * first waits here for the other, so that one line of the access log tells of both.
 *
 * Life     access_report_new() is held twice: by the stream, which drops it when its line was
 *          logged, and by the request to the pool, whose end is access_report_end()
 * Threads  the worker of both
 */
#ifndef GATEWAY_ACCESS_REPORT_H
#define GATEWAY_ACCESS_REPORT_H

#include "../fcgi/script_usage.h"
#include "buf.h"

struct log_batch;

struct access_report {
    unsigned n_refs;
    bool over;  /* the script is */
    bool known; /* use is true */
    struct script_use use;

    /* log_access.c's: the stream is over, and line waits for the rest */
    struct buf line;
    struct log_batch *batch;
    void (*finish)(struct access_report *r); /* NULL: no line waits */
};

/* NULL: memory is out. */
struct access_report *access_report_new(void);
void access_report_drop(struct access_report *r);

/* The script is over (use NULL: how is not known), and its side drops r.  A fcgi_report_fn. */
void access_report_end(void *r, const struct script_use *use);

#endif
