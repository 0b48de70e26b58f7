/*
 * gateway/files_cond.h - conditional requests: what the fields of a GET or HEAD ask for, given what
 * the file is.  Pure.
 *
 * Units    bytes; seconds since 1970
 * Threads  any
 * Source   RFC 9110 13 and 14
 */
#ifndef GATEWAY_FILES_COND_H
#define GATEWAY_FILES_COND_H

#include "ranges.h"

/* What identifies the selected representation (RFC 9110 8.8). */
struct validators {
    struct slice etag; /* strong, with its quotes */
    int64_t mtime;     /* as Last-Modified says */
    int64_t now;
};

enum cond {
    COND_SEND,
    COND_NOT_MODIFIED, /* 304 */
    COND_FAILED,       /* 412 */
};

/* The preconditions in the order of 13.2.2, If-Range apart. */
enum cond cond_check(const struct field *fields, size_t n, const struct validators *v);

/* Range, as If-Range allows it (13.1.5), of a GET for a file of size bytes. */
enum range_kind range_check(const struct field *fields, size_t n, const struct validators *v,
                            int64_t size, struct ranges *ret_ranges);

#endif
