/*
 * A request head per row: what goes in, and what the parser makes of it as one line of text.
 * Every row is parsed whole, split in two at each offset, and byte by byte, each time from a
 * buffer that ends where the input does and moves between calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../gateway/err.h"
#include "../../gateway/h1parse.h"

enum { MAX_BYTES = 64 * 1024, MAX_FIELDS = 100 };

struct row {
    const char *in;
    size_t n;
    const char *want; /* describe()'s line, or the error's name, or "more" */
};
#define ROW(in, want)                                                                          \
    {                                                                                          \
        (in), sizeof(in) - 1, (want)                                                           \
    }
#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define OLD "GET / HTTP/1.0\r\n"
#define END "\r\n"

static const char *const forms[] = {"origin", "absolute", "top", "asterisk", "authority"};

/* "METHOD form origin authority version [len=N] [chunked] [expect] [expect?] keep|close". */
static void describe(char *out, size_t cap, const struct h1_head *h, const char *in)
{
    struct slice method = h1_slice(in, h->method), origin = h1_slice(in, h->origin),
                 authority = h1_slice(in, h->authority);
    char len[32] = "";

    if (h->content_length >= 0)
        snprintf(len, sizeof(len), " len=%lld", (long long)h->content_length);
    snprintf(out, cap, "%.*s %s %.*s %.*s %d%s%s%s%s %s", SLICE_FMT(method), forms[h->form],
             SLICE_FMT(origin), SLICE_FMT(authority), h->version, len,
             h->chunked ? " chunked" : "", h->expect_continue ? " expect" : "",
             h->expect_unknown ? " expect?" : "", h->persistent ? "keep" : "close");
}

/* Feed in[0..n) in pieces: up to cut, then step bytes at a time. */
static ssize_t feed(struct h1_head *h, const char *in, size_t n, size_t cut, size_t step)
{
    for (size_t k = cut;; k = k + step < n ? k + step : n) {
        uint8_t *copy = malloc(k ? k : 1);
        assert_non_null(copy);
        memcpy(copy, in, k);
        ssize_t rc = h1_head_parse(h, copy, k);
        free(copy);
        if (rc != 0 || k == n)
            return rc;
    }
}

