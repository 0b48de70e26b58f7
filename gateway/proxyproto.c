#include "proxyproto.h"

#include <arpa/inet.h>
#include <string.h>

#include "slice.h"

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static const char not_one[] = "no PROXY header";

static ssize_t bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -1;
}

/* ---- version 1 ---- */

/* Cut the word in front of the next space off *line; false if it is empty or the last. */
static bool take_word(struct slice *line, struct slice *ret_word)
{
    ssize_t space = slice_find(*line, ' ');

    if (space <= 0)
        return false;
    *ret_word = slice_of(line->p, (size_t)space);
    *line = slice_from(*line, (size_t)space + 1);
    return true;
}

static bool read_address(int family, struct slice text, void *ret_ip)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.n >= sizeof(copy) || slice_find(text, '\0') >= 0)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return inet_pton(family, copy, ret_ip) == 1;
}

/* "0", "443"; not "0443". */
static bool read_port(struct slice text, in_port_t *ret_port)
{
    int64_t n = slice_decimal(text, UINT16_MAX);

    if (n < 0 || (text.n > 1 && text.p[0] == '0'))
        return false;
    *ret_port = htons((uint16_t)n);
    return true;
}

static bool read_end(int family, struct slice address, struct slice port,
                     union sockaddr_any *ret_end)
{
    *ret_end = (union sockaddr_any){.sa.sa_family = (sa_family_t)family};
    if (family == AF_INET)
        return read_address(family, address, &ret_end->in.sin_addr) &&
               read_port(port, &ret_end->in.sin_port);
    return read_address(family, address, &ret_end->in6.sin6_addr) &&
           read_port(port, &ret_end->in6.sin6_port);
}

/* Behind "PROXY ", without the end of the line. */
static const char *read_line(struct slice line, struct proxy_header *h)
{
    struct slice kind, from, to, from_port;

    if (slice_eq(line, SLICE("UNKNOWN")) || slice_starts(line, SLICE("UNKNOWN ")))
        return NULL; /* what follows is to be ignored */
    if (!take_word(&line, &kind) || !take_word(&line, &from) || !take_word(&line, &to) ||
        !take_word(&line, &from_port))
        return "a word of the line is missing";
    int family = slice_eq(kind, SLICE("TCP4"))   ? AF_INET
                 : slice_eq(kind, SLICE("TCP6")) ? AF_INET6
                                                 : AF_UNSPEC;
    if (family == AF_UNSPEC)
        return "neither TCP4, TCP6 nor UNKNOWN";
    if (!read_end(family, from, from_port, &h->from) || !read_end(family, to, line, &h->to))
        return "an address or a port is not one";
    h->known = true;
    return NULL;
}

static ssize_t parse_v1(const uint8_t *in, size_t len, struct proxy_header *h,
                        const char **ret_why)
{
    static const struct slice word = {"PROXY ", 6};
    size_t most = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
    const uint8_t *lf = memchr(in, '\n', most);

    if (memcmp(in, word.p, len < word.n ? len : word.n) != 0)
        return bad(ret_why, not_one);
    if (!lf)
        return most < PROXY_V1_MAX ? 0 : bad(ret_why, "the line is over 107 bytes");
    size_t n = (size_t)(lf - in);
    if (n <= word.n || in[n - 1] != '\r')
        return bad(ret_why, "the line does not end in CR LF");
    h->version = 1;
    const char *why = read_line(slice_of(in + word.n, n - 1 - word.n), h);
    return why ? bad(ret_why, why) : (ssize_t)n + 1;
}

/* ---- version 2 ---- */

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* CRC-32C (RFC 3720 appendix B.4), four bits at a time: a header is short and few have one. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* The sum of in[0..len) with the four bytes at `at` taken for zero. */
static uint32_t header_sum(const uint8_t *in, size_t len, size_t at)
{
    static const uint8_t zero[4];
    uint32_t crc = crc32c(~0U, in, at);

    crc = crc32c(crc, zero, sizeof(zero));
    return ~crc32c(crc, in + at + 4, len - at - 4);
}

enum tlv {
    TLV_ALPN = 0x01,
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_UNIQUE_ID = 0x05,
    TLV_SSL = 0x20,
};
enum { TLV_HEAD = 3, SSL_HEAD = 5, SSL_CLIENT_SSL = 0x01 };

/* What a type's value may be long; types that are not here are the proxy's and its own
 * applications' business. */
static const struct tlv_row {
    uint8_t type;
    uint16_t min, max;
} tlv_rows[] = {
    {TLV_ALPN, 1, 255},      /* RFC 7301 3.1 */
    {TLV_AUTHORITY, 1, 255}, /* a host name */
    {TLV_CRC32C, 4, 4},
    {TLV_UNIQUE_ID, 0, 128}, /* 2.2.4 */
    {TLV_SSL, SSL_HEAD, UINT16_MAX},
};

static bool tlv_length_ok(uint8_t type, size_t n)
{
    for (size_t i = 0; i < sizeof(tlv_rows) / sizeof(tlv_rows[0]); i++) {
        if (tlv_rows[i].type == type)
            return n >= tlv_rows[i].min && n <= tlv_rows[i].max;
    }
    return true;
}

