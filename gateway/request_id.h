/*
 * gateway/request_id.h - a name for a request that nobody else's request has: what a user reads
 * off an error page and an administrator looks for in the logs.
 *
 * Shape    16 hexadecimal digits.  Unique for all that matters (one thread's are a keyed hash of
 *          1, 2, 3 ..., the key is random), and no client can tell another's from its own
 * Threads  any
 */
#ifndef GATEWAY_REQUEST_ID_H
#define GATEWAY_REQUEST_ID_H

enum { REQUEST_ID_LEN = 16 };

void request_id_make(char ret_id[REQUEST_ID_LEN]);

#endif
