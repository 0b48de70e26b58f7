/*
 * gateway/files_parts.h - several ranges of a file as one multipart/byteranges body.
 *
 * Threads  worker
 * Memory   in the stream's arena
 * Source   RFC 9110 14.6, 15.3.7.2
 */
#ifndef GATEWAY_FILES_PARTS_H
#define GATEWAY_FILES_PARTS_H

#include "multipart.h"
#include "open_file.h"
#include "stream.h"

struct files_parts;

/* For the ranges of a file of that type and size: before the head goes out.  NULL with a negative
 * gw_err in *ret_err. */
struct files_parts *files_parts_new(struct stream *s, const struct ranges *ranges,
                                    struct slice type, int64_t size, int *ret_err);

/* Content-Type and Content-Length of the answer. */
struct slice files_parts_type(const struct files_parts *p);
int64_t files_parts_length(const struct files_parts *p);

/* Hand over the body, of f, the reference to which is taken over, and finish s.  Its head went
 * out. */
void files_parts_send(struct stream *s, struct open_file *f, struct files_parts *p);

#endif
