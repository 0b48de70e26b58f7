/*
 * gateway/filter_kept.h - answer a GET or HEAD with what answer_cache.h keeps.
 *
 * Threads  worker
 * Source   RFC 9111 4.3.2, 5.1
 */
#ifndef GATEWAY_FILTER_KEPT_H
#define GATEWAY_FILTER_KEPT_H

#include "answer_cache.h"
#include "stream.h"

/* kept was got from cache; it is given back when it went out, or the stream is over. */
void filter_kept_answer(struct stream *s, struct answer_cache *cache,
                        const struct kept_answer *kept);

#endif
