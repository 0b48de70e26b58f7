/*
 * fcgi/params.h - FastCGI name-value pairs.  Pure.
 *
 * Shape    name length (1 or 4 bytes) | value length (1 or 4 bytes) | name | value
 * Units    bytes; a pair may lie over any number of FCGI_PARAMS records
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
 * Incremental reader: feed content of records in any split; fn is called for each whole pair
 * (slices valid during the call only).  max bounds the size of one pair.  fcgi_params_feed: 0,
 * or GW_EFCGI_PROTO (pair over max), or GW_ENO_MEMORY, or what fn returned if not 0.
 * fcgi_params_end: 0, or GW_EFCGI_PROTO if it ends inside a pair.
 */
typedef int fcgi_params_fn(void *arg, struct slice name, struct slice value);
struct fcgi_params {
    struct buf partial;
    size_t max;
};
void fcgi_params_init(struct fcgi_params *p, size_t max);
void fcgi_params_fini(struct fcgi_params *p);
int fcgi_params_feed(struct fcgi_params *p, const uint8_t *in, size_t len, fcgi_params_fn *fn,
                     void *arg);
int fcgi_params_end(const struct fcgi_params *p);

#endif
