/* Requests and their answers over HTTP/1.1, each split at every offset. */
#include "http1_world.h"

/* ---- requests and answers, in any split ---- */

enum how { OPEN, OVER, LINGERS }; /* the connection stays, is closed, is closed with linger */

struct row {
    const char *in, *want;
    enum how how;
};

static void check_row(const struct row *r, size_t cut, size_t step)
{
    size_t len = strlen(r->in);

    begin();
    for (size_t at = 0, n = cut; at < len; at += n, n = step) {
        if (n > len - at)
            n = len - at;
        input(r->in + at, n);
    }
    expect_out(r->want, r->in);
    if (t.broken || t.ended != (r->how != OPEN) || t.lingers != (r->how == LINGERS))
        fail_msg("\n%s\nbroken %d, ended %d, lingers %d", r->in, t.broken, t.ended, t.lingers);
    assert_int_equal(t.c.head_since_ms, 0);
    end();
}

#define REST "POST /early HTTP/1.1\r\n" HOST
#define ECHO "POST /echo HTTP/1.1\r\n" HOST
#define FORBIDDEN                                                                              \
    "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n" COMMON "Content-Length: 2\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static const struct row rows[] = {
    /* one and several */
    {GET("/hello"), HELLO, OPEN},
    {"\r\n" GET("/hello") "\r\n" GET("/hello"), HELLO HELLO, OPEN},
    {GET("/hello") GET("/hello") GET("/hello"), HELLO HELLO HELLO, OPEN},
    {GET("/hello") "\r\n", HELLO, OPEN},
    {"GET /hello HTTP/1.1\r\n" HOST CLOSE "\r\n", "{200}" CLOSE "\r\nhello", OVER},
    {"GET /hello HTTP/1.0\r\n\r\n", "{200}" CLOSE "\r\nhello", OVER},
    {"GET /hello HTTP/1.0\r\n" KEEP "\r\n", "{200}" KEEP "\r\nhello", OPEN},
    {"GET /hello HTTP/1.0\r\n" KEEP "\r\n" GET("/hello"), "{200}" KEEP "\r\nhello" HELLO, OPEN},
    {"GET /hello HTTP/1.7\r\n" HOST "\r\n", HELLO, OPEN},
    /* how a response ends */
    {GET("/stream"), "HTTP/1.1 200 OK\r\n" COMMON CHUNKED "\r\n5\r\nabcde\r\n0\r\n\r\n", OPEN},
    {GET("/empty") GET("/hello"), "HTTP/1.1 200 OK\r\n" COMMON CHUNKED "\r\n0\r\n\r\n" HELLO,
     OPEN},
    {"GET /stream HTTP/1.0\r\n" KEEP "\r\n", "HTTP/1.1 200 OK\r\n" COMMON CLOSE "\r\nabcde",
     LINGERS},
    {"GET /stream HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n" COMMON CLOSE "\r\nabcde", OVER},
    {"GET /empty HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n" COMMON CLOSE "\r\n", OVER},
    {"HEAD /hello HTTP/1.1\r\n" HOST "\r\n" GET("/hello"), "{200}\r\n" HELLO, OPEN},
    {"HEAD /stream HTTP/1.1\r\n" HOST "\r\n" GET("/hello"),
     "HTTP/1.1 200 OK\r\n" COMMON "\r\n" HELLO, OPEN},
    {"HEAD /stream HTTP/1.0\r\n" KEEP "\r\n", "HTTP/1.1 200 OK\r\n" COMMON KEEP "\r\n", OPEN},
    {"HEAD /turned HTTP/1.1\r\n" HOST "\r\n" GET("/hello"), "{200}\r\n" HELLO, OPEN},
    {GET("/204") GET("/hello"),
     "HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n" COMMON "\r\n" HELLO, OPEN},
    {GET("/304") GET("/hello"),
     "HTTP/1.1 304 Not Modified\r\nContent-Type: text/plain\r\n" COMMON "\r\n" HELLO, OPEN},
    {GET("/own"),
     "HTTP/1.1 299 Fine\r\ndate: today\r\nserver: mine\r\nSet-Cookie: a=b\r\n"
     "Set-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
     OPEN},
    {GET("/reason"), "HTTP/1.1 299 \r\n" COMMON "Content-Length: 0\r\n\r\n", OPEN},
    {GET("/fail") GET("/hello"), "HTTP/1.1 200 OK\r\n" COMMON "Content-Length: 10\r\n\r\nabc",
     OVER},
    /* interim responses */
    {GET("/interim"), "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" HELLO,
     OPEN},
    {"GET /interim HTTP/1.0\r\n\r\n", "{200}" CLOSE "\r\nhello", OVER},
    {ECHO "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello" GET("/hello"),
     CONTINUE HELLO HELLO, OPEN},
    {ECHO "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     CONTINUE HELLO, OPEN},
    {GET("/hello") ECHO "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
     HELLO CONTINUE HELLO, OPEN},
    {ECHO "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" COMMON "Content-Length: 0\r\n\r\n",
     OPEN},
    {"POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
     "{200}" CLOSE "\r\nhello", OVER},
    {REST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", FORBIDDEN CLOSE "\r\nno",
     LINGERS},
    {REST "Content-Length: 5\r\nExpect: x\r\n\r\n", "{417}", LINGERS},
    {"GET /hello HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n" GET("/hello"), "{417+}" HELLO, OPEN},
    {"GET /hello HTTP/1.0\r\nExpect: x\r\n\r\n", "{200}" CLOSE "\r\nhello", OVER},
    /* request bodies */
    {ECHO "Content-Length: 5\r\n\r\nhello" GET("/hello"), HELLO HELLO, OPEN},
    {ECHO
     "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=\"y\"\r\nllo\r\n0\r\nT: t\r\n\r\n" GET(
         "/hello"),
     HELLO HELLO, OPEN},
    {"GET /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", HELLO, OPEN},
    {ECHO "Content-Length: 5\r\n\r\nhellohello\r\n", HELLO "{400}", LINGERS},
    {REST "Content-Length: 5\r\n\r\nhello" GET("/hello"), FORBIDDEN "\r\nno" HELLO, OPEN},
    {REST "Content-Length: 70000\r\n\r\nhello", FORBIDDEN CLOSE "\r\nno", LINGERS},
    {REST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", FORBIDDEN CLOSE "\r\nno",
     LINGERS},
    {"POST /hello HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n\r\nhello", HELLO, LINGERS},
    {ECHO "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n" GET("/hello"), "{400}",
     LINGERS},
    {ECHO "Transfer-Encoding: chunked\r\n\r\n0x5\r\n", "{400}", LINGERS},
    /* heads that are refused */
    {"GET /hello\r\n\r\n", "{400}", LINGERS},
    {"\x16\x03\x01", "{400}", LINGERS},
    {"GET /hello HTTP/1.1\r\n\r\n", "{400}", LINGERS},
    {"GET /hello HTTP/2.0\r\n" HOST "\r\n", "{505}", LINGERS},
    {ECHO "Transfer-Encoding: gzip, chunked\r\n\r\n", "{501}", LINGERS},
    {ECHO "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/hello"),
     "{400}", LINGERS},
    {"GET /hello HTTP/1.1\r\n" HOST "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
     "A: b\r\nA: b\r\nA: b\r\n\r\n",
     "{431}", LINGERS},
    {"TRACE / HTTP/1.1\r\n" HOST "\r\n" GET("/hello"), "{405+}" HELLO, OPEN},
    {"CONNECT b:443 HTTP/1.1\r\n" HOST "\r\n" GET("/hello"), "{405}", LINGERS},
    {GET("/hello") "GET  / HTTP/1.1\r\n" HOST "\r\n" GET("/hello"), HELLO "{400}", LINGERS},
    {GET("/hello") GET("/nothing\x01") GET("/hello"), HELLO "{400}", LINGERS},
};

