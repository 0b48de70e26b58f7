/*
 * gateway/head_override.h - what an application wants on the head of an answer that others give
 * in its place (sendfile.h).  Pure.
 *
 * Threads  any
 */
#ifndef GATEWAY_HEAD_OVERRIDE_H
#define GATEWAY_HEAD_OVERRIDE_H

#include "arena.h"

struct response;

struct head_override {
    int status;          /* in place of 200; 0: the answer's own */
    struct slice reason; /* with it */
    const struct field *fields;
    size_t n_fields;
};

/*
 * Put o on r, its new fields in a.  A field of o replaces those of its name, but Set-Cookie is
 * added, and Content-Type is left to the parts of a multipart/byteranges.  Only what was found
 * in full or in part (200, 206) gets all; 304 what a 304 repeats (RFC 9110 15.4.5); others
 * (redirects) Set-Cookie alone.  With another status than 200 the answer has no validators.
 * 0; or GW_ENO_MEMORY, r unchanged.
 */
int head_override_apply(struct arena *a, const struct head_override *o, struct response *r);

#endif
