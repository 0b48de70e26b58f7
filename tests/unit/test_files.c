/* gateway/files.c and files_send.h: a file as an answer, warm and cold, and what ends that. */
#include "files_world.h"

static void sizes(void **state)
{
    static const size_t table[] = {0,     1,      4096,   65535,  65536,
                                   65537, 131072, 131073, 300000, 1000003};
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fill(table[i]);
        request("GET");
        assert_int_equal(out.status, 200);
        assert_int_equal(out.content_length, table[i]);
        for (unsigned turns = 0; !out.finished && turns < 100; turns++) {
            assert_true(out.buffered >= STREAM_OUT_HIGH); /* it stopped for no other reason */
            assert_true(out.buffered < STREAM_OUT_HIGH + CHUNK_MAX);
            client_takes();
        }
        assert_true(out.finished);
        expect_body(0, table[i]);
        end();
    }
}

static void small_file_is_one_read(void **state)
{
    (void)state;
    fill(1024);
    request("GET");
    assert_int_equal(n_reads, 1);
    assert_true(out.finished);
    assert_null(stream.handler);
    end();
}

static void head_fields(void **state)
{
    char first[1024];

    (void)state;
    fill(10);
    request("GET");
    assert_non_null(strstr(out.fields, "Content-Type: text/html\n"));
    assert_non_null(strstr(out.fields, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n"));
    assert_non_null(strstr(out.fields, "Accept-Ranges: bytes\n"));
    assert_non_null(strstr(out.fields, "ETag: \""));
    assert_null(strstr(out.fields, "Content-Range"));
    strcpy(first, out.fields);
    end();
    request("HEAD");
    assert_string_equal(out.fields, first);
    assert_int_equal(out.content_length, 10);
    assert_int_equal(buf_len(&out.body), 0);
    assert_int_equal(n_reads, 1); /* the GET's */
    assert_true(out.finished);
    end();
    fill(11); /* another size: another tag */
    request("HEAD");
    assert_string_not_equal(out.fields, first);
    end();
}

static void other_methods(void **state)
{
    static const char *const methods[] = {"POST",    "PUT", "DELETE",
                                          "OPTIONS", "get", "PROPFIND"};

    (void)state;
    fill(10);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        request(methods[i]);
        assert_int_equal(out.err, GW_EREQ_METHOD);
        assert_string_equal(out.fields, "Allow: GET, HEAD, OPTIONS\n"); /* RFC 9110 15.5.6 */
        end();
    }
}

static void ranges(void **state)
{
    (void)state;
    fill(200000);
    add("Range", "bytes=100000-");
    request("GET");
    assert_int_equal(out.status, 206);
    assert_int_equal(out.content_length, 100000);
    assert_non_null(strstr(out.fields, "Content-Range: bytes 100000-199999/200000\n"));
    while (!out.finished)
        client_takes();
    expect_body(100000, 100000);
    end();

    request("HEAD"); /* RFC 9110 14.2: ignored */
    assert_int_equal(out.status, 200);
    assert_int_equal(out.content_length, 200000);
    end();

    fields[0].value = SLICE("bytes=-1");
    request("GET");
    expect_body(199999, 1);
    end();

    fields[0].value = SLICE("bytes=200000-");
    request("GET");
    assert_int_equal(out.status, 0);
    assert_int_equal(out.err, GW_ERANGE);
    assert_string_equal(out.fields, "Content-Range: bytes */200000\n");
    end();
}

static void conditions(void **state)
{
    char tag[64];

    (void)state;
    fill(100);
    request("GET");
    const char *at = strstr(out.fields, "ETag: ") + 6;
    snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(at, "\n"), at);
    end();

    add("If-None-Match", tag);
    request("GET");
    assert_int_equal(out.status, 304);
    assert_int_equal(out.content_length, -1);
    assert_int_equal(strncmp(out.fields, "ETag: ", 6), 0);
    assert_true(out.finished);
    assert_int_equal(buf_len(&out.body), 0);
    end();

    fields[0].name = SLICE("If-Match");
    request("GET");
    assert_int_equal(out.status, 200);
    end();
    fields[0].value = SLICE("\"other\"");
    request("GET");
    assert_int_equal(out.err, GW_EPRECONDITION);
    end();
}

