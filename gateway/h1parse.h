/*
 * gateway/h1parse.h - the head of an HTTP/1.x request, parsed strictly and in any number of
 * pieces.  Pure: no I/O, no allocation, no clock.
 *
 * Shape    [CRLF] method SP target SP version CRLF *(name ":" OWS value OWS CRLF) CRLF
 *          Nothing else passes: no bare CR or LF, no folded line, no space before a colon, no
 *          control byte.  Whatever would let two servers read one message differently is an
 *          error, since a guess there is a smuggled request (RFC 9112 11.2)
 * Units    bytes; places are offsets from the first byte that was fed, so the caller's buffer
 *          may move between calls
 * Result   > 0 bytes of the head, 0 needs more input, < 0 enum gw_err.  The same bytes give the
 *          same result however they are split
 * Threads  any, one at a time
 * Memory   nothing is kept but offsets; the caller keeps the bytes from the first one on
 * Source   RFC 9112 2 to 6, RFC 9110 5 and 7, RFC 3986 3.2
 */
#ifndef GATEWAY_H1PARSE_H
#define GATEWAY_H1PARSE_H

#include "slice.h"

enum {
    H1_METHOD_MAX = 64,   /* the longest registered one has 17 */
    H1_TARGET_MAX = 8192, /* over RFC 9112 3's 8000 for a whole line */
};

/* A run of bytes of the head. */
struct h1_span {
    uint32_t at, n;
};

/* Forms of a request target (RFC 9112 3.2). */
enum h1_form {
    H1_ORIGIN,       /* /path?query */
    H1_ABSOLUTE,     /* http://authority/path?query: origin has the part from '/' on */
    H1_ABSOLUTE_TOP, /* http://authority?query: origin, perhaps empty, lacks its '/' */
    H1_ASTERISK,     /* OPTIONS *, also as OPTIONS http://authority (3.2.4) */
    H1_AUTHORITY,    /* CONNECT host:port */
};

struct h1_head {
    /* limits */
    uint32_t max_bytes;  /* of the whole head */
    uint32_t max_fields; /* field lines */

    /* progress */
    uint32_t at;   /* next byte to look at */
    uint32_t mark; /* where the token under way began */
    uint8_t step;  /* the parser's own */
    bool begun;    /* a request line, or something that is none, has begun */

    /* The request line.  After an error, what came before it is set, the rest is empty. */
    struct h1_span method;
    struct h1_span target; /* as sent */
    uint8_t version;       /* 10, or 11 for every 1.x above (RFC 9110 2.5); 0: not known */

    /* Valid once the result is > 0. */
    uint8_t form;          /* enum h1_form */
    struct h1_span origin; /* path?query part of target; empty for the last two forms */
    struct h1_span
        authority;          /* of the target in absolute form, else Host; may be empty (1.0) */
    int64_t content_length; /* -1: none */
    uint32_t n_fields;
    uint32_t fields_at;   /* the first field line */
    bool chunked;         /* the body comes in chunks */
    bool persistent;      /* the client takes another response (RFC 9112 9.3) */
    bool expect_continue; /* Expect: 100-continue, 1.1 only */
    bool expect_unknown;  /* an expectation we do not know, 1.1 only */

    /* gathered on the way */
    struct h1_span name; /* of the field under way */
    struct h1_span host;
    bool has_host, has_coding, other_coding, option_close, option_keep;
};

/* Ready for the next head.  The limits are those of the configuration; at least one byte. */
void h1_head_init(struct h1_head *h, uint64_t max_bytes, uint32_t max_fields);

/*
 * in[0..len) is the head from its first byte on, as far as it came; each call goes on where the
 * last one stopped.
 *
 * GW_EREQ_SYNTAX      not HTTP/1.x
 * GW_EREQ_METHOD_LONG method over H1_METHOD_MAX
 * GW_EREQ_VERSION     another major version
 * GW_EREQ_URI_LONG    target over H1_TARGET_MAX, or the head is full within the request line
 * GW_EREQ_HEAD_LARGE  over max_bytes or max_fields
 * GW_EREQ_HOST        Host (or a target's authority) missing, repeated or invalid
 * GW_EREQ_FRAMING     Content-Length or Transfer-Encoding leave doubt where the body ends
 * GW_EREQ_CODING      a transfer coding besides chunked
 *
 * Every one of them leaves the end of the message unknown: answer and close.
 */
ssize_t h1_head_parse(struct h1_head *h, const uint8_t *in, size_t len);

/* The fields of a parsed head whose bytes are at head, in order, into fields[0..h->n_fields).
 * Values are without white space at their ends; both point into head. */
void h1_head_fields(const struct h1_head *h, const char *head, struct field *fields);

static inline struct slice h1_slice(const char *head, struct h1_span s)
{
    return slice_of(head + s.at, s.n);
}

/* Is every byte of value one that a field value may have (RFC 9110 5.5)? */
bool h1_value_ok(struct slice value);

#endif
