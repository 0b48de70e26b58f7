/*
 * fcgi/response.c: a table of heads, each fed whole, at every split and byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../fcgi/response.h"
#include "../../gateway/err.h"

enum { MAX = 4096 };

struct row {
    const char *in; /* the head; "body" follows it in the test */
    int result;     /* 0: good; else the error */
    int status;
    enum response_kind kind;
    const char *summary; /* "reason|location|content length|name=value;..." */
};

#define DOC RESPONSE_DOCUMENT
#define LOCAL RESPONSE_LOCAL_REDIRECT
#define CLIENT RESPONSE_CLIENT_REDIRECT
#define BAD(text)                                                                              \
    {                                                                                          \
        text, GW_ECGI_HEADER, 0, DOC, ""                                                       \
    }

static const struct row rows[] = {
    /* documents, 6.2.1 */
    {"Content-Type: text/html\n\n", 0, 200, DOC, "||-1|Content-Type=text/html;"},
    {"Content-type:text/plain\r\n\r\n", 0, 200, DOC, "||-1|Content-type=text/plain;"},
    {"A: 1\r\nB: 2\n\r\n", 0, 200, DOC, "||-1|A=1;B=2;"},
    {"X: \t a b \t\n\n", 0, 200, DOC, "||-1|X=a b;"},
    {"Empty:\nAlso: \n\n", 0, 200, DOC, "||-1|Empty=;Also=;"},
    {"X: caf\xc3\xa9\n\n", 0, 200, DOC, "||-1|X=caf\xc3\xa9;"},
    {"X: a:b::c\n\n", 0, 200, DOC, "||-1|X=a:b::c;"},
    {"!#$%&'*+-.^_`|~09azAZ: x\n\n", 0, 200, DOC, "||-1|!#$%&'*+-.^_`|~09azAZ=x;"},
    {"Set-Cookie: a=1\nSet-Cookie: b=2\nset-cookie: c=3\n\n", 0, 200, DOC,
     "||-1|Set-Cookie=a=1;Set-Cookie=b=2;set-cookie=c=3;"},
    {"<!--: spam\nContent-Type: text/html\n\n", 0, 200, DOC, "||-1|Content-Type=text/html;"},
    BAD("<!-: spam\n\n"),
    BAD("<p>: spam\n\n"),
    /* Status, 6.3.3 */
    {"Status: 404 Not Found\n\n", 0, 404, DOC, "Not Found||-1|"},
    {"Status: 304\n\n", 0, 304, DOC, "||-1|"},
    {"X: 1\nstatus:599\n\n", 0, 599, DOC, "||-1|X=1;"},
    {"STATUS: 100 Go  on \n\n", 0, 100, DOC, "Go  on||-1|"},
    {"Status: 103 Early Hints\nLink: </a>\n\n", 0, 103, DOC, "Early Hints||-1|Link=</a>;"},
    {"Status: 200 OK\nStatus: 404 Gone by\n\n", 0, 404, DOC, "Gone by||-1|"},
    BAD("Status: 99\n\n"),
    BAD("Status: 600\n\n"),
    BAD("Status:\n\n"),
    BAD("Status: 20\n\n"),
    BAD("Status: 2000\n\n"),
    BAD("Status: 200OK\n\n"),
    BAD("Status: +20 x\n\n"),
    BAD("Status: OK\n\n"),
    /* Location, 6.2.2 to 6.2.4 */
    {"Location: /a?b=c\n\n", 0, 302, LOCAL, "|/a?b=c|-1|Location=/a?b=c;"},
    {"Content-Type: text/html\nLocation: /\nContent-Length: 0\nX-CGI-Foo: 1\n\n", 0, 302, LOCAL,
     "|/|0|Content-Type=text/html;Location=/;X-CGI-Foo=1;"},
    {"location: /a\nSet-Cookie: s=1\n\n", 0, 302, CLIENT, "|/a|-1|location=/a;Set-Cookie=s=1;"},
    {"Location: //evil.example/\n\n", 0, 302, CLIENT,
     "|//evil.example/|-1|Location=//evil.example/;"},
    {"Location: http://x/\n\n", 0, 302, CLIENT, "|http://x/|-1|Location=http://x/;"},
    {"Location: next.html\n\n", 0, 302, CLIENT, "|next.html|-1|Location=next.html;"},
    {"Location: /a\nStatus: 201 Created\n\n", 0, 201, DOC, "Created|/a|-1|Location=/a;"},
    {"Status: 303\nLocation: http://x/\n\n", 0, 303, DOC, "|http://x/|-1|Location=http://x/;"},
    {"Location:\n\n", 0, 200, DOC, "||-1|Location=;"},
    {"Location: /a\nLocation: /b\n\n", 0, 302, LOCAL, "|/a|-1|Location=/a;Location=/b;"},
    /* Content-Length */
    {"Content-Length: 12\n\n", 0, 200, DOC, "||12|"},
    {"Content-Length: 9223372036854775807\n\n", 0, 200, DOC, "||9223372036854775807|"},
    {"content-length: 5\nContent-Length: 5\n\n", 0, 200, DOC, "||5|"},
    BAD("Content-Length: 5\nContent-Length: 6\n\n"),
    BAD("Content-Length: 9223372036854775808\n\n"),
    BAD("Content-Length: -1\n\n"),
    BAD("Content-Length: 5, 5\n\n"),
    BAD("Content-Length:\n\n"),
    BAD("Content-Length: 0x5\n\n"),
    /* scripts that speak HTTP, 5 */
    {"HTTP/1.1 200 OK\r\nServer: s\r\n\r\n", 0, 200, DOC, "OK||-1|Server=s;"},
    {"HTTP/1.0 404\n\n", 0, 404, DOC, "||-1|"},
    {"HTTP/2 204 \n\n", 0, 204, DOC, "||-1|"},
    {"HTTP/1.0 302 Moved\nLocation: /x\n\n", 0, 302, DOC, "Moved|/x|-1|Location=/x;"},
    BAD("HTTP/1.1\n\n"),
    BAD("HTTP/1.1 x\n\n"),
    BAD("HTTP/1.1 200 O\x01K\n\n"),
    BAD("A: 1\nHTTP/1.1 200 OK\n\n"),
    /* no head */
    BAD("\n"),
    BAD("\r\n"),
    BAD("hello\n\n"),
    BAD("<html><a href=\"http://x\">\n\n"),
    BAD(": x\n\n"),
    BAD("A : x\n\n"),
    BAD(" A: x\n\n"),
    BAD("A: x\n folded\n\n"),
    BAD("A: x\n\tfolded: yes\n\n"),
    BAD("A\x80: x\n\n"),
    BAD("A: \x1b[1m\n\n"),
    BAD("A: x\x7f\n\n"),
    BAD("A: x\ry\n\n"),
    BAD("A: x\r\r\n\n"),
};