/* Each kind of cache, each size: the same bytes. */
static void cold_files(void **state)
{
    static const size_t table[] = {1, 65536, 65537, 300000};

    (void)state;
    for (int c = CACHE_COLD; c <= CACHE_HALF; c++) {
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
            fill(table[i]);
            cache = (enum cache)c;
            request("GET");
            for (unsigned turns = 0; !out.finished && turns < 1000; turns++)
                go_on();
            assert_true(out.finished);
            expect_body(0, table[i]);
            end();
        }
    }
}

/* What the connection takes itself, and what it gives back. */
static void passed_files(void **state)
{
    static const size_t table[] = {1, 65536, 65537, 299999, 300000};

    (void)state;
    fill(300000);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        passes = table[i];
        cache = CACHE_COLD;
        request("GET");
        assert_null(the_job);
        for (unsigned turns = 0; !out.finished && turns < 1000; turns++)
            go_on();
        assert_true(out.finished);
        expect_body(0, 300000);
        end();
    }
    request("GET");
    out.err = GW_EFILE_SHORT;
    client_takes();
    assert_false(out.finished);
    end();
}

static void client_gone_while_reading(void **state)
{
    (void)state;
    fill(300000);
    cache = CACHE_COLD;
    request("GET");
    assert_non_null(the_job);
    end(); /* the job still has the file */
    run_job();
    assert_int_equal(buf_len(&out.body), 0);

    request("GET");
    run_job(); /* one piece, and the next job is under way */
    assert_non_null(the_job);
    stream.handler->writable(&stream); /* no second one beside it */
    end();
    run_job();
    assert_false(out.finished);
}

static void client_gone_while_waiting(void **state)
{
    (void)state;
    fill(300000);
    request("GET");
    assert_false(out.finished);
    end();
}

static void send_fails(void **state)
{
    (void)state;
    fill(300000);
    for (unsigned nth = 1; nth <= 4; nth++) {
        for (int c = CACHE_WARM; c <= CACHE_COLD; c++) {
            struct route_match m = {.file = slice_str(name),
                                    .open = open_file_new(open(name, O_RDONLY))};
            memset(&out.status, 0, sizeof(out.status));
            buf_clear(&out.body);
            struct buf body = out.body;
            memset(&out, 0, sizeof(out));
            out.body = body;
            out.fail_after = nth;
            cache = (enum cache)c;
            stream = (struct stream){.conn = &conn, .req = {.method = SLICE("GET")}};
            arena_init(&stream.arena);
            files_start(&stream, &m);
            for (unsigned turns = 0; out.n_sends < nth && turns < 1000; turns++)
                go_on();
            assert_int_equal(out.n_sends, nth);
            assert_false(out.finished);
            assert_null(stream.handler_state);
            end();
        }
    }
}

static void file_that_shrinks(void **state)
{
    (void)state;
    for (int c = CACHE_WARM; c <= CACHE_COLD; c++) {
        fill(300000);
        cache = (enum cache)c;
        request("GET");
        assert_int_equal(truncate(name, 1000), 0);
        for (unsigned turns = 0; !out.err && turns < 1000; turns++)
            go_on();
        assert_int_equal(out.err, GW_EFILE_SHORT);
        assert_false(out.finished);
        end();
    }
}

static void disk_that_fails(void **state)
{
    (void)state;
    fill(300000);
    cache = CACHE_BROKEN;
    request("GET");
    assert_int_equal(out.err, GW_EFILE);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(small_file_is_one_read, setup, teardown),
        cmocka_unit_test_setup_teardown(head_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(other_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(cold_files, setup, teardown),
        cmocka_unit_test_setup_teardown(passed_files, setup, teardown),
        cmocka_unit_test_setup_teardown(client_gone_while_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(client_gone_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(send_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(file_that_shrinks, setup, teardown),
        cmocka_unit_test_setup_teardown(disk_that_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