static void requests_and_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].in);
        check_row(&rows[i], len, 1);
        check_row(&rows[i], 1, 1);
        for (size_t cut = 1; cut < len; cut++)
            check_row(&rows[i], cut, len);
    }
}

/* ---- what the handler sees ---- */

static void check_request(const char *head, const char *want)
{
    char expected[512];

    begin();
    say(head);
    snprintf(expected, sizeof(expected),
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" COMMON
             "Content-Length: %zu\r\n\r\n%s",
             strlen(want), want);
    expect_out(expected, head);
    end();
}

static void requests_as_handlers_see_them(void **state)
{
    (void)state;
    check_request("GET /a%20b?c=d?e HTTP/1.1\r\nHost: h:80\r\nX: y\r\n\r\n",
                  "GET /a%20b?c=d?e [/a%20b][c=d?e] http h:80 h:80 2");
    check_request("X-Y / HTTP/1.1\r\nHost: h\r\n\r\n", "X-Y / [/][] http h h 1");
    check_request("GET http://b:81/p?q HTTP/1.1\r\nA: b\r\nhost: h\r\n\r\n",
                  "GET /p?q [/p][q] http b:81 b:81 2");
    check_request("GET http://b HTTP/1.1\r\nHost: h\r\n\r\n", "GET / [/][] http b b 1");
    check_request("GET http://b?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?q [/][q] http b b 1");
    check_request("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * [*][] http h h 1");
    check_request("OPTIONS http://b HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * [*][] http b b 1");
    begin();
    t.c.is_https = true;
    say("GET /x HTTP/1.0\r\n" KEEP "\r\n");
    expect_out("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" COMMON
               "Content-Length: 24\r\n" KEEP "\r\nGET /x [/x][] https  - 1",
               "HTTP/1.0");
    end();
}

/* An error answer to HEAD has no body either: the method was understood before the error. */
static void bad_heads_name_their_request(void **state)
{
    char head[1024], *end_of_head;

    (void)state;
    begin();
    say("HEAD /x HTTP/1.1\r\nA : b\r\n\r\n");
    expand(head, sizeof(head), "{400}");
    end_of_head = strstr(head, "\r\n\r\n");
    end_of_head[4] = '\0';
    expect_out(head, "HEAD");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_answers),
        cmocka_unit_test(requests_as_handlers_see_them),
        cmocka_unit_test(bad_heads_name_their_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
