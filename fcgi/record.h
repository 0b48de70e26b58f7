/*
 * fcgi/record.h - FastCGI records on the wire.  Pure: no I/O, no allocation, no clock.
 *
 * Shape    8-byte header | content 0..65535 | padding 0..255, big-endian
 * Units    lengths in bytes; id 1..65535 is a request, 0 is management
 * Result   > 0 bytes consumed, 0 needs more input, < 0 enum gw_err
 * Threads  any
 * Memory   content points into in[] and lives as long as it
 * Source   FastCGI 1.0, 3.3, 5.1, 5.5; constants are those of libfcgi's fastcgi.h
 */
#ifndef FCGI_RECORD_H
#define FCGI_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    FCGI_RECORD_HEADER = 8,
    FCGI_RECORD_CONTENT_MAX = 65535,
    FCGI_RECORD_MAX = 8 + 65535 + 255
};

struct fcgi_record {
    uint8_t type; /* FCGI_xxx of fastcgi.h; unknown values are passed on, 4.2 */
    uint16_t id;
    uint16_t content_len;
    uint8_t padding_len;
    const uint8_t *content; /* borrowed */
};

/* Read the whole record at the front of in[0..len).  GW_EFCGI_PROTO if its version is not 1. */
ssize_t fcgi_record_decode(const uint8_t *in, size_t len, struct fcgi_record *ret_rec);

/*
 * Streaming reader for large records, so that content can be passed on before all of it came.
 * Zeroed is the start state.  Feed bytes; each call consumes some and reports at most one
 * piece:
 *     type, id            of the record it belongs to
 *     content[0..len)     the next run of the content (may be all of it), borrowed from in
 *     begin               the first piece of its record
 *     end                 the last piece: true once per record, also for an empty one
 */
struct fcgi_reader {
    uint8_t header[FCGI_RECORD_HEADER];
    unsigned n_header;
    uint32_t content_left;
    uint32_t padding_left;
    bool in_record;
};
struct fcgi_piece {
    uint8_t type;
    uint16_t id;
    const uint8_t *content;
    size_t len;
    bool begin;
    bool end;
};

/* > 0: bytes consumed and *ret_piece set; 0: every byte of in[0..len) was taken and there is no
 * piece; < 0: GW_EFCGI_PROTO, and the stream cannot be read any further. */
ssize_t fcgi_reader_next(struct fcgi_reader *r, const uint8_t *in, size_t len,
                         struct fcgi_piece *ret_piece);

/* For content that is moved past the reader (splice from the socket).  _content_left: bytes of
 * the present record's content not yet reported, 0 between records.  _took: n of them, at most
 * that, went elsewhere; true if they were the last.  _wants: bytes up to the end of the next
 * header, so that a read of no more than that leaves the content behind it in the socket. */
size_t fcgi_reader_content_left(const struct fcgi_reader *r);
bool fcgi_reader_took(struct fcgi_reader *r, size_t n);
size_t fcgi_reader_wants(const struct fcgi_reader *r);

/* Write an 8-byte header; id, lengths as in the record. */
void fcgi_record_header(uint8_t out[FCGI_RECORD_HEADER], uint8_t type, uint16_t id,
                        uint16_t content_len, uint8_t padding_len);

/* FCGI_BEGIN_REQUEST, 16 bytes (5.1). */
void fcgi_begin_request(uint8_t out[16], uint16_t id, uint16_t role, bool keep_conn);

/* FCGI_END_REQUEST body, 8 bytes (5.5).  decode: false if content is shorter than 8. */
void fcgi_end_request(uint8_t out[16], uint16_t id, uint32_t app_status,
                      uint8_t protocol_status);
bool fcgi_end_request_decode(const uint8_t *content, size_t len, uint32_t *ret_app_status,
                             uint8_t *ret_protocol_status);

static inline uint16_t be16_get(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t be32_get(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void be16_put(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void be32_put(uint8_t *p, uint32_t v)
{
    be16_put(p, (uint16_t)(v >> 16));
    be16_put(p + 2, (uint16_t)v);
}

#endif
