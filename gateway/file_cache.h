/*
 * gateway/file_cache.h - files that are kept open, so that a request for one that was asked for
 * lately needs no path to be walked and, while it is small, no byte to be read.
 *
 * Each worker has its own: no lock, and no worker waits for another.
 *
 * What an entry says is true as of
 *     the file itself         the turn of the loop that asks: its state is looked at once in each
 *                             turn (fstat), so what was written, replaced by rename or removed is
 *                             noticed with the next request
 *     the path to it          at most open_files_valid ago: folders and links on the way, and who
 *                             may follow them; then it is walked again, as beneath.h does
 *     that there is nothing   the turn that asks
 *
 * Units    bytes, milliseconds
 * Threads  worker: the owner of the loop
 * Memory   bounded by the limits; what is over goes with the entry that was used longest ago.
 *          Answers under way hold references of their own
 */
#ifndef GATEWAY_FILE_CACHE_H
#define GATEWAY_FILE_CACHE_H

#include "../conf/conf.h"
#include "loop.h"
#include "open_file.h"

struct file_cache;

struct file_cache_limits {
    unsigned n_files;  /* kept open at once */
    uint64_t valid_ms; /* a path is walked again after that */
    size_t memory;     /* for the bytes of small files */
};

/* NULL: memory is out, or nothing is to be kept. */
struct file_cache *file_cache_new(struct loop *loop, const struct file_cache_limits *limits);
void file_cache_free(struct file_cache *fc);

/*
 * What rel names below root, opened for reading; beneath.h says how, and what errno tells.  A
 * folder, a socket, a device are answers, too: look at st.st_mode.  A reference for the caller, or
 * NULL with errno.  fc may be NULL: then it is opened.
 */
struct open_file *file_cache_open(struct file_cache *fc, const char *root, struct slice rel,
                                  enum conf_links links);

/* All bytes of f, if they are kept: they live as long as f.  NULL: read it. */
const uint8_t *file_cache_bytes(const struct open_file *f);

/* These are all bytes of f, which came from fc: keep them for the next answer, if there is room
 * and if they cannot be older than what st says. */
void file_cache_keep(struct file_cache *fc, struct open_file *f, const uint8_t *p, size_t n);

enum { FILE_CACHE_BYTES_MAX = 32 * 1024 }; /* of one file */

#endif
