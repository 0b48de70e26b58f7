/*
 * gateway/filter.h - answer with a file that went through a FastCGI filter.
 *
 * Asked      with the variables that a responder would have, FCGI_DATA_LENGTH and
 *            FCGI_DATA_LAST_MOD; the request's body as STDIN, then the file as DATA, read as the
 *            filter takes it
 * Answered   as an application answers: status, type, validators and ranges are the filter's.
 *            If-None-Match and the like are its to look at
 * Failed     as a pool fails; 502 if the file is shorter than was announced
 * Kept       with filter_cache = on, as filter_keep.h and answer_cache.h say, and of a file that
 *            has not changed for a second, so that its times tell every later change.  An answer
 *            that is kept has Age, and If-None-Match and If-Modified-Since are held against its
 *            validators
 *
 * Threads  worker
 * Source   FastCGI 6.4
 */
#ifndef GATEWAY_FILTER_H
#define GATEWAY_FILTER_H

#include "router.h"

/* Answer with the file m->open (regular; the reference is taken over), through pool.  GET, HEAD
 * and POST; others 405 with Allow.  m is in the stream's arena. */
void filter_start(struct stream *s, struct pool *pool, struct route_match *m);

#endif
