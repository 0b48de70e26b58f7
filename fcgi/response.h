/*
 * fcgi/response.h - the head of a CGI response.  Pure but for the arena it copies into.
 *
 * Shape    fields, an empty line, the body; lines end in LF or CR LF.  A first line
 *          "HTTP/x.y NNN reason" (a script that speaks HTTP itself, RFC 3875 5) counts as
 *          Status.  There are no continuation lines (6.3)
 * Units    bytes
 * Result   of feeding: > 0 that many bytes of in belong to the head, which is complete; 0 all
 *          of in was taken, more is needed; < 0 GW_ECGI_HEADER, GW_ECGI_HEAD_LARGE,
 *          GW_ENO_MEMORY, and the parser is of no further use
 * Threads  one at a time
 * Memory   fields are copied into the arena and live as long as it
 * Source   RFC 3875 6.2, 6.3; RFC 9110 5.1, 5.5 for what names and values may hold
 */
#ifndef FCGI_RESPONSE_H
#define FCGI_RESPONSE_H

#include "../gateway/arena.h"
#include "../gateway/buf.h"

enum response_kind {
    RESPONSE_DOCUMENT,        /* 6.2.1; also 6.2.4, a Location beside a Status */
    RESPONSE_LOCAL_REDIRECT,  /* 6.2.2: Location is an absolute path, there is no Status and no
                                 field but Location, Content-Type, Content-Length and X-CGI-*;
                                 location is path[?query] */
    RESPONSE_CLIENT_REDIRECT, /* 6.2.3: any other Location without a Status */
};

struct response_head {
    enum response_kind kind;
    int status;            /* 100..599; without a Status 302 for a Location, else 200 */
    struct slice reason;   /* may be empty */
    struct slice location; /* empty if none */
    struct field *fields;  /* all but Status and Content-Length, as they came: several of one
                              name are kept apart and in order */
    size_t n_fields, cap_fields;
    int64_t content_length; /* -1: none */
    bool nph;               /* began with a status line */
};

struct response_parser {
    struct arena *arena; /* borrowed */
    struct buf line;     /* the line that is not complete yet */
    size_t max;          /* bytes of the whole head, line ends included */
    size_t n_read;       /* bytes of the head so far */
    size_t n_lines;      /* lines so far */
    struct response_head head;
    bool has_status, done;
    bool plain_redirect; /* no field so far that 6.2.2 rules out */
};

/* An interim head (status 1xx) is followed by another: _fini, _init and feed what is left. */
void response_parser_init(struct response_parser *p, struct arena *arena, size_t max);
void response_parser_fini(struct response_parser *p);

/* Not after the head was complete. */
ssize_t response_parser_feed(struct response_parser *p, const uint8_t *in, size_t len);

#endif
