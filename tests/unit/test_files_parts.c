/* gateway/files_parts.h: several ranges of a file, warm and cold, and what ends that. */
#include "files_world.h"

/* The next part of the body at *at: its head says it is bytes first-last, and they are. */
static void expect_part(struct slice boundary, size_t *at, size_t first, size_t last)
{
    char head[256];
    int n = snprintf(head, sizeof(head),
                     "%s--%.*s\r\nContent-Type: text/html\r\n"
                     "Content-Range: bytes %zu-%zu/300000\r\n\r\n",
                     *at ? "\r\n" : "", SLICE_FMT(boundary), first, last);
    const uint8_t *p = buf_at(&out.body) + *at;

    assert_true(buf_len(&out.body) >= *at + (size_t)n + last - first + 1);
    assert_memory_equal(p, head, (size_t)n);
    for (size_t i = first; i <= last; i++) {
        if (p[(size_t)n + i - first] != byte_at(i))
            fail_msg("byte %zu differs", i);
    }
    *at += (size_t)n + last - first + 1;
}

static struct slice boundary_of_answer(void)
{
    static const char before[] = "Content-Type: multipart/byteranges; boundary=";
    const char *type = strstr(out.fields, before);

    assert_non_null(type);
    type += sizeof(before) - 1;
    return slice_of(type, (size_t)(strchrnul(type, '\n') - type));
}

static void several_ranges(void **state)
{
    (void)state;
    fill(300000);
    add("Range", "bytes=150000-, 0-0, 10-99999");
    for (int c = CACHE_WARM; c <= CACHE_HALF; c++) {
        cache = (enum cache)c;
        request("GET");
        assert_int_equal(out.status, 206);
        assert_null(strstr(out.fields, "Content-Range"));
        for (unsigned turns = 0; !out.finished && turns < 1000; turns++)
            go_on();
        assert_true(out.finished);
        size_t at = 0;
        struct slice boundary = boundary_of_answer();
        expect_part(boundary, &at, 150000, 299999);
        expect_part(boundary, &at, 0, 0);
        expect_part(boundary, &at, 10, 99999);
        assert_int_equal(buf_len(&out.body), at + boundary.n + 8);
        assert_int_equal(buf_len(&out.body), out.content_length);
        end();
    }
}

static void several_ranges_end_early(void **state)
{
    (void)state;
    fill(300000);
    add("Range", "bytes=0-149999,200000-");
    cache = CACHE_COLD;
    request("GET");
    assert_non_null(the_job);
    end(); /* the job still has the file */
    run_job();
    assert_false(out.finished);
    fill(250000);
    cache = CACHE_WARM;
    request("GET");
    fill(150000); /* in the second part */
    while (!out.finished && !out.err)
        client_takes();
    assert_int_equal(out.err, GW_EFILE_SHORT);
    assert_null(stream.handler_state);
    end();
}

/* Each send fails once: texts and bytes. */
static void several_ranges_send_fails(void **state)
{
    (void)state;
    fill(300000);
    add("Range", "bytes=0-99999,200000-");
    for (unsigned nth = 1; nth <= 7; nth++) {
        for (int c = CACHE_WARM; c <= CACHE_COLD; c++) {
            cache = (enum cache)c;
            fail_after = nth;
            request("GET");
            for (unsigned turns = 0; out.n_sends < nth && turns < 1000; turns++)
                go_on();
            assert_int_equal(out.n_sends, nth);
            assert_false(out.finished);
            assert_null(stream.handler_state);
            end();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(several_ranges_end_early, setup, teardown),
        cmocka_unit_test_setup_teardown(several_ranges_send_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
