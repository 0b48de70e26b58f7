/*
 * gateway/file_read.h - the bytes of a file in order, a chunk at a time, without a slow disk
 * holding anybody up: what is in the page cache is read in place, what is not by a job on a
 * writer thread (THREADS.md, rule 5).
 *
 * Units    bytes
 * Threads  the loop it was made on; jobs read on writer threads
 * Memory   at most one chunk is held.  Once freed, a job that still reads frees the rest
 */
#ifndef GATEWAY_FILE_READ_H
#define GATEWAY_FILE_READ_H

#include "buf.h"
#include "err.h"
#include "open_file.h"
#include "writer.h"

struct file_read;

/* What a job read is there, or failed: call file_read_next() again. */
typedef void file_read_fn(void *arg);

/* Bytes first .. first + n of f, the reference to which is taken over, also on failure (NULL:
 * memory is out). */
struct file_read *file_read_new(struct loop *loop, struct writers *writers, struct open_file *f,
                                int64_t first, int64_t n, file_read_fn *fn, void *arg);
void file_read_free(struct file_read *r); /* fn is not called any more */

/* Bytes that file_read_next() has not given yet. */
int64_t file_read_left(const struct file_read *r);
const struct open_file *file_read_of(const struct file_read *r);

/*
 * The next bytes, while some are left: a filled chunk that is the caller's.  NULL: with *ret_err
 * 0 a job reads them, and fn will be called; else it failed: GW_EFILE, GW_EFILE_SHORT (the file
 * ends before the bytes it was to have), GW_ENO_MEMORY.
 */
struct chunk *file_read_next(struct file_read *r, int *ret_err);

/* From the first byte again. */
void file_read_restart(struct file_read *r);

#endif
