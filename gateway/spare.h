/*
 * gateway/spare.h - memory that every request takes and soon gives back: its first arena block, a
 * small body, the library's stream and frames.
 *
 * A thread keeps what it frees, up to 256 KiB, and hands the latest out again: it lies in that
 * core's cache still.  malloc(3) keeps 7 blocks of a size so, and of more than 1 KiB none; a client
 * with 32 streams had each of their blocks cut out of the heap and joined to it again.
 *
 * A block is malloc's, of the size that was asked for or a little more.  Under AddressSanitizer
 * nothing is kept, so that a use after the end is seen.
 *
 * Units    bytes; results are aligned for any type
 * Result   NULL when memory is out
 * Threads  any; one thread may free what another took
 */
#ifndef GATEWAY_SPARE_H
#define GATEWAY_SPARE_H

#include <stddef.h>

void *spare_alloc(size_t n);
void spare_free(void *p); /* also NULL */

/* The calling thread ends: free what it kept. */
void spare_thread_fini(void);

#endif