static void check_row(const struct row *r, size_t cut, size_t step)
{
    struct h1_head h;
    char got[20000];

    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    ssize_t rc = feed(&h, r->in, r->n, cut, step);
    if (rc > 0) {
        describe(got, sizeof(got), &h, r->in);
        if ((size_t)rc != r->n)
            fail_msg("%zd of %zu bytes taken: %s", rc, r->n, r->in);
    } else {
        snprintf(got, sizeof(got), "%s", rc == 0 ? "more" : gw_err_name((int)rc));
    }
    if (strcmp(got, r->want) != 0)
        fail_msg("\n%s\ncut at %zu, then %zu: got %s, want %s", r->in, cut, step, got, r->want);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_row(&rows[i], rows[i].n, 1);
        check_row(&rows[i], 0, 1);
        for (size_t cut = 1; cut < rows[i].n; cut++)
            check_row(&rows[i], cut, rows[i].n);
    }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static const struct row request_lines[] = {
    ROW(GET END, "GET origin / a 11 keep"),
    ROW("GET /a/b?c=d&e HTTP/1.1\r\n" HOST END, "GET origin /a/b?c=d&e a 11 keep"),
    ROW("GET //a//b HTTP/1.1\r\n" HOST END, "GET origin //a//b a 11 keep"),
    ROW("GET /?? HTTP/1.1\r\n" HOST END, "GET origin /?? a 11 keep"),
    ROW("GET /%00%2f/../. HTTP/1.1\r\n" HOST END, "GET origin /%00%2f/../. a 11 keep"),
    ROW("GET /a|b^c`{d}[e]\\\"<f> HTTP/1.1\r\n" HOST END,
        "GET origin /a|b^c`{d}[e]\\\"<f> a 11 keep"),
    ROW("GET /\xc3\xa4 HTTP/1.1\r\n" HOST END, "GET origin /\xc3\xa4 a 11 keep"),
    ROW("GET /@:;,=+$!'()*~ HTTP/1.1\r\n" HOST END, "GET origin /@:;,=+$!'()*~ a 11 keep"),
    ROW("G / HTTP/1.1\r\n" HOST END, "G origin / a 11 keep"),
    ROW("get / HTTP/1.1\r\n" HOST END, "get origin / a 11 keep"),
    ROW("PROPFIND / HTTP/1.1\r\n" HOST END, "PROPFIND origin / a 11 keep"),
    ROW("UPDATEREDIRECTREF / HTTP/1.1\r\n" HOST END, "UPDATEREDIRECTREF origin / a 11 keep"),
    ROW("M-SEARCH / HTTP/1.1\r\n" HOST END, "M-SEARCH origin / a 11 keep"),
    ROW("!#$%&'*+-.^_`|~09 / HTTP/1.1\r\n" HOST END, "!#$%&'*+-.^_`|~09 origin / a 11 keep"),
    /* leading empty lines */
    ROW("\r\n" GET END, "GET origin / a 11 keep"),
    ROW("\r\n\r\n" GET END, "EREQ_SYNTAX"),
    ROW("\n" GET END, "EREQ_SYNTAX"),
    ROW("\r" GET END, "EREQ_SYNTAX"),
    ROW(" " GET END, "EREQ_SYNTAX"),
    ROW("\t" GET END, "EREQ_SYNTAX"),
    ROW("\0" GET END, "EREQ_SYNTAX"),
    /* absolute form */
    ROW("GET http://b/p?q HTTP/1.1\r\n" HOST END, "GET absolute /p?q b 11 keep"),
    ROW("GET http://b:8080/ HTTP/1.1\r\n" HOST END, "GET absolute / b:8080 11 keep"),
    ROW("GET HTTPS://B/ HTTP/1.1\r\n" HOST END, "GET absolute / B 11 keep"),
    ROW("GET http://[::1]:80/ HTTP/1.1\r\n" HOST END, "GET absolute / [::1]:80 11 keep"),
    ROW("GET http://b HTTP/1.1\r\n" HOST END, "GET top  b 11 keep"),
    ROW("GET http://b?q HTTP/1.1\r\n" HOST END, "GET top ?q b 11 keep"),
    ROW("GET http://b/ HTTP/1.0\r\n" END, "GET absolute / b 10 close"),
    ROW("GET http://b/ HTTP/1.1\r\n" END, "EREQ_HOST"),
    ROW("GET http:///p HTTP/1.1\r\n" HOST END, "EREQ_HOST"),
    ROW("GET http:// HTTP/1.1\r\n" HOST END, "EREQ_HOST"),
    ROW("GET http://u@b/ HTTP/1.1\r\n" HOST END, "EREQ_HOST"),
    ROW("GET http://u:p@b/ HTTP/1.1\r\n" HOST END, "EREQ_HOST"),
    ROW("GET http://b:x/ HTTP/1.1\r\n" HOST END, "EREQ_HOST"),
    ROW("GET http://b\\c/ HTTP/1.1\r\n" HOST END, "EREQ_HOST"),
    ROW("GET ftp://b/ HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET http:/b HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET http:b HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET ://b/ HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    /* asterisk and authority form */
    ROW("OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS asterisk  a 11 keep"),
    ROW("OPTIONS http://b HTTP/1.1\r\n" HOST END, "OPTIONS asterisk  b 11 keep"),
    ROW("OPTIONS http://b? HTTP/1.1\r\n" HOST END, "OPTIONS top ? b 11 keep"),
    ROW("OPTIONS http://b/ HTTP/1.1\r\n" HOST END, "OPTIONS absolute / b 11 keep"),
    ROW("OPTIONS / HTTP/1.1\r\n" HOST END, "OPTIONS origin / a 11 keep"),
    ROW("OPTIONS ** HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET * HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("options * HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("CONNECT b:443 HTTP/1.1\r\n" HOST END, "CONNECT authority  b:443 11 keep"),
    ROW("CONNECT [::1]:443 HTTP/1.1\r\n" HOST END, "CONNECT authority  [::1]:443 11 keep"),
    ROW("CONNECT b HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("CONNECT b: HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("CONNECT b:65536 HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("CONNECT / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("CONNECT http://b:443/ HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET b:443 HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET a HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET ?q HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    /* spaces and bytes in the line */
    ROW("GET  / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /  HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET\t/ HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /\tHTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1 \r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /a b HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /a#b HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /a\0b HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /a\x7f HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /a\x01 HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /\r HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET /\v HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1\r" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1\r\r\n" HOST END, "EREQ_SYNTAX"),
    ROW(" / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("G@T / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("G\xc3T / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET: / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("\"GET\" / HTTP/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("\x16\x03\x01\x02\x00\x01\x00", "EREQ_SYNTAX"), /* a TLS ClientHello */
    /* versions */
    ROW("GET / HTTP/1.2\r\n" HOST END, "GET origin / a 11 keep"),
    ROW("GET / HTTP/1.9\r\n" HOST END, "GET origin / a 11 keep"),
    ROW("GET / HTTP/1.0\r\n" HOST END, "GET origin / a 10 close"),
    ROW("GET / HTTP/2.0\r\n" HOST END, "EREQ_VERSION"),
    ROW("GET / HTTP/3.1\r\n" HOST END, "EREQ_VERSION"),
    ROW("GET / HTTP/0.9\r\n" HOST END, "EREQ_VERSION"),
    ROW("GET / HTTP/9.9\r\n" HOST END, "EREQ_VERSION"),
    ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "EREQ_VERSION"),
    ROW("GET / HTTP/2\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.10\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/01.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/11.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1,1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/a.b\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/-1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / http/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP 1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTPS/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / ICY/1.1\r\n" HOST END, "EREQ_SYNTAX"),
    ROW("GET / \r\n\r\n", "EREQ_SYNTAX"),
    ROW("GET /\r\n\r\n", "EREQ_SYNTAX"), /* HTTP/0.9 */
    ROW("GET\r\n\r\n", "EREQ_SYNTAX"),
    /* not yet complete */
    ROW("", "more"),
    ROW("\r", "more"),
    ROW("\r\n", "more"),
    ROW("GET", "more"),
    ROW("GET / HTTP/1.1\r\n", "more"),
    ROW(GET, "more"),
    ROW(GET "\r", "more"),
};

static const struct row field_lines[] = {
    ROW(GET "A: b\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "A:b\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "A:\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "A: \t \r\n" END, "GET origin / a 11 keep"),
    ROW(GET "A: \tb\t \r\n" END, "GET origin / a 11 keep"),
    ROW(GET "A: b:c \xff\x80\t\"d\"\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "!#$%&'*+-.^_`|~09azAZ: b\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nConnection: Upgrade, HTTP2-Settings\r\n" END,
        "GET origin / a 11 keep"),
    ROW(GET "Upgrade: websocket\r\n" END, "GET origin / a 11 keep"),
    /* colon and name */
    ROW(GET "A : b\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A\t: b\r\n" END, "EREQ_SYNTAX"),
    ROW(GET ": b\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A B: c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A(: c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A\x80: c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A\0: c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "\"A\": c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A\r: c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A/B: c\r\n" END, "EREQ_SYNTAX"),
    /* folding and first lines */
    ROW(GET "A: b\r\n c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\r\n\tc\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\r\n \r\n" END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1\r\n " HOST END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1\r\n\t" HOST END, "EREQ_SYNTAX"),
    /* line ends */
    ROW(GET "A: b\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\r" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\rc\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\r\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\n\n", "EREQ_SYNTAX"),
    ROW(GET "\n", "EREQ_SYNTAX"),
    ROW(GET "\rA: b\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "\r\r\n", "EREQ_SYNTAX"),
    /* values */
    ROW(GET "A: b\0c\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: \0\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\x01\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: b\x1f"
            "c\r\n" END,
        "EREQ_SYNTAX"),
    ROW(GET "A: b\x7f\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: \v\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: 0123456789abcdef\x7f\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: 0123456789abcdef\x08\r\n" END, "EREQ_SYNTAX"),
    ROW(GET "A: 0123456789\tabcdef \xfe z\r\n" END, "GET origin / a 11 keep"),
};

static const struct row hosts[] = {
    ROW("GET / HTTP/1.1\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.2\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.0\r\n" END, "GET origin /  10 close"),
    ROW(GET HOST END, "EREQ_HOST"),
    ROW(GET "host: b\r\n" END, "EREQ_HOST"),
    ROW(OLD HOST HOST END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHOST: B.example:80\r\n" END, "GET origin / B.example:80 11 keep"),
    ROW("GET / HTTP/1.1\r\nHost:a\r\n" END, "GET origin / a 11 keep"),
    ROW("GET / HTTP/1.1\r\nHost: a:\r\n" END, "GET origin / a: 11 keep"),
    ROW("GET / HTTP/1.1\r\nHost: \t192.0.2.1:8080 \r\n" END,
        "GET origin / 192.0.2.1:8080 11 keep"),
    ROW("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n" END,
        "GET origin / [2001:db8::1]:8080 11 keep"),
    ROW("GET / HTTP/1.1\r\nHost: x%41-_.~!$&'()*+,;=\r\n" END,
        "GET origin / x%41-_.~!$&'()*+,;= 11 keep"),
    ROW("GET / HTTP/1.1\r\nHost:\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: \r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: :80\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a, b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a/b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: http://a\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: u@a\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a:b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a:-1\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a:65536\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a:1:2\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a?b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a#b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a%4\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a%zz\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: a\\b\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost: <a>\r\n" END, "EREQ_HOST"),
    ROW("GET / HTTP/1.1\r\nHost : a\r\n" END, "EREQ_SYNTAX"),
    ROW("GET / HTTP/1.1\r\nXHost: a\r\n" END, "EREQ_HOST"),
};

static const struct row framings[] = {
    ROW(POST "Content-Length: 0\r\n" END, "POST origin / a 11 len=0 keep"),
    ROW(POST "content-length:5\r\n" END, "POST origin / a 11 len=5 keep"),
    ROW(POST "Content-Length: 007\r\n" END, "POST origin / a 11 len=7 keep"),
    ROW(POST "Content-Length: 9223372036854775807\r\n" END,
        "POST origin / a 11 len=9223372036854775807 keep"),
    ROW(POST "Content-Length: 9223372036854775808\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 18446744073709551616\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 99999999999999999999999\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length:\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: \r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: +5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: -5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 0x5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5 5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5,5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5, 6\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5,\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5;a\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5.0\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 1_0\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: \"5\"\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: \xd9\xa5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5\r\nContent-Length: 6\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 0\r\nContent-Length: 0\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length : 5\r\n" END, "EREQ_SYNTAX"),
    ROW(POST "Content_Length: 5\r\n" END, "POST origin / a 11 keep"),
    ROW(GET "Content-Length: 5\r\n" END, "GET origin / a 11 len=5 keep"),
    ROW(OLD "Content-Length: 5\r\n" END, "GET origin /  10 len=5 close"),
    /* transfer codings */
    ROW(POST "Transfer-Encoding: chunked\r\n" END, "POST origin / a 11 chunked keep"),
    ROW(POST "Transfer-Encoding: CHUNKED\r\n" END, "POST origin / a 11 chunked keep"),
    ROW(POST "transfer-encoding:\tchunked\t\r\n" END, "POST origin / a 11 chunked keep"),
    ROW(GET "Transfer-Encoding: chunked\r\n" END, "GET origin / a 11 chunked keep"),
    ROW(POST "Transfer-Encoding: gzip, chunked\r\n" END, "EREQ_CODING"),
    ROW(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END, "EREQ_CODING"),
    ROW(POST "Transfer-Encoding: identity, chunked\r\n" END, "EREQ_CODING"),
    ROW(POST "Transfer-Encoding: x;q=\"1\", chunked\r\n" END, "EREQ_CODING"),
    ROW(POST "Transfer-Encoding: gzip\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: identity\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: xchunked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked, gzip\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked, identity\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked, chunked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END,
        "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked,\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: ,chunked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding:\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: \"chunked\"\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked;a=b\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chunked ;\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: chun ked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: a b, chunked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: 'chunked'\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding: \vchunked\r\n" END, "EREQ_SYNTAX"),
    ROW(POST "Transfer-Encoding: chunked\0\r\n" END, "EREQ_SYNTAX"),
    ROW(POST "Transfer-Encoding:\r\n chunked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Transfer-Encoding : chunked\r\n" END, "EREQ_SYNTAX"),
    ROW(POST " Transfer-Encoding: chunked\r\n" END, "EREQ_SYNTAX"),
    ROW(POST "X: y\rTransfer-Encoding: chunked\r\n" END, "EREQ_SYNTAX"),
    ROW(POST "X: y\nTransfer-Encoding: chunked\r\n" END, "EREQ_SYNTAX"),
    ROW(POST "Transfer_Encoding: chunked\r\n" END, "POST origin / a 11 keep"),
    ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, "EREQ_FRAMING"),
    ROW(POST "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n" END, "EREQ_FRAMING"),
    ROW("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n" END, "EREQ_FRAMING"),
    ROW("POST / HTTP/1.2\r\n" HOST "Transfer-Encoding: chunked\r\n" END,
        "POST origin / a 11 chunked keep"),
};

static const struct row connections[] = {
    ROW(GET "Connection: close\r\n" END, "GET origin / a 11 close"),
    ROW(GET "Connection: CLOSE\r\n" END, "GET origin / a 11 close"),
    ROW(GET "Connection: x, close ,y\r\n" END, "GET origin / a 11 close"),
    ROW(GET "Connection: keep-alive\r\nConnection: close\r\n" END, "GET origin / a 11 close"),
    ROW(GET "Connection: close, keep-alive\r\n" END, "GET origin / a 11 close"),
    ROW(GET "Connection: keep-alive\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "Connection: closed\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "Connection:\r\n" END, "GET origin / a 11 keep"),
    ROW(GET "Proxy-Connection: close\r\n" END, "GET origin / a 11 keep"),
    ROW(OLD END, "GET origin /  10 close"),
    ROW(OLD "Connection: keep-alive\r\n" END, "GET origin /  10 keep"),
    ROW(OLD "Connection: Keep-Alive\r\n" END, "GET origin /  10 keep"),
    ROW(OLD "Connection: keep-alive, close\r\n" END, "GET origin /  10 close"),
    ROW(OLD "Proxy-Connection: keep-alive\r\n" END, "GET origin /  10 close"),
    ROW(OLD "Keep-Alive: 5\r\n" END, "GET origin /  10 close"),
    ROW(GET "Expect: 100-continue\r\n" END, "GET origin / a 11 expect keep"),
    ROW(GET "Expect: 100-CONTINUE\r\n" END, "GET origin / a 11 expect keep"),
    ROW(GET "Expect: 100-continue, x\r\n" END, "GET origin / a 11 expect? keep"),
    ROW(GET "Expect: 200-ok\r\n" END, "GET origin / a 11 expect? keep"),
    ROW(GET "Expect:\r\n" END, "GET origin / a 11 expect? keep"),
    ROW(GET "Expect: 100-continue\r\nExpect: x\r\n" END,
        "GET origin / a 11 expect expect? keep"),
    ROW(OLD "Expect: 100-continue\r\n" END, "GET origin /  10 close"),
    ROW(OLD "Expect: x\r\n" END, "GET origin /  10 close"),
};

static void request_line_rows(void **state)
{
    (void)state;
    CHECK(request_lines);
}

static void field_line_rows(void **state)
{
    (void)state;
    CHECK(field_lines);
}

static void host_rows(void **state)
{
    (void)state;
    CHECK(hosts);
}

static void framing_rows(void **state)
{
    (void)state;
    CHECK(framings);
}

static void connection_rows(void **state)
{
    (void)state;
    CHECK(connections);
}

/* No proper part of a good head is one, nor an error. */
static void parts_of_a_head_ask_for_more(void **state)
{
    static const char in[] = "\r\nPOST http://b/p HTTP/1.1\r\nHost: a\r\nX: y z\r\n"
                             "Content-Length: 5\r\nConnection: close\r\n\r\n";

    (void)state;
    for (size_t n = 0; n < sizeof(in) - 1; n++) {
        struct h1_head h;
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(feed(&h, in, n, n, 1), 0);
        assert_int_equal(h.begun, n > 2);
    }
}

static void what_follows_is_left(void **state)
{
    static const char in[] = GET END "GET /2";
    struct h1_head h;

    (void)state;
    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    assert_int_equal(h1_head_parse(&h, (const uint8_t *)in, sizeof(in) - 1),
                     sizeof(GET END) - 1);
}

static void fields_are_found_again(void **state)
{
    static const char in[] = "\r\nGET / HTTP/1.1\r\nHost:a:1\r\nEmpty:\r\nSpace: \t \r\n"
                             "x-A:  b: c\t\r\nx-a: \xff\r\n\r\nrest: no\r\n";
    static const char *const want[][2] = {
        {"Host", "a:1"}, {"Empty", ""}, {"Space", ""}, {"x-A", "b: c"}, {"x-a", "\xff"},
    };
    struct field fields[8];
    struct h1_head h;

    (void)state;
    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    assert_true(h1_head_parse(&h, (const uint8_t *)in, sizeof(in) - 1) > 0);
    assert_int_equal(h.n_fields, 5);
    h1_head_fields(&h, in, fields);
    for (size_t i = 0; i < 5; i++) {
        assert_true(slice_eq(fields[i].name, slice_str(want[i][0])));
        assert_true(slice_eq(fields[i].value, slice_str(want[i][1])));
    }
}

/* The request line stays known after an error behind it: the answer and the log want it. */
static void errors_keep_the_request_line(void **state)
{
    static const char in[] = "HEAD /x HTTP/1.0\r\nA : b\r\n\r\n";
    struct h1_head h;

    (void)state;
    h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
    assert_int_equal(h1_head_parse(&h, (const uint8_t *)in, sizeof(in) - 1), GW_EREQ_SYNTAX);
    assert_true(slice_eq(h1_slice(in, h.method), SLICE("HEAD")));
    assert_true(slice_eq(h1_slice(in, h.target), SLICE("/x")));
    assert_int_equal(h.version, 10);
    assert_true(h.at <= sizeof(in) - 1);
}

/* A head of before, n times fill, and after, under limits; whole, then byte by byte. */
static void check_limit(const char *before, char fill, size_t n, const char *after,
                        size_t max_bytes, uint32_t max_fields, int want)
{
    size_t a = strlen(before), b = strlen(after), len = a + n + b;
    char *in = malloc(len);

    assert_non_null(in);
    memcpy(in, before, a);
    memset(in + a, fill, n);
    memcpy(in + a + n, after, b);
    for (int whole = 0; whole < 2; whole++) {
        struct h1_head h;
        ssize_t rc = 0;
        h1_head_init(&h, max_bytes, max_fields);
        for (size_t k = whole ? len : 1; rc == 0 && k <= len; k++)
            rc = h1_head_parse(&h, (const uint8_t *)in, k);
        assert_int_equal(rc, want ? want : (int)len);
    }
    free(in);
}

static void limits(void **state)
{
    const char *version = " HTTP/1.1\r\nHost: a\r\n\r\n";
    const size_t all = strlen("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    /* methods and targets */
    check_limit("", 'M', H1_METHOD_MAX, " / HTTP/1.1\r\nHost: a\r\n\r\n", MAX_BYTES, 1, 0);
    check_limit("", 'M', H1_METHOD_MAX + 1, " / HTTP/1.1\r\nHost: a\r\n\r\n", MAX_BYTES, 1,
                GW_EREQ_SYNTAX);
    check_limit("GET /", 'a', H1_TARGET_MAX - 1, version, MAX_BYTES, 1, 0);
    check_limit("GET /", 'a', H1_TARGET_MAX, version, MAX_BYTES, 1, GW_EREQ_URI_LONG);
    check_limit("GET /", 'a', 4 * H1_TARGET_MAX, "\x01", MAX_BYTES, 1, GW_EREQ_URI_LONG);
    /* the whole head */
    check_limit("GET /", 'a', 0, version, all, 1, 0);
    check_limit("GET /", 'a', 0, version, all - 1, 1, GW_EREQ_HEAD_LARGE);
    check_limit("GET /", 'a', 100, version, 105, 1, GW_EREQ_URI_LONG);
    check_limit("GET /", 'a', 100, version, 110, 1, GW_EREQ_URI_LONG);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', 1000, "\r\n\r\n", 1000, 9,
                GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\n", 'b', 1000, ": c\r\n\r\n", 1000, 9,
                GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', 70000, "\r\n\r\n", MAX_BYTES, 9,
                GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', MAX_BYTES - 32, "\r\n\r\n", MAX_BYTES,
                9, 0);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", 'b', MAX_BYTES - 31, "\r\n\r\n", MAX_BYTES,
                9, GW_EREQ_HEAD_LARGE);
    check_limit("GET / HTTP/1.1\r\nHost: a\r\nA: ", '\x01', 1, "", MAX_BYTES, 9,
                GW_EREQ_SYNTAX);
}

static void number_of_fields(void **state)
{
    struct h1_head h;
    char in[4096];

    (void)state;
    for (uint32_t n = 98; n < 102; n++) {
        size_t len = (size_t)snprintf(in, sizeof(in), GET);
        for (uint32_t i = 1; i < n; i++)
            len += (size_t)snprintf(in + len, sizeof(in) - len, "A: b\r\n");
        len += (size_t)snprintf(in + len, sizeof(in) - len, "\r\n");
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        ssize_t rc = h1_head_parse(&h, (const uint8_t *)in, len);
        assert_int_equal(rc, n <= MAX_FIELDS ? (ssize_t)len : GW_EREQ_HEAD_LARGE);
    }
}

/* Every byte in every place where one kind of byte is asked for. */
static void every_byte(void **state)
{
    static const char tchars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct h1_head h;

    (void)state;
    for (int c = 0; c < 256; c++) {
        char method[] = "G.T / HTTP/1.1\r\nHost: a\r\n\r\n", name[] = GET "A.B: c\r\n\r\n",
             value[] = GET "A: b.c1234567\r\n\r\n",
             target[] = "GET /.a HTTP/1.1\r\nHost: a\r\n\r\n";
        bool tchar = c && strchr(tchars, c), text = c == '\t' || (c >= ' ' && c != 0x7f);
        method[1] = name[strlen(GET) + 1] = value[strlen(GET) + 4] = target[5] = (char)c;
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(h1_head_parse(&h, (uint8_t *)method, sizeof(method) - 1) > 0, tchar);
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        /* a colon there ends the name: "A" with the value "B: c" */
        assert_int_equal(h1_head_parse(&h, (uint8_t *)name, sizeof(name) - 1) > 0,
                         tchar || c == ':');
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(h1_head_parse(&h, (uint8_t *)value, sizeof(value) - 1) > 0, text);
        h1_head_init(&h, MAX_BYTES, MAX_FIELDS);
        assert_int_equal(h1_head_parse(&h, (uint8_t *)target, sizeof(target) - 1) > 0,
                         c > ' ' && c != '#' && c != 0x7f);
        assert_int_equal(h1_value_ok(slice_of(&value[strlen(GET) + 4], 1)), text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_line_rows),
        cmocka_unit_test(field_line_rows),
        cmocka_unit_test(host_rows),
        cmocka_unit_test(framing_rows),
        cmocka_unit_test(connection_rows),
        cmocka_unit_test(parts_of_a_head_ask_for_more),
        cmocka_unit_test(what_follows_is_left),
        cmocka_unit_test(fields_are_found_again),
        cmocka_unit_test(errors_keep_the_request_line),
        cmocka_unit_test(limits),
        cmocka_unit_test(number_of_fields),
        cmocka_unit_test(every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
