/* gateway/proxyproto.h: every form of the header, whole, in pieces, and what is none. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "../../gateway/proxyproto.h"

/* "192.0.2.1 80", "2001:db8::1 0", "unix" */
static void end_text(const union sockaddr_any *a, char out[80])
{
    char ip[INET6_ADDRSTRLEN] = "unix";

    if (a->sa.sa_family == AF_UNIX) {
        strcpy(out, ip);
        return;
    }
    if (a->sa.sa_family == AF_INET)
        inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof(ip));
    else
        inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip));
    snprintf(out, 80, "%s %u", ip,
             ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port));
}

/* "known FROM TO", "local", "unknown", with " tls". */
static void header_text(const struct proxy_header *h, char out[200])
{
    char from[80] = "", to[80] = "";

    if (h->known) {
        end_text(&h->from, from);
        end_text(&h->to, to);
    }
    snprintf(out, 200, "v%u%s%s%s%s%s%s", h->version, h->local ? " local" : "",
             h->known ? " " : "", from, h->known ? " > " : "", to, h->tls ? " tls" : "");
}

/* The whole header, then followed by more, then each shorter piece, which needs more. */
static void expect_header(const uint8_t *in, size_t n, const char *want)
{
    struct proxy_header h;
    const char *why = "";
    char text[200];
    uint8_t *more = malloc(n + 40);

    ssize_t got = proxy_header_parse(in, n, &h, &why);
    if (got != (ssize_t)n)
        fail_msg("%s: %zd of %zu: %s", want, got, n, why);
    header_text(&h, text);
    assert_string_equal(text, want);
    memcpy(more, in, n);
    memset(more + n, '\n', 40);
    assert_int_equal(proxy_header_parse(more, n + 40, &h, &why), n);
    for (size_t k = 0; k < n; k++) { /* in memory that ends there */
        uint8_t *piece = malloc(k ? k : 1);
        memcpy(piece, in, k);
        if (proxy_header_parse(piece, k, &h, &why) != 0)
            fail_msg("%s: the first %zu bytes do not need more", want, k);
        free(piece);
    }
    free(more);
}

static void expect_bad(const uint8_t *in, size_t n, const char *want, const char *row)
{
    struct proxy_header h;
    const char *why = "";
    uint8_t *copy = malloc(n ? n : 1);

    memcpy(copy, in, n);
    ssize_t got = proxy_header_parse(copy, n, &h, &why);
    if (got >= 0 || strcmp(why, want) != 0)
        fail_msg("%s: %zd, \"%s\"", row, got, why);
    free(copy);
}

/* ---- version 1 ---- */

#define A39 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_v1(void **state)
{
    static const struct {
        const char *line, *want;
    } rows[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n",
         "v1 192.0.2.1 56324 > 198.51.100.9 443"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
         "v1 255.255.255.255 65535 > 255.255.255.255 65535"},
        {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "v1 0.0.0.0 0 > 0.0.0.0 0"},
        {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "v1 2001:db8::1 1 > ::1 2"},
        {"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::ffff:192.0.2.1 1 2\r\n",
         "v1 2001:db8::1 1 > ::ffff:192.0.2.1 2"},
        {"PROXY TCP6 " A39 " " A39 " 65535 65535\r\n", "v1 " A39 " 65535 > " A39 " 65535"},
        {"PROXY UNKNOWN\r\n", "v1"},
        {"PROXY UNKNOWN \r\n", "v1"},
        {"PROXY UNKNOWN " A39 " " A39 " 65535 65535\r\n", "v1"}, /* 107 bytes */
        {"PROXY UNKNOWN what ever \x01\r there is\r\n", "v1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_header((const uint8_t *)rows[i].line, strlen(rows[i].line), rows[i].want);
    assert_int_equal(strlen(rows[8].line), PROXY_V1_MAX);
}

static void test_v1_bad(void **state)
{
    static const char none[] = "no PROXY header", word[] = "a word of the line is missing",
                      kind[] = "neither TCP4, TCP6 nor UNKNOWN",
                      end[] = "an address or a port is not one",
                      crlf[] = "the line does not end in CR LF",
                      length[] = "the line is over 107 bytes";
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"GET / HTTP/1.1\r\n", none},
        {"PRI * HTTP/2.0\r\n", none},
        {"\x16\x03\x01", none},
        {"P\r\n", none},
        {"PROXY\r\n", none},
        {"PROXY\tTCP4 ", none},
        {"proxy TCP4 ", none},
        {" PROXY", none},
        {"PROXY \r\n", word},
        {"PROXY \n", crlf},
        {"PROXY TCP4\r\n", word},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", word},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 \r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", end},
        {"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", word},
        {"PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n", word},
        {"PROXY TCP4\t1.1.1.1 1.1.1.1 1 1\r\n", word},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", crlf},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1\r 1\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 99999999999999999999\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 1 00\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", end},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 0x1 1\r\n", end},
        {"PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n", end},
        {"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n", end},
        {"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n", end},
        {"PROXY TCP4 ::1 ::1 1 1\r\n", end},
        {"PROXY TCP4 1.1.1.1 ::1 1 1\r\n", end},
        {"PROXY TCP6 1.1.1.1 ::1 1 1\r\n", end},
        {"PROXY TCP6 ::1::1 ::1 1 1\r\n", end},
        {"PROXY TCP6 [::1] ::1 1 1\r\n", end},
        {"PROXY TCP6 fe80::1%lo ::1 1 1\r\n", end},
        {"PROXY TCP6 12345::1 ::1 1 1\r\n", end},
        {"PROXY TCP 1.1.1.1 1.1.1.1 1 1\r\n", kind},
        {"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", kind},
        {"PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n", kind},
        {"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", kind},
        {"PROXY UNKNOWNS 1.1.1.1 1.1.1.1 1 1\r\n", kind},
        {"PROXY UNKNOWN " X50 X50 "\r\n", length},
        {"PROXY UNKNOWN " A39 " " A39 " 65535 655350\r\n", length}, /* 108 bytes */
        {"PROXY TCP4 " X50 X50, length},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_bad((const uint8_t *)rows[i].line, strlen(rows[i].line), rows[i].why,
                   rows[i].line);
    static const char nul[] = "PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n";
    expect_bad((const uint8_t *)nul, sizeof(nul) - 1, end, "NUL");
}

