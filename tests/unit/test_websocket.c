/* gateway/websocket.h: what is a handshake, and the application's answer to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../gateway/websocket.h"
#include "stream_world.h"

/* RFC 6455 1.3 */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static int setup(void **state)
{
    (void)state;
    world_begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end();
    return 0;
}

static void add(struct stream *s, const char *name, const char *value)
{
    assert_int_equal(stream_add_field(s, slice_str(name), slice_str(value)), 0);
}

/* A good one, without one of its fields. */
static struct stream *ask(enum http_version version, const char *without)
{
    static const char *const fields[][2] = {{"Upgrade", "websocket"},
                                            {"Connection", "keep-alive, upgrade"},
                                            {"Sec-WebSocket-Key", KEY},
                                            {"Sec-WebSocket-Version", "13"}};
    struct stream *s = world_stream("GET");

    s->req.version = version;
    s->in_eof = version != HTTP_2;
    if (version == HTTP_2)
        s->req.protocol = SLICE("websocket");
    for (size_t i = version == HTTP_2 ? 3 : 0; i < 4; i++) {
        if (strcmp(fields[i][0], without) != 0)
            add(s, fields[i][0], fields[i][1]);
    }
    return s;
}

static int check(struct stream *s)
{
    const char *why = "";

    return websocket_check(s, &why);
}

static void test_asked(void **state)
{
    (void)state;
    assert_true(websocket_is_asked(ask(HTTP_1_1, "")));
    assert_false(websocket_is_asked(ask(HTTP_1_0, "")));
    assert_false(websocket_is_asked(ask(HTTP_1_1, "Upgrade")));
    assert_true(websocket_is_asked(ask(HTTP_2, "")));
    struct stream *s = ask(HTTP_2, "");
    s->req.protocol = slice_of("", 0);
    add(s, "Upgrade", "websocket");
    assert_false(websocket_is_asked(s));
}

static void test_check(void **state)
{
    static const char *const needed[] = {"Connection", "Sec-WebSocket-Key",
                                         "Sec-WebSocket-Version"};

    (void)state;
    assert_int_equal(check(ask(HTTP_1_1, "")), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(check(ask(HTTP_1_1, needed[i])), GW_EWEBSOCKET);
        struct stream *twice = ask(HTTP_1_1, "");
        add(twice, needed[i], "close");
        assert_int_equal(check(twice), i == 0 ? 0 : GW_EWEBSOCKET);
    }
    struct stream *old = ask(HTTP_1_1, "Sec-WebSocket-Version");
    add(old, "Sec-WebSocket-Version", "8");
    assert_int_equal(check(old), GW_EWEBSOCKET_VERSION);
    struct stream *body = ask(HTTP_1_1, "");
    body->in_eof = false;
    assert_int_equal(check(body), GW_EWEBSOCKET);
}

/* Over HTTP/2 the key is ours, another each time, in place of what the client may have sent. */
static void test_made_up_key(void **state)
{
    struct slice keys[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct stream *s = ask(HTTP_2, "");
        add(s, "sec-websocket-key", "theirs");
        assert_int_equal(check(s), 0);
        assert_int_equal(s->req.n_fields, 2);
        const struct field *f =
            fields_find(s->req.fields, s->req.n_fields, SLICE("Sec-WebSocket-Key"));
        assert_int_equal(f->value.n, strlen(KEY));
        keys[i] = f->value;
    }
    assert_false(slice_eq(keys[0], keys[1]));
}

static void test_answer(void **state)
{
    struct field right[] = {{SLICE("X-Other"), SLICE("1")},
                            {SLICE("sec-websocket-accept"), SLICE(ACCEPT)}};
    struct field wrong = {SLICE("Sec-WebSocket-Accept"), SLICE(KEY)};
    struct response r = {.status = 101, .fields = right, .n_fields = 2};

    (void)state;
    for (int i = 0; i < 2; i++) { /* said by the application, then not */
        struct response said = {.status = 101, .fields = right, .n_fields = 2 - (size_t)i};
        assert_int_equal(websocket_answer(ask(HTTP_1_1, ""), &said), 0);
        assert_int_equal(said.n_fields, 2);
        assert_true(slice_eq(said.fields[1].value, SLICE(ACCEPT)));
    }
    r.fields = &wrong;
    r.n_fields = 1;
    assert_int_equal(websocket_answer(ask(HTTP_1_1, ""), &r), GW_ECGI_WEBSOCKET);
    struct stream *s = ask(HTTP_2, "");
    assert_int_equal(check(s), 0);
    r.fields = right;
    assert_int_equal(websocket_answer(s, &r), 0);
    assert_int_equal(r.n_fields, 1); /* none over HTTP/2 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_made_up_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
