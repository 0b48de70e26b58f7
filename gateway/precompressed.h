/*
 * gateway/precompressed.h - the compressed form of a file that lies beside it: FILE.br, .zst, .gz.
 *
 * Threads  worker
 * Source   RFC 9110 8.4, 12.5.3
 */
#ifndef GATEWAY_PRECOMPRESSED_H
#define GATEWAY_PRECOMPRESSED_H

#include "router.h"

/*
 * Put the form that the client likes best in place of m->open, if it takes one that is there and
 * not older; m->file stays.  *ret_coding: its Content-Encoding; empty: the file itself.  Result:
 * there is a choice, so the answer has Vary: Accept-Encoding (12.5.5), whichever it is.
 */
bool precompressed_pick(struct stream *s, struct route_match *m, struct slice *ret_coding);

#endif
