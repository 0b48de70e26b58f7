/*
 * gateway/spool.h - bytes that wait: in memory first, then in an unlinked file of spool_dir.
 *
 * Shape    a queue of bytes:  front (memory) | file | tail (memory, on its way into the file).
 *          With a most the file is written round and round, so that a reader that is always
 *          behind needs no more disk than that, however long it goes on
 * Units    bytes
 * Result   errors are kept in the spool (spool_err) and reported by its callback:
 *          GW_ESPOOL_LIMIT, GW_ESPOOL_DISK, GW_ENO_MEMORY
 * Threads  the loop it was made on; file work runs as jobs of the writer threads (THREADS.md,
 *          rule 5)
 * Memory   at most memory + 256 KiB are held, when the caller heeds spool_congested().  A soft
 *          one that nobody takes from has all but 64 KiB in its file once there is one; and while
 *          the soft ones hold more than 4 MiB together, each has some 32 KiB at the most
 */
#ifndef GATEWAY_SPOOL_H
#define GATEWAY_SPOOL_H

#include "buf.h"
#include "err.h"
#include "loop.h"
#include "writer.h"

struct spool;

/* Shared by all workers: where files go, and how much may be in them. */
struct spool_budget {
    const char *dir;            /* I */
    uint64_t limit;             /* I  bytes, 0: none */
    size_t memory;              /* I  bytes of one body kept in memory before its file starts */
    atomic_uint_least64_t used; /* a  relaxed: a gauge */
    atomic_size_t held;         /* a  bytes that soft spools have in memory; relaxed: a gauge */
};

/* A job ended: there may be more to take, or room, or an error.  Never from inside a spool_
 * call. */
typedef void spool_fn(void *arg);

/* Whose source can be made to wait: at a limit (most, spool_limit, full disk) it stays congested
 * instead of failing. */
struct spool_soft {
    uint64_t most; /* bytes that wait in it, at least SPOOL_MOST_MIN; 0: no limit of its own */
};

enum { SPOOL_MOST_MIN = 256 * 1024 };

/* soft (copied): NULL for data that must be taken or refused.  NULL: memory is out. */
struct spool *spool_new(struct spool_budget *b, struct writers *writers, struct loop *loop,
                        const struct spool_soft *soft, spool_fn *fn, void *arg);
void spool_free(struct spool *sp); /* fn is not called any more */

/* Add bytes.  0, or the spool's error. */
int spool_append(struct spool *sp, const void *p, size_t n);

/* The same, taking all of from. */
int spool_append_chain(struct spool *sp, struct chain *from);

/* Move up to max bytes that are in memory to the end of to; starts to read more from the
 * file.  How many. */
size_t spool_take(struct spool *sp, struct chain *to, size_t max);

uint64_t spool_len(const struct spool *sp); /* bytes in it, wherever */
/* The file does not keep up, or most is reached: add no more until fn, or until something was
 * taken. */
bool spool_congested(const struct spool *sp);
int spool_err(const struct spool *sp);

#endif