static void summarize(struct buf *out, const struct response_head *h)
{
    assert_int_equal(buf_puts(out, h->reason), 0);
    assert_int_equal(buf_puts(out, SLICE("|")), 0);
    assert_int_equal(buf_puts(out, h->location), 0);
    assert_int_equal(buf_printf(out, "|%lld|", (long long)h->content_length), 0);
    for (size_t i = 0; i < h->n_fields; i++) {
        assert_int_equal(buf_puts(out, h->fields[i].name), 0);
        assert_int_equal(buf_puts(out, SLICE("=")), 0);
        assert_int_equal(buf_puts(out, h->fields[i].value), 0);
        assert_int_equal(buf_puts(out, SLICE(";")), 0);
    }
}

/* Feed in[0..len) in steps of at most step bytes; the first of them is first bytes long. */
static ssize_t feed(struct response_parser *p, const char *in, size_t len, size_t first,
                    size_t step)
{
    size_t at = 0;

    while (at < len) {
        size_t want = at == 0 ? first : step;
        size_t n = want < len - at ? want : len - at;
        ssize_t r = response_parser_feed(p, (const uint8_t *)in + at, n);
        if (r)
            return r < 0 ? r : (ssize_t)at + r;
        at += n;
    }
    return 0;
}

static void check_row(const struct row *row, size_t first, size_t step)
{
    char in[512];
    struct response_parser p;
    struct arena arena;
    struct buf got = {0};
    int n = snprintf(in, sizeof(in), "%sbody\n\n", row->in);

    arena_init(&arena);
    response_parser_init(&p, &arena, MAX);
    ssize_t r = feed(&p, in, (size_t)n, first, step);
    if (row->result) {
        assert_int_equal(r, row->result);
    } else {
        assert_int_equal(r, strlen(row->in));
        assert_int_equal(p.head.status, row->status);
        assert_int_equal(p.head.kind, row->kind);
        assert_int_equal(p.head.nph, strncmp(row->in, "HTTP/", 5) == 0);
        summarize(&got, &p.head);
        assert_int_equal(buf_append(&got, "", 1), 0);
        assert_string_equal((char *)buf_at(&got), row->summary);
    }
    buf_fini(&got);
    response_parser_fini(&p);
    arena_fini(&arena);
}

