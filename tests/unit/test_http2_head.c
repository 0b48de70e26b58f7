/* Tests of gateway/http2_head.c, as libnghttp2 uses it: what is routed, answered or reset. */
#include "http2_peer.h"

/* ---- malformed heads ---- */

#define HTTPS ":scheme", "https"
#define AUTH ":authority", "example.org"

static void test_heads(void **state)
{
    /* answer: a story, or the code of RST_STREAM */
    static const struct {
        const char *what;
        const char *pairs[20];
        const char *story;
        int rst;
    } rows[] = {
        {"plain", {GET("/")}, "head 1 GET /", -1},
        {"another method",
         {":method", "M-SEARCH", HTTPS, AUTH, ":path", "/"},
         "head 1 M-SEARCH /",
         -1},
        {"asterisk", {":method", "OPTIONS", HTTPS, AUTH, ":path", "*"}, "head 1 OPTIONS *", -1},
        {"Host alone",
         {":method", "GET", HTTPS, ":path", "/", "host", "a.b"},
         "head 1 GET /",
         -1},
        {"same Host", {GET("/"), "host", "example.org"}, "head 1 GET /", -1},
        {"same Host, other case", {GET("/"), "host", "EXAMPLE.org"}, "head 1 GET /", -1},
        {"same Host, default port", {GET("/"), "host", "example.org:80"}, "head 1 GET /", -1},
        {"same Host, empty port", {GET("/"), "host", "example.org:"}, "head 1 GET /", -1},
        {"te: trailers", {GET("/"), "te", "trailers"}, "head 1 GET /", -1},
        {"IPv6",
         {":method", "GET", HTTPS, ":authority", "[::1]:81", ":path", "/"},
         "head 1 GET /",
         -1},
        {"CONNECT",
         {":method", "CONNECT", ":authority", "example.org:80"},
         "bad 1 EREQ_METHOD",
         -1},
        {"other Expect", {POST, "expect", "200-ok"}, "bad 1 EREQ_EXPECT", -1},
        {"another scheme",
         {":method", "GET", ":scheme", "ftp", AUTH, ":path", "/"},
         "head 1 GET /",
         -1},

        {"other Host", {GET("/"), "host", "example.com"}, "closed 1 ECLIENT_PROTO", 1},
        {"other port", {GET("/"), "host", "example.org:81"}, "closed 1 ECLIENT_PROTO", 1},
        {"Host twice",
         {GET("/"), "host", "example.org", "host", "example.org"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"no authority", {":method", "GET", HTTPS, ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"empty authority",
         {":method", "GET", HTTPS, ":authority", "", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"empty Host",
         {":method", "GET", HTTPS, ":path", "/", "host", ""},
         "closed 1 ECLIENT_PROTO",
         1},
        {"userinfo",
         {":method", "GET", HTTPS, ":authority", "u@example.org", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"userinfo in Host",
         {":method", "GET", HTTPS, ":path", "/", "host", "u:p@a"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"bad port",
         {":method", "GET", HTTPS, ":authority", "a:65536", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"empty path",
         {":method", "GET", HTTPS, AUTH, ":path", ""},
         "closed 1 ECLIENT_PROTO",
         1},
        {"relative path",
         {":method", "GET", HTTPS, AUTH, ":path", "a"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"absolute path",
         {":method", "GET", HTTPS, AUTH, ":path", "https://a/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"GET *", {":method", "GET", HTTPS, AUTH, ":path", "*"}, "closed 1 ECLIENT_PROTO", 1},
        {"relative path of another scheme",
         {":method", "GET", ":scheme", "ftp", AUTH, ":path", "a"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"no path", {":method", "GET", HTTPS, AUTH}, "closed 1 ECLIENT_PROTO", 1},
        {"no method", {HTTPS, AUTH, ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"no scheme", {":method", "GET", AUTH, ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"method twice", {":method", "GET", GET("/")}, "closed 1 ECLIENT_PROTO", 1},
        {"path twice", {GET("/"), ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"unknown pseudo-field", {GET("/"), ":x", "y"}, "closed 1 ECLIENT_PROTO", 1},
        {":status", {GET("/"), ":status", "200"}, "closed 1 ECLIENT_PROTO", 1},
        {":protocol",
         {":method", "CONNECT", ":protocol", "websocket", HTTPS, AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"late pseudo-field",
         {":method", "GET", HTTPS, AUTH, "a", "b", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"upper case", {GET("/"), "Accept", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"space in name", {GET("/"), "a b", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"empty name", {GET("/"), "", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"CR in value", {GET("/"), "a", "x\ry"}, "closed 1 ECLIENT_PROTO", 1},
        {"LF in value", {GET("/"), "a", "x\ny: z"}, "closed 1 ECLIENT_PROTO", 1},
        {"space before value", {GET("/"), "a", " x"}, "closed 1 ECLIENT_PROTO", 1},
        {"space behind value", {GET("/"), "a", "x "}, "closed 1 ECLIENT_PROTO", 1},
        {"connection", {GET("/"), "connection", "close"}, "closed 1 ECLIENT_PROTO", 1},
        {"keep-alive", {GET("/"), "keep-alive", "1"}, "closed 1 ECLIENT_PROTO", 1},
        {"proxy-connection",
         {GET("/"), "proxy-connection", "close"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"transfer-encoding",
         {GET("/"), "transfer-encoding", "chunked"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"upgrade", {GET("/"), "upgrade", "h2c"}, "closed 1 ECLIENT_PROTO", 1},
        {"te: gzip", {GET("/"), "te", "gzip"}, "closed 1 ECLIENT_PROTO", 1},
        {"Host twice", {GET("/"), "host", "a", "host", "a"}, "closed 1 ECLIENT_PROTO", 1},
        {"bad method",
         {":method", "G T", HTTPS, AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"empty method",
         {":method", "", HTTPS, AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"bad scheme",
         {":method", "GET", ":scheme", "1x", AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"empty scheme",
         {":method", "GET", ":scheme", "", AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"space in path",
         {":method", "GET", HTTPS, AUTH, ":path", "/a b"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"name of a colon", {GET("/"), ":", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"colon in name", {GET("/"), "a:b", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"two lengths",
         {POST, "content-length", "1", "content-length", "1"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"length not a number", {POST, "content-length", "1,1"}, "closed 1 ECLIENT_PROTO", 1},
        {"length negative", {POST, "content-length", "-1"}, "closed 1 ECLIENT_PROTO", 1},
        {"length too large",
         {POST, "content-length", "99999999999999999999"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"length without body", {POST, "content-length", "1"}, "closed 1 ECLIENT_PROTO", 1},
        {"CONNECT with path",
         {":method", "CONNECT", AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"CONNECT without authority", {":method", "CONNECT"}, "closed 1 ECLIENT_PROTO", 1},
        {"CONNECT with Host alone",
         {":method", "CONNECT", "host", "example.org:80"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"CONNECT without port", {":method", "CONNECT", AUTH}, "closed 1 ECLIENT_PROTO", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char rst[32];
        struct peer *p = peer_new();
        send_head(p, 1, true, rows[i].pairs);
        pump(p);
        snprintf(rst, sizeof(rst), "RST 1 %d", rows[i].rst);
        if (strcmp(story, rows[i].story) || strcmp(frames_text(p), rows[i].rst < 0 ? "" : rst))
            fail_msg("%s: \"%s\", frames \"%s\"", rows[i].what, story, frames_text(p));
        story[0] = '\0';
        send_get(p, 3, "/next"); /* a stream error only */
        pump(p);
        assert_story("head 3 GET /next");
        peer_free(p);
    }
}

/* The body makes the message malformed (RFC 9113 8.1.1). */
static void test_length_mismatch(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST, "content-length", "5"));
    send_data(p, 1, true, 4);
    send_head(p, 3, false, PAIRS(POST, "content-length", "5"));
    send_data(p, 3, false, 6);
    send_head(p, 5, false, PAIRS(POST, "content-length", "5"));
    send_data(p, 5, true, 5);
    pump(p);
    assert_frames(p, "RST 1 1; RST 3 1");
    assert_story("closed 1 ECLIENT_PROTO; closed 3 ECLIENT_PROTO; head 5 POST /post");
    peer_free(p);
}

/* Trailers are held to the same rules, and end the request (RFC 9113 8.1). */
static void test_trailers(void **state)
{
    static const struct {
        const char *pairs[5];
        bool ends;
        bool good;
    } rows[] = {
        {{"x-checksum", "1"}, true, true},  {{"x-checksum", "1"}, false, false},
        {{":path", "/"}, true, false},      {{"X-Checksum", "1"}, true, false},
        {{"connection", "x"}, true, false}, {{"x", "a\nb"}, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer *p = peer_new();
        send_head(p, 1, false, PAIRS(POST));
        pump(p);
        send_head(p, 1, rows[i].ends, rows[i].pairs);
        pump(p);
        if (strcmp(frames_text(p), rows[i].good ? "" : "RST 1 1"))
            fail_msg("row %zu: \"%s\"", i, frames_text(p));
        assert_story(rows[i].good ? "head 1 POST /post; body 1 0 end"
                                  : "head 1 POST /post; closed 1 ECLIENT_PROTO");
        peer_free(p);
    }
}

static void test_too_many_fields(void **state)
{
    static const char *pairs[2 * 110 + 1] = {GET("/")};

    (void)state;
    for (int n = 99; n <= 102; n++) {
        struct peer *p = peer_new();
        for (int i = 0; i < n; i++) {
            pairs[8 + 2 * i] = "x";
            pairs[9 + 2 * i] = "y";
        }
        pairs[8 + 2 * n] = NULL;
        send_head(p, 1, true, pairs);
        pump(p);
        assert_story(n <= 100 ? "head 1 GET /" : "bad 1 EREQ_HEAD_LARGE");
        peer_free(p);
    }
}

/* Many crumbs are one cookie. */
static void test_many_crumbs(void **state)
{
    static const char *pairs[2 * 210 + 1] = {GET("/")};
    struct peer *p = peer_new();

    (void)state;
    for (int i = 0; i < 200; i++) {
        pairs[8 + 2 * i] = "cookie";
        pairs[9 + 2 * i] = "a=1";
    }
    send_head(p, 1, true, pairs);
    pump(p);
    assert_story("head 1 GET /");
    assert_int_equal(stream_of(p, 1)->req.n_fields, 1);
    assert_int_equal(stream_of(p, 1)->req.fields[0].value.n, 200 * 5 - 2);
    peer_free(p);
}

static void test_large_list(void **state)
{
    static char value[60001];
    struct peer *p = peer_new();

    (void)state;
    memset(value, 'a', sizeof(value) - 1);
    send_head(p, 1, true, PAIRS(GET("/"), "x", value));
    send_head(p, 3, true, PAIRS(GET("/"), "x", value, "y", value));
    pump(p);
    assert_story("head 1 GET /; bad 3 EREQ_HEAD_LARGE");
    assert_int_equal(p->rc, 0);
    /* Far over what was announced: an HPACK bomb. */
    send_head(p, 5, true,
              PAIRS(GET("/"), "x", value, "x", value, "x", value, "x", value, "x", value, "x",
                    value));
    pump(p);
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
    assert_frames(p, "GOAWAY 0 last 5 code 11");
    assert_string_equal(mock_log, "ECLIENT_FLOOD: 300342 bytes of header list, limit 65536");
    peer_free(p);
}

static void test_large_trailers(void **state)
{
    static char value[60001];
    struct peer *p = peer_new();

    (void)state;
    memset(value, 'a', sizeof(value) - 1);
    send_head(p, 1, false, PAIRS(POST));
    send_head(p, 1, true, PAIRS("x", value));
    pump(p);
    assert_story("head 1 POST /post; body 1 0 end");
    send_head(p, 3, false, PAIRS(POST));
    send_head(p, 3, true, PAIRS("x", value, "x", value, "x", value));
    pump(p);
    assert_story("closed 3 EREQ_HEAD_LARGE");
    assert_frames(p, "RST 3 11");
    send_head(p, 5, false, PAIRS(POST));
    send_head(p, 5, true, PAIRS("x", value, "x", value, "x", value, "x", value, "x", value));
    pump(p);
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_heads, setup),
        cmocka_unit_test_setup(test_length_mismatch, setup),
        cmocka_unit_test_setup(test_trailers, setup),
        cmocka_unit_test_setup(test_too_many_fields, setup),
        cmocka_unit_test_setup(test_many_crumbs, setup),
        cmocka_unit_test_setup(test_large_list, setup),
        cmocka_unit_test_setup(test_large_trailers, setup),
    };

    return cmocka_run_group_tests_name("http2_head", tests, NULL, NULL);
}
