/*
 * fcgi/values.h - what a server says of itself: GET_VALUES and GET_VALUES_RESULT.  Pure.
 *
 * Shape    pairs of params.h in one management record; of the answer only the three names
 *          below count, with decimal values
 * Threads  one at a time
 * Source   FastCGI 1.0, 4.1
 */
#ifndef FCGI_VALUES_H
#define FCGI_VALUES_H

#include "params.h"

struct fcgi_values {
    unsigned max_conns; /* FCGI_MAX_CONNS, 0: not said */
    unsigned max_reqs;  /* FCGI_MAX_REQS, 0: not said */
    bool mpxs;          /* FCGI_MPXS_CONNS: several requests on one connection */
};

/* Append the question, with 8 bytes of padding: libfcgi answers only when more bytes follow
 * the content. */
int fcgi_values_ask(struct buf *out);

/*
 * Read the answer: feed the content of its record in any split.  The last of a name counts.
 *
 * _feed    0; GW_EFCGI_PROTO for a pair that is over 1 KiB; GW_ENO_MEMORY
 * _end     0 and *ret, or GW_EFCGI_PROTO if the record ends inside a pair
 * _clear   ready for the next
 */
struct fcgi_values_reader {
    struct fcgi_params pairs;
    struct fcgi_values values;
};

void fcgi_values_init(struct fcgi_values_reader *v);
void fcgi_values_fini(struct fcgi_values_reader *v);
void fcgi_values_clear(struct fcgi_values_reader *v);
int fcgi_values_feed(struct fcgi_values_reader *v, const uint8_t *in, size_t len);
int fcgi_values_end(const struct fcgi_values_reader *v, struct fcgi_values *ret);

#endif