static void rows_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i], 512, 512);
}

static void rows_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t cut = 1; cut < strlen(rows[i].in); cut++)
            check_row(&rows[i], cut, 512);
    }
}

static void rows_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i], 1, 1);
}

static void nul_in_a_value_is_refused(void **state)
{
    (void)state;
    struct response_parser p;
    struct arena arena;

    arena_init(&arena);
    response_parser_init(&p, &arena, MAX);
    assert_int_equal(response_parser_feed(&p, (const uint8_t *)"A: x\0y\n\n", 8),
                     GW_ECGI_HEADER);
    response_parser_fini(&p);
    arena_fini(&arena);
}

/* A head of exactly n bytes. */
static ssize_t feed_head_of(size_t n, size_t max, size_t step)
{
    struct response_parser p;
    struct arena arena;
    char *in = malloc(n);

    assert_non_null(in);
    memset(in, 'v', n);
    memcpy(in, "A: ", 3);
    memcpy(in + n - 2, "\n\n", 2);
    arena_init(&arena);
    response_parser_init(&p, &arena, max);
    ssize_t r = feed(&p, in, n, step, step);
    response_parser_fini(&p);
    arena_fini(&arena);
    free(in);
    return r;
}

static void max_is_kept_to_the_byte(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 1000; step += 333) {
        assert_int_equal(feed_head_of(1000, 1000, step), 1000);
        assert_int_equal(feed_head_of(1001, 1000, step), GW_ECGI_HEAD_LARGE);
    }
}

static void endless_line_stops_at_max(void **state)
{
    (void)state;
    struct response_parser p;
    struct arena arena;
    ssize_t r = 0;
    size_t n = 0;

    arena_init(&arena);
    response_parser_init(&p, &arena, 100);
    while (r == 0 && n++ < 200)
        r = response_parser_feed(&p, (const uint8_t *)"x", 1);
    assert_int_equal(r, GW_ECGI_HEAD_LARGE);
    assert_int_equal(n, 101);
    response_parser_fini(&p);
    arena_fini(&arena);
}

static void interim_head_is_followed_by_another(void **state)
{
    (void)state;
    static const char in[] = "Status: 103\nLink: </a>\n\nStatus: 200 OK\n\nbody";
    struct response_parser p;
    struct arena arena;

    arena_init(&arena);
    response_parser_init(&p, &arena, MAX);
    ssize_t n = response_parser_feed(&p, (const uint8_t *)in, sizeof(in) - 1);
    assert_int_equal(n, 24);
    assert_int_equal(p.head.status, 103);
    response_parser_fini(&p);
    response_parser_init(&p, &arena, MAX);
    assert_int_equal(
        response_parser_feed(&p, (const uint8_t *)in + n, sizeof(in) - 1 - (size_t)n), 16);
    assert_int_equal(p.head.status, 200);
    response_parser_fini(&p);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_whole),
        cmocka_unit_test(rows_at_every_split),
        cmocka_unit_test(rows_byte_by_byte),
        cmocka_unit_test(nul_in_a_value_is_refused),
        cmocka_unit_test(max_is_kept_to_the_byte),
        cmocka_unit_test(endless_line_stops_at_max),
        cmocka_unit_test(interim_head_is_followed_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
