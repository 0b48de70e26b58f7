/*
 * gateway/compress.h - is a response to be compressed, how, and what its head says then.  Pure.
 *
 * Threads  any
 * Memory   new fields are in the arena that is given
 * Source   RFC 9110 7.7 (no-transform), 8.4, 8.8.1 (weak validators), 12.5.3, 12.5.5 (Vary)
 */
#ifndef GATEWAY_COMPRESS_H
#define GATEWAY_COMPRESS_H

#include "accept_encoding.h"
#include "arena.h"
#include "stream.h"

/* What may be done with a response. */
struct compress_choice {
    bool varies;                  /* another client might get it otherwise encoded */
    unsigned n;                   /* codings the client likes as well as none, or better, */
    enum coding codings[CODINGS]; /* the best first */
};

/*
 * With c of its route, is r the kind of response that is compressed, and does who asked take it
 * so?  Not: what is encoded, partial, small, without a type of c's, has no content, or says that
 * nobody may change it, in words or by a digest.  A length that is not known is no reason.
 * A 304 or 206 is judged by what the 200 would have been; a part is never compressed.
 */
void compress_choose(const struct conf_compress *c, const struct request *req,
                     const struct response *r, struct compress_choice *ret);

/*
 * r is sent with coding (CODING_IDENTITY: as it is) though others might get it otherwise: Vary
 * says so.  With a coding the ETag becomes weak, and length and ranges are gone.  0 or
 * GW_ENO_MEMORY.
 */
int compress_head(struct arena *a, enum coding coding, struct response *r);

/* Does one of c's types match a Content-Type?  text/event-stream only if it is named in full. */
bool compress_has_type(const struct conf_compress *c, struct slice type);

#endif