/* The length of the TLV at the front of p[0..n), with its head; 0: it does not fit. */
static size_t tlv_whole(const uint8_t *p, size_t n)
{
    size_t whole = n < TLV_HEAD ? 0 : TLV_HEAD + (size_t)be16(p + 1);

    return whole > n ? 0 : whole;
}

/* The TLVs inside of PP2_TYPE_SSL must fill it (2.2.6). */
static bool ssl_fits(const uint8_t *p, size_t n)
{
    size_t at = SSL_HEAD, whole;

    while (at < n && (whole = tlv_whole(p + at, n - at)) > 0)
        at += whole;
    return at == n;
}

/* in[at..len) is a run of TLVs. */
static const char *read_tlvs(const uint8_t *in, size_t at, size_t len, struct proxy_header *h)
{
    bool summed = false;

    while (at < len) {
        size_t whole = tlv_whole(in + at, len - at), value = at + TLV_HEAD;
        if (!whole)
            return "a TLV does not fit";
        if (!tlv_length_ok(in[at], whole - TLV_HEAD))
            return "a TLV has a wrong length";
        if (in[at] == TLV_CRC32C) {
            if (summed)
                return "two checksums";
            if (header_sum(in, len, value) != be32(in + value))
                return "wrong checksum";
            summed = true;
        } else if (in[at] == TLV_SSL) {
            if (!ssl_fits(in + value, whole - TLV_HEAD))
                return "a TLV does not fit";
            h->tls = in[value] & SSL_CLIENT_SSL;
        }
        at += whole;
    }
    return NULL;
}

/* Families with their transports, and what their addresses take: 2.2.  Others must be
 * refused. */
static const struct family_row {
    uint8_t code;
    int family;
    uint16_t length;
} family_rows[] = {
    {0x00, AF_UNSPEC, 0}, {0x11, AF_INET, 12},  {0x12, AF_INET, 12},  {0x21, AF_INET6, 36},
    {0x22, AF_INET6, 36}, {0x31, AF_UNIX, 216}, {0x32, AF_UNIX, 216},
};

static const struct family_row *family_find(uint8_t code)
{
    for (size_t i = 0; i < sizeof(family_rows) / sizeof(family_rows[0]); i++) {
        if (family_rows[i].code == code)
            return &family_rows[i];
    }
    return NULL;
}

static void take_ends(const uint8_t *p, int family, struct proxy_header *h)
{
    h->known = family != AF_UNSPEC;
    h->from.sa.sa_family = h->to.sa.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        memcpy(&h->from.in.sin_addr, p, 4);
        memcpy(&h->to.in.sin_addr, p + 4, 4);
        memcpy(&h->from.in.sin_port, p + 8, 2);
        memcpy(&h->to.in.sin_port, p + 10, 2);
    } else if (family == AF_INET6) {
        memcpy(&h->from.in6.sin6_addr, p, 16);
        memcpy(&h->to.in6.sin6_addr, p + 16, 16);
        memcpy(&h->from.in6.sin6_port, p + 32, 2);
        memcpy(&h->to.in6.sin6_port, p + 34, 2);
    }
}

static ssize_t parse_v2(const uint8_t *in, size_t len, struct proxy_header *h,
                        const char **ret_why)
{
    if (memcmp(in, signature, len < sizeof(signature) ? len : sizeof(signature)) != 0)
        return bad(ret_why, not_one);
    if (len > 12 && in[12] != 0x20 && in[12] != 0x21)
        return bad(ret_why, in[12] >> 4 == 2 ? "neither LOCAL nor PROXY" : "unknown version");
    if (len < PROXY_V2_HEAD)
        return 0;
    size_t whole = PROXY_V2_HEAD + (size_t)be16(in + 14);
    if (whole > PROXY_MAX)
        return bad(ret_why, "the header is over 4096 bytes");
    const struct family_row *row = family_find(in[13]);
    h->local = in[12] == 0x20;
    if (!h->local && !row)
        return bad(ret_why, "unknown address family or transport");
    if (!h->local && whole < PROXY_V2_HEAD + (size_t)row->length)
        return bad(ret_why, "the addresses do not fit");
    if (len < whole)
        return 0;
    h->version = 2;
    if (h->local)
        return (ssize_t)whole; /* all else is to be ignored */
    take_ends(in + PROXY_V2_HEAD, row->family, h);
    const char *why = read_tlvs(in, PROXY_V2_HEAD + (size_t)row->length, whole, h);
    return why ? bad(ret_why, why) : (ssize_t)whole;
}

ssize_t proxy_header_parse(const uint8_t *in, size_t len, struct proxy_header *ret_header,
                           const char **ret_why)
{
    struct proxy_header h = {0};

    if (len == 0)
        return 0;
    ssize_t n =
        in[0] == signature[0] ? parse_v2(in, len, &h, ret_why) : parse_v1(in, len, &h, ret_why);
    if (n > 0)
        *ret_header = h;
    return n;
}
