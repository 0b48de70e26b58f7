/*
 * gateway/files_send.h - the bytes of a file as the rest of a stream's response body.
 *
 * Threads  worker
 */
#ifndef GATEWAY_FILES_SEND_H
#define GATEWAY_FILES_SEND_H

#include "file_cache.h"
#include "files_cond.h"
#include "open_file.h"
#include "stream.h"

/* All of a small part that is in the page cache; NULL if it is not, or not small: before the head
 * goes out, so that a file that is not what it was can still be told from its answer. */
struct chunk *files_read_small(struct file_cache *files, struct open_file *f,
                               struct range part);

/* Hand over part of f, the reference to which is taken over, and finish s.  Its head went out. */
void files_send(struct stream *s, struct open_file *f, struct range part);

#endif