/* ---- version 2 ---- */

static struct v2 {
    uint8_t bytes[70000];
    size_t n;
} v2;

static void put(const void *p, size_t n)
{
    memcpy(v2.bytes + v2.n, p, n);
    v2.n += n;
    v2.bytes[14] = (uint8_t)((v2.n - 16) >> 8);
    v2.bytes[15] = (uint8_t)(v2.n - 16);
}

static void begin(uint8_t command, uint8_t family)
{
    memcpy(v2.bytes, "\r\n\r\n\0\r\nQUIT\n", 12);
    v2.bytes[12] = command;
    v2.bytes[13] = family;
    v2.n = 16;
    put("", 0);
}

static void put_tlv(uint8_t type, const void *p, size_t n)
{
    const uint8_t head[3] = {type, (uint8_t)(n >> 8), (uint8_t)n};

    put(head, 3);
    put(p, n);
}

#define IN4 "\xc0\x00\x02\x01\xc6\x33\x64\x09\xdc\x04\x01\xbb"
#define TEXT4 "v2 192.0.2.1 56324 > 198.51.100.9 443"

static void begin_in4(void)
{
    begin(0x21, 0x11);
    put(IN4, 12);
}

static void good(const char *want)
{
    expect_header(v2.bytes, v2.n, want);
}

static void wrong(const char *why, const char *row)
{
    expect_bad(v2.bytes, v2.n, why, row);
}

static void test_v2(void **state)
{
    static const uint8_t in6[36] = {0x20, 1, 0xd, 0xb8, [15] = 1, [31] = 1, 1, 2, 3, 4};
    static const uint8_t ends[216] = "/run/a.sock";

    (void)state;
    begin_in4();
    good(TEXT4);
    v2.bytes[13] = 0x12; /* of a datagram: the addresses are what they are */
    good(TEXT4);
    begin(0x21, 0x21);
    put(in6, sizeof(in6));
    good("v2 2001:db8::1 258 > ::1 772");
    begin(0x21, 0x31);
    put(ends, sizeof(ends));
    good("v2 unix > unix");
    begin(0x21, 0x00);
    good("v2");
    begin(0x20, 0x00);
    good("v2 local");
    begin(0x20, 0x11); /* what HAProxy's checks may have is to be ignored */
    put(IN4, 12);
    put("\xff", 1);
    good("v2 local");
    begin(0x20, 0x77);
    good("v2 local");
    begin(0x21, 0x00); /* bytes behind no addresses are TLVs */
    put_tlv(0x04, "padding", 7);
    good("v2");
}

static void test_v2_bad(void **state)
{
    (void)state;
    begin(0x21, 0x11);
    for (size_t i = 0; i < 12; i++) {
        uint8_t kept = v2.bytes[i];
        v2.bytes[i] ^= 1;
        expect_bad(v2.bytes, i + 1, "no PROXY header", "signature");
        v2.bytes[i] = kept;
    }
    begin(0x11, 0x11);
    wrong("unknown version", "version 1");
    begin(0x31, 0x11);
    expect_bad(v2.bytes, 13, "unknown version", "at once");
    begin(0x22, 0x11);
    wrong("neither LOCAL nor PROXY", "command 2");
    for (unsigned family = 0; family < 256; family++) {
        bool known = family == 0 || family == 0x11 || family == 0x12 || family == 0x21 ||
                     family == 0x22 || family == 0x31 || family == 0x32;
        begin(0x21, (uint8_t)family);
        if (!known)
            wrong("unknown address family or transport", "family");
        else if (family)
            wrong("the addresses do not fit", "none");
    }
    begin(0x21, 0x11);
    put(IN4, 11);
    wrong("the addresses do not fit", "IPv4");
    begin(0x21, 0x21);
    put(IN4 IN4 "0123456789a", 35);
    wrong("the addresses do not fit", "IPv6");
    begin(0x21, 0x31);
    static const uint8_t ends[215];
    put(ends, sizeof(ends));
    wrong("the addresses do not fit", "unix");
}

