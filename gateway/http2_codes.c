/*
 * Error codes on the wire (RFC 9113 7) for our errors and the library's.
 */
#include "http2_session.h"

struct code_row {
    int err;
    uint32_t code;
};

/* RST_STREAM.  Not in the table: INTERNAL_ERROR. */
static const struct code_row reset_codes[] = {
    {0, NGHTTP2_NO_ERROR},
    {GW_ECLIENT_PROTO, NGHTTP2_PROTOCOL_ERROR},
    {GW_ECLIENT_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_EREQ_HEAD_LARGE, NGHTTP2_ENHANCE_YOUR_CALM}, /* trailers; a head is answered 431 */
    {GW_EPUSH, NGHTTP2_CANCEL},
    {GW_EWEBSOCKET_IDLE, NGHTTP2_CANCEL},
    {GW_ECLIENT_SLOW, NGHTTP2_CANCEL},
    {GW_ECLIENT_RATE, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_ECLIENT_GONE, NGHTTP2_CANCEL},
    {GW_ECLIENT_RESET, NGHTTP2_CANCEL},
    {GW_EBODY_TIME, NGHTTP2_CANCEL},
    {GW_EBODY_SLOW, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_EBODY_LARGE, NGHTTP2_CANCEL},
    {GW_EREQ_TIME, NGHTTP2_CANCEL},
};

/* Refusals: the client may try again (RFC 9113 8.7), so only where nothing was answered. */
static const int refusals[] = {
    GW_EDRAINING, GW_EPOOL_FULL, GW_EPOOL_TIME, GW_EPOOL_DOWN, GW_ENO_MEMORY,
};

/* GOAWAY.  Not in the table: INTERNAL_ERROR. */
static const struct code_row goaway_codes[] = {
    {0, NGHTTP2_NO_ERROR},
    {GW_EDRAINING, NGHTTP2_NO_ERROR},
    {GW_ECLIENT_IDLE, NGHTTP2_NO_ERROR},
    {GW_ECLIENT_GONE, NGHTTP2_NO_ERROR},
    {GW_ECLIENT_PROTO, NGHTTP2_PROTOCOL_ERROR},
    {GW_EREQ_TIME, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_ECLIENT_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_ECLIENT_SLOW, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_ECLIENT_RATE, NGHTTP2_ENHANCE_YOUR_CALM},
    {GW_EBODY_SLOW, NGHTTP2_ENHANCE_YOUR_CALM},
};

/* What the library returns without having said GOAWAY itself.  The other faults of a client it
 * answers of its own (see struct h2_said), and a callback that failed left its reason in h->trip.
 * Not in the table: INTERNAL_ERROR. */
static const struct {
    int rv;
    uint32_t code;
    int err;
} library_codes[] = {
    {NGHTTP2_ERR_BAD_CLIENT_MAGIC, NGHTTP2_PROTOCOL_ERROR, GW_ECLIENT_PROTO}, /* 3.4 */
    {NGHTTP2_ERR_FLOODED, NGHTTP2_ENHANCE_YOUR_CALM, GW_ECLIENT_FLOOD},
    {NGHTTP2_ERR_TOO_MANY_CONTINUATIONS, NGHTTP2_ENHANCE_YOUR_CALM, GW_ECLIENT_FLOOD},
    {NGHTTP2_ERR_NOMEM, NGHTTP2_INTERNAL_ERROR, GW_ENO_MEMORY},
};

static uint32_t find_code(const struct code_row *rows, size_t n, int err)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].err == err)
            return rows[i].code;
    return NGHTTP2_INTERNAL_ERROR;
}

uint32_t h2_reset_code(int err, bool answered)
{
    for (size_t i = 0; !answered && i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i] == err)
            return NGHTTP2_REFUSED_STREAM;
    return find_code(reset_codes, sizeof(reset_codes) / sizeof(reset_codes[0]), err);
}

uint32_t h2_goaway_code(int err)
{
    return find_code(goaway_codes, sizeof(goaway_codes) / sizeof(goaway_codes[0]), err);
}

uint32_t h2_library_code(int rv)
{
    for (size_t i = 0; i < sizeof(library_codes) / sizeof(library_codes[0]); i++)
        if (library_codes[i].rv == rv)
            return library_codes[i].code;
    return NGHTTP2_INTERNAL_ERROR;
}

int h2_library_err(int rv)
{
    for (size_t i = 0; i < sizeof(library_codes) / sizeof(library_codes[0]); i++)
        if (library_codes[i].rv == rv)
            return library_codes[i].err;
    return GW_EINTERNAL;
}

/* What we reset streams with of our own will is not the client's fault: an early answer
 * (NO_ERROR), a broken backend (INTERNAL_ERROR), a time that passed (CANCEL).  REFUSED_STREAM
 * counts: the library sends it for streams over the limit. */
bool h2_code_is_provoked(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}
