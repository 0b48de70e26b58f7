/*
 * gateway/http2_head.h - the head of an HTTP/2 request, field by field as HPACK gives them, and
 * what RFC 9113 8.3 wants of the whole.
 *
 * All of it is checked here: libnghttp2 would do a part, but its check comes with one that resets
 * who ends a request short of its content-length although the answer is on its way (http2.c says
 * why that must be taken), and the two cannot be had apart.
 *
 * Units    bytes; a field counts name + value + 32 (RFC 9113 10.5.1)
 * Threads  worker
 * Memory   everything is copied into the stream's arena
 */
#ifndef GATEWAY_HTTP2_HEAD_H
#define GATEWAY_HTTP2_HEAD_H

#include "priority.h"
#include "stream.h"

struct h2_crumb {
    struct h2_crumb *next;
    struct slice value;
};

struct h2_head {
    size_t max_size;         /* SETTINGS_MAX_HEADER_LIST_SIZE as announced */
    unsigned max_fields;     /* without pseudo-fields; cookie crumbs are one together */
    size_t size;             /* so far, as counted above */
    unsigned n_fields;       /* so far */
    struct slice authority;  /* :authority, p NULL if there is none */
    struct slice host;       /* Host, p NULL if there is none */
    struct h2_crumb *crumbs; /* of Cookie, in order (RFC 9113 8.2.3) */
    struct h2_crumb **crumbs_end;
    size_t crumbs_len;
    struct priority_said priority; /* of Priority fields (RFC 9218 5) */
    unsigned seen;     /* rows of the table in http2_head.c that came; those may come once */
    bool regular_seen; /* a field that is no pseudo-field came */
    bool expects_else; /* Expect with something other than 100-continue */
    bool large;        /* over max_size or max_fields: nothing is kept any more */
};

void h2_head_init(struct h2_head *h, size_t max_size, unsigned max_fields);

/* One field.  0; GW_ENO_MEMORY; GW_ECLIENT_PROTO: malformed (RFC 9113 8.1.1), as below;
 * GW_ECLIENT_FLOOD: so far over the announced limit that decoding on would only serve who sends
 * it. */
int h2_head_field(struct stream *s, struct h2_head *h, struct slice name, struct slice value);

/* Trailers begin: they are held to the limits of a head, by themselves. */
void h2_head_begin_trailers(struct h2_head *h);

/* A trailer field: checked and counted, not kept; as above.  h->large says when they are over the
 * limits. */
int h2_head_trailer(struct h2_head *h, struct slice name, struct slice value);

/* All fields were given; fills s->req.  0: route it.  GW_ECLIENT_PROTO: malformed, reset the
 * stream with PROTOCOL_ERROR (RFC 9113 8.1.1).  Other errors: answer with their status. */
int h2_head_done(struct stream *s, struct h2_head *h, bool end_stream);

#endif
