/*
 * gateway/files_cond.h - conditional requests and ranges: what the fields of a GET or HEAD ask
 * for, given what the file is.  Pure.
 *
 * Units    bytes; seconds since 1970
 * Threads  any
 * Source   RFC 9110 13 and 14
 */
#ifndef GATEWAY_FILES_COND_H
#define GATEWAY_FILES_COND_H

#include "slice.h"

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

enum range_kind {
    RANGE_WHOLE,         /* no range, or one to be ignored: 200 */
    RANGE_PART,          /* 206 */
    RANGE_UNSATISFIABLE, /* 416 */
};
struct range {
    int64_t first, n; /* n >= 1 for RANGE_PART */
};

/* Range, as If-Range allows it, of a GET for a file of size bytes.  Several ranges are answered
 * with the whole (14.2: a server may ignore Range). */
enum range_kind range_check(const struct field *fields, size_t n, const struct validators *v,
                            int64_t size, struct range *ret_range);

/* The value of a Range field alone. */
enum range_kind range_parse(struct slice value, int64_t size, struct range *ret_range);

#endif
