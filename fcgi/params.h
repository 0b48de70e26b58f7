/*
 * fcgi/params.h - FastCGI name-value pairs.  Pure.
 *
 * Shape    name length (1 or 4 bytes) | value length (1 or 4 bytes) | name | value
 * Units    bytes; a pair may lie over any number of FCGI_PARAMS records
 * Threads  one at a time
 * Source   FastCGI 1.0, 3.4, 5.2
 */
#ifndef FCGI_PARAMS_H
#define FCGI_PARAMS_H

#include "../gateway/buf.h"

/* Append one pair.  0, or GW_ENO_MEMORY (also for lengths over 2^31 - 1). */
int fcgi_params_put(struct buf *out, struct slice name, struct slice value);

/*
 * Turn the pairs in pairs[0..n) into FCGI_PARAMS records with request id and the empty record
 * that ends the stream, appended to out. Splits at 65535 bytes wherever that falls.  0 or
 * GW_ENO_MEMORY.
 */
int fcgi_params_records(struct buf *out, uint16_t id, const uint8_t *pairs, size_t n);

/*
 * Incremental reader: feed the content of records in any split; fn is called for each whole
 * pair (slices valid during the call only).  max bounds name and value of one pair together.
 *
 * _feed    0; GW_EFCGI_PROTO for a pair over max; GW_ENO_MEMORY; or what fn returned if not 0.
 *          After anything but 0 the reader is of no further use
 * _end     0, or GW_EFCGI_PROTO if the stream ends inside a pair
 * _clear   ready for the next stream, keeping the memory
 */
typedef int fcgi_params_fn(void *arg, struct slice name, struct slice value);

struct fcgi_params {
    struct buf partial; /* the pair that is not complete yet */
    size_t max;
};

void fcgi_params_init(struct fcgi_params *p, size_t max);
void fcgi_params_fini(struct fcgi_params *p);
void fcgi_params_clear(struct fcgi_params *p);
int fcgi_params_feed(struct fcgi_params *p, const uint8_t *in, size_t len, fcgi_params_fn *fn,
                     void *arg);
int fcgi_params_end(const struct fcgi_params *p);

#endif
