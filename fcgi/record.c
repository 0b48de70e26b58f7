#include "record.h"

#include <assert.h>
#include <fastcgi.h>
#include <string.h>

#include "../gateway/err.h"

/* FCGI_Header, FastCGI 3.3: where its fields lie. */
enum { AT_VERSION = 0, AT_TYPE = 1, AT_ID = 2, AT_CONTENT_LEN = 4, AT_PADDING_LEN = 6 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

ssize_t fcgi_record_decode(const uint8_t *in, size_t len, struct fcgi_record *ret_rec)
{
    /* The version is looked at as soon as it is there, so that a peer that speaks something
     * else is not waited for. */
    if (len > AT_VERSION && in[AT_VERSION] != FCGI_VERSION_1)
        return GW_EFCGI_PROTO;
    if (len < FCGI_RECORD_HEADER)
        return 0;
    uint16_t content_len = be16_get(in + AT_CONTENT_LEN);
    size_t whole = (size_t)FCGI_RECORD_HEADER + content_len + in[AT_PADDING_LEN];
    if (len < whole)
        return 0;
    *ret_rec = (struct fcgi_record){
        .type = in[AT_TYPE],
        .id = be16_get(in + AT_ID),
        .content_len = content_len,
        .padding_len = in[AT_PADDING_LEN],
        .content = in + FCGI_RECORD_HEADER,
    };
    return (ssize_t)whole;
}

/* Gather the header; the number of bytes taken from in. */
static size_t take_header(struct fcgi_reader *r, const uint8_t *in, size_t len)
{
    size_t n = smaller(FCGI_RECORD_HEADER - r->n_header, len);

    if (n)
        memcpy(r->header + r->n_header, in, n);
    r->n_header += (unsigned)n;
    if (r->n_header == FCGI_RECORD_HEADER) {
        r->in_record = true;
        r->content_left = be16_get(r->header + AT_CONTENT_LEN);
        r->padding_left = r->header[AT_PADDING_LEN];
    }
    return n;
}

/* The content is through; only padding is left of the record, skipped by the next call. */
static void end_content(struct fcgi_reader *r)
{
    r->in_record = false;
    r->n_header = 0;
}

ssize_t fcgi_reader_next(struct fcgi_reader *r, const uint8_t *in, size_t len,
                         struct fcgi_piece *ret_piece)
{
    size_t at = 0;

    if (!r->in_record) {
        at = smaller(r->padding_left, len);
        r->padding_left -= (uint32_t)at;
        at += take_header(r, in + at, len - at);
        if (r->n_header > AT_VERSION && r->header[AT_VERSION] != FCGI_VERSION_1)
            return GW_EFCGI_PROTO;
        if (!r->in_record)
            return 0;
    }
    uint32_t content_len = be16_get(r->header + AT_CONTENT_LEN);
    size_t n = smaller(r->content_left, len - at);
    if (n == 0 && content_len > 0)
        return 0;
    *ret_piece = (struct fcgi_piece){
        .type = r->header[AT_TYPE],
        .id = be16_get(r->header + AT_ID),
        .content = in + at,
        .len = n,
        .begin = r->content_left == content_len,
        .end = n == r->content_left,
    };
    fcgi_reader_took(r, n);
    return (ssize_t)(at + n);
}

size_t fcgi_reader_content_left(const struct fcgi_reader *r)
{
    return r->in_record ? r->content_left : 0;
}

bool fcgi_reader_took(struct fcgi_reader *r, size_t n)
{
    assert(r->in_record && n <= r->content_left);
    r->content_left -= (uint32_t)n;
    if (r->content_left)
        return false;
    end_content(r);
    return true;
}

size_t fcgi_reader_wants(const struct fcgi_reader *r)
{
    if (r->in_record)
        return (size_t)r->content_left + r->padding_left + FCGI_RECORD_HEADER;
    return (size_t)r->padding_left + FCGI_RECORD_HEADER - r->n_header;
}

void fcgi_record_header(uint8_t out[FCGI_RECORD_HEADER], uint8_t type, uint16_t id,
                        uint16_t content_len, uint8_t padding_len)
{
    out[AT_VERSION] = FCGI_VERSION_1;
    out[AT_TYPE] = type;
    be16_put(out + AT_ID, id);
    be16_put(out + AT_CONTENT_LEN, content_len);
    out[AT_PADDING_LEN] = padding_len;
    out[7] = 0; /* reserved */
}

void fcgi_begin_request(uint8_t out[16], uint16_t id, uint16_t role, bool keep_conn)
{
    fcgi_record_header(out, FCGI_BEGIN_REQUEST, id, 8, 0);
    memset(out + FCGI_RECORD_HEADER, 0, 8);
    be16_put(out + FCGI_RECORD_HEADER, role);
    out[FCGI_RECORD_HEADER + 2] = keep_conn ? FCGI_KEEP_CONN : 0;
}

void fcgi_end_request(uint8_t out[16], uint16_t id, uint32_t app_status,
                      uint8_t protocol_status)
{
    fcgi_record_header(out, FCGI_END_REQUEST, id, 8, 0);
    be32_put(out + FCGI_RECORD_HEADER, app_status);
    memset(out + FCGI_RECORD_HEADER + 4, 0, 4);
    out[FCGI_RECORD_HEADER + 4] = protocol_status;
}

bool fcgi_end_request_decode(const uint8_t *content, size_t len, uint32_t *ret_app_status,
                             uint8_t *ret_protocol_status)
{
    if (len < sizeof(FCGI_EndRequestBody))
        return false;
    *ret_app_status = be32_get(content);
    *ret_protocol_status = content[4];
    return true;
}