static void test_v2_length(void **state)
{
    static uint8_t pad[5000];

    (void)state;
    begin_in4();
    put_tlv(0x04, pad, PROXY_MAX - 16 - 12 - 3);
    assert_int_equal(v2.n, PROXY_MAX);
    good(TEXT4);
    begin_in4();
    put_tlv(0x04, pad, PROXY_MAX - 16 - 12 - 2);
    expect_bad(v2.bytes, 16, "the header is over 4096 bytes", "before it came");
    begin(0x20, 0);
    v2.bytes[14] = v2.bytes[15] = 0xff;
    wrong("the header is over 4096 bytes", "LOCAL");
}

static void test_tlvs(void **state)
{
    static const uint8_t pad[300];
    static const struct {
        uint8_t type;
        size_t n;
        const char *why; /* NULL: fine */
    } rows[] = {
        {0x01, 2, NULL},     {0x01, 0, "length"},   {0x01, 256, "length"}, {0x02, 255, NULL},
        {0x02, 0, "length"}, {0x02, 256, "length"}, {0x03, 3, "length"},   {0x03, 5, "length"},
        {0x05, 128, NULL},   {0x05, 129, "length"}, {0x05, 0, NULL},       {0x30, 7, NULL},
        {0x30, 0, NULL},     {0xe0, 300, NULL},     {0x04, 300, NULL},     {0x20, 4, "length"},
        {0x20, 5, NULL},     {0x20, 6, "fit"},      {0x20, 7, "fit"},      {0x20, 8, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = rows[i].why && rows[i].why[0] == 'l' ? "a TLV has a wrong length"
                                                               : "a TLV does not fit";
        char row[32];
        snprintf(row, sizeof(row), "row %zu", i);
        begin_in4();
        put_tlv(0xe1, "x", 1);
        put_tlv(rows[i].type, pad, rows[i].n);
        if (rows[i].why)
            wrong(why, row);
        else
            good(TEXT4);
    }
    for (size_t n = 1; n < 8; n++) { /* one that has seven bytes is cut */
        begin_in4();
        put("\xe1\x00\x04....", n);
        if (n < 7)
            wrong("a TLV does not fit", "cut");
        else
            good(TEXT4);
    }
}

static void test_tls(void **state)
{
    static const char ssl[] = "\x05\0\0\0\0\x21\0\x07TLSv1.3\x23\0\x02xy";

    (void)state;
    begin_in4();
    put_tlv(0x20, ssl, sizeof(ssl) - 1);
    good(TEXT4 " tls");
    begin_in4();
    put_tlv(0x20, "\x06\0\0\0\0", 5); /* a certificate, but not over TLS */
    good(TEXT4);
    begin(0x21, 0x00);
    put_tlv(0x20, "\x01\0\0\0\0", 5);
    good("v2 tls");
}

static void put_sum(uint32_t sum)
{
    const uint8_t value[4] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
                              (uint8_t)sum};
    put_tlv(0x03, value, 4);
}

static uint32_t plain_crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0U;

    while (n--) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void test_checksum(void **state)
{
    (void)state;
    assert_int_equal(plain_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
    begin_in4();
    put_tlv(0xe1, "in front", 8);
    size_t at = v2.n + 3;
    put_sum(0);
    put_tlv(0xe1, "behind", 6);
    uint32_t sum = plain_crc32c(v2.bytes, v2.n);
    wrong("wrong checksum", "zero");
    for (int i = 0; i < 4; i++)
        v2.bytes[at + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
    good(TEXT4);
    for (size_t i = 16; i < v2.n; i++) { /* each byte counts */
        const char *why = "";
        struct proxy_header h;
        v2.bytes[i] ^= 0x40;
        ssize_t n = proxy_header_parse(v2.bytes, v2.n, &h, &why);
        bool type = i == at - 3; /* then it is none */
        assert_true(type ? n > 0 : n < 0);
        v2.bytes[i] ^= 0x40;
    }
    begin_in4();
    put_sum(0);
    put_sum(0);
    v2.bytes[v2.n] = 0;
    struct proxy_header h;
    const char *why = "";
    assert_true(proxy_header_parse(v2.bytes, v2.n, &h, &why) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),        cmocka_unit_test(test_v1_bad),
        cmocka_unit_test(test_v2),        cmocka_unit_test(test_v2_bad),
        cmocka_unit_test(test_v2_length), cmocka_unit_test(test_tlvs),
        cmocka_unit_test(test_tls),       cmocka_unit_test(test_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
