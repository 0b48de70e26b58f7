/*
 * fcgi/response.h - the head of a CGI response.  Pure but for the arena it copies into.
 *
 * Shape    fields, an empty line, the body; lines end in LF or CR LF (RFC 3875 6.2, 6.3).  A
 * first line "HTTP/x.y NNN reason" (NPH, RFC 3875 5) counts as Status. Units    bytes Result as
 * a parser: > 0 bytes of in that belong to the head (all taken so far), head complete; 0 all of
 * in was taken, more is needed; < 0 GW_ECGI_HEADER, GW_ECGI_HEAD_LARGE, GW_ENO_MEMORY Memory
 * fields are copied into the arena Source   RFC 3875 6.2, 6.3
 */
#ifndef FCGI_RESPONSE_H
#define FCGI_RESPONSE_H

#include "../gateway/arena.h"
#include "../gateway/buf.h"

enum response_kind {
    RESPONSE_DOCUMENT,        /* 6.2.1, also 6.2.4 client redirect with document */
    RESPONSE_LOCAL_REDIRECT,  /* 6.2.2: Location is an absolute path, no Status, no other field
                                 but Location (extension X-CGI- fields and Content-Type,
                                 Content-Length are tolerated as Apache does); location is
                                 path[?query] */
    RESPONSE_CLIENT_REDIRECT, /* 6.2.3: Location with an absolute URI, no Status: 302 */
};

struct response_head {
    enum response_kind kind;
    int status;            /* 200 without Status, 302 for a Location without one; 100..599 */
    struct slice reason;   /* may be empty */
    struct slice location; /* empty if none */
    struct field *fields;  /* all but Status and Content-Length; several of one name kept apart
                              and in order */
    size_t n_fields, cap_fields;
    int64_t content_length; /* -1: none; two that differ or are no number are GW_ECGI_HEADER */
    bool nph;               /* began with a status line */
};

struct response_parser {
    struct arena *arena; /* borrowed */
    struct buf line;     /* what came of the head so far */
    size_t max;          /* of the whole head */
    struct response_head head;
    bool has_status, done;
};

void response_parser_init(struct response_parser *p, struct arena *arena, size_t max);
void response_parser_fini(struct response_parser *p);
ssize_t response_parser_feed(struct response_parser *p, const uint8_t *in, size_t len);

#endif
