/*
 * fcgi/record.c: exact bytes, every split, lengths at their edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fastcgi.h>

#include "../../fcgi/record.h"
#include "../../gateway/buf.h"
#include "../../gateway/err.h"

/* A record with content made of its own index, so that misplaced bytes show. */
static void put_record(struct buf *out, uint8_t type, uint16_t id, size_t content_len,
                       uint8_t padding_len)
{
    uint8_t header[FCGI_RECORD_HEADER];
    uint8_t *at = buf_reserve(out, FCGI_RECORD_MAX);

    assert_non_null(at);
    fcgi_record_header(header, type, id, (uint16_t)content_len, padding_len);
    memcpy(at, header, sizeof(header));
    for (size_t i = 0; i < content_len; i++)
        at[sizeof(header) + i] = (uint8_t)(i * 7 + content_len);
    memset(at + sizeof(header) + content_len, 0xee, padding_len);
    buf_commit(out, sizeof(header) + content_len + padding_len);
}

static void header_is_exact_bytes(void **state)
{
    (void)state;
    uint8_t out[FCGI_RECORD_HEADER];

    fcgi_record_header(out, FCGI_STDOUT, 0x0102, 0xfffe, 255);
    assert_memory_equal(out, "\x01\x06\x01\x02\xff\xfe\xff\x00", 8);
}

static void begin_and_end_are_exact_bytes(void **state)
{
    (void)state;
    uint8_t out[16];

    fcgi_begin_request(out, 1, FCGI_RESPONDER, true);
    assert_memory_equal(out,
                        "\1\1\0\1\0\10\0\0"
                        "\0\1\1\0\0\0\0\0",
                        16);
    fcgi_begin_request(out, 65535, FCGI_FILTER, false);
    assert_memory_equal(out,
                        "\1\1\xff\xff\0\10\0\0"
                        "\0\3\0\0\0\0\0\0",
                        16);
    fcgi_end_request(out, 7, 0x01020384, FCGI_OVERLOADED);
    assert_memory_equal(out,
                        "\1\3\0\7\0\10\0\0"
                        "\1\2\3\x84\2\0\0\0",
                        16);
}

static void end_request_reads_back(void **state)
{
    (void)state;
    uint8_t out[16];
    uint32_t app = 1;
    uint8_t protocol = 9;

    fcgi_end_request(out, 7, UINT32_MAX, FCGI_UNKNOWN_ROLE);
    assert_false(fcgi_end_request_decode(out + 8, 7, &app, &protocol));
    assert_int_equal(app, 1); /* untouched on failure */
    assert_true(fcgi_end_request_decode(out + 8, 8, &app, &protocol));
    assert_int_equal(app, UINT32_MAX);
    assert_int_equal(protocol, FCGI_UNKNOWN_ROLE);
}

static void decode_needs_the_whole_record(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_record rec = {.type = 99};

    put_record(&b, FCGI_STDIN, 513, 300, 4);
    for (size_t n = 0; n < buf_len(&b); n++) {
        assert_int_equal(fcgi_record_decode(buf_at(&b), n, &rec), 0);
        assert_int_equal(rec.type, 99);
    }
    assert_int_equal(fcgi_record_decode(buf_at(&b), buf_len(&b), &rec), 312);
    assert_int_equal(rec.type, FCGI_STDIN);
    assert_int_equal(rec.id, 513);
    assert_int_equal(rec.content_len, 300);
    assert_int_equal(rec.padding_len, 4);
    assert_ptr_equal(rec.content, buf_at(&b) + 8);
    buf_fini(&b);
}

static void decode_takes_the_extremes(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_record rec;

    put_record(&b, 200, 65535, FCGI_RECORD_CONTENT_MAX, 255);
    assert_int_equal(buf_len(&b), FCGI_RECORD_MAX);
    assert_int_equal(fcgi_record_decode(buf_at(&b), buf_len(&b) - 1, &rec), 0);
    assert_int_equal(fcgi_record_decode(buf_at(&b), buf_len(&b), &rec), FCGI_RECORD_MAX);
    assert_int_equal(rec.type, 200); /* unknown types are passed on */
    buf_clear(&b);
    put_record(&b, FCGI_PARAMS, 0, 0, 0);
    assert_int_equal(fcgi_record_decode(buf_at(&b), buf_len(&b), &rec), 8);
    assert_int_equal(rec.content_len, 0);
    buf_fini(&b);
}

static void other_versions_are_refused_at_once(void **state)
{
    (void)state;
    struct fcgi_record rec;
    struct fcgi_piece piece;

    for (unsigned v = 0; v < 256; v++) {
        uint8_t first = (uint8_t)v;
        struct fcgi_reader r = {0};
        int want = v == FCGI_VERSION_1 ? 0 : GW_EFCGI_PROTO;
        assert_int_equal(fcgi_record_decode(&first, 1, &rec), want);
        assert_int_equal(fcgi_reader_next(&r, &first, 1, &piece), want);
    }
}

/* What a reader reported, put together again. */
struct seen {
    struct buf types; /* one byte per record */
    struct buf content;
    size_t n_ends;
    bool open;
};

static void see(struct seen *s, const struct fcgi_piece *p)
{
    assert_int_equal(p->begin, !s->open);
    if (p->begin)
        assert_int_equal(buf_append(&s->types, &p->type, 1), 0);
    assert_int_equal(buf_append(&s->content, p->content, p->len), 0);
    s->open = !p->end;
    s->n_ends += p->end;
}

static void read_all(struct fcgi_reader *r, const uint8_t *in, size_t len, struct seen *s)
{
    struct fcgi_piece p;
    ssize_t n;

    while ((n = fcgi_reader_next(r, in, len, &p)) > 0) {
        assert_true((size_t)n <= len);
        see(s, &p);
        in += n;
        len -= (size_t)n;
    }
    assert_int_equal(n, 0);
}

static void seen_fini(struct seen *s)
{
    buf_fini(&s->types);
    buf_fini(&s->content);
}

static void put_sample(struct buf *b)
{
    put_record(b, FCGI_BEGIN_REQUEST, 1, 8, 0);
    put_record(b, FCGI_PARAMS, 1, 20, 4);
    put_record(b, FCGI_PARAMS, 1, 0, 0);
    put_record(b, FCGI_STDIN, 1, 1, 255);
    put_record(b, FCGI_STDIN, 1, 0, 3); /* empty, yet padded */
    put_record(b, FCGI_ABORT_REQUEST, 1, 0, 0);
}

static void check_sample(const struct seen *s)
{
    assert_int_equal(s->n_ends, 6);
    assert_int_equal(buf_len(&s->types), 6);
    assert_memory_equal(buf_at(&s->types), "\1\4\4\5\5\2", 6);
    assert_int_equal(buf_len(&s->content), 29);
    assert_int_equal(buf_at(&s->content)[8], 20); /* first byte of the second content */
}

static void reader_gives_the_same_at_every_split(void **state)
{
    (void)state;
    struct buf b = {0};

    put_sample(&b);
    for (size_t cut = 0; cut <= buf_len(&b); cut++) {
        struct fcgi_reader r = {0};
        struct seen s = {0};
        read_all(&r, buf_at(&b), cut, &s);
        read_all(&r, buf_at(&b) + cut, buf_len(&b) - cut, &s);
        check_sample(&s);
        assert_int_equal(fcgi_reader_wants(&r), 8);
        seen_fini(&s);
    }
    buf_fini(&b);
}

static void reader_gives_the_same_byte_by_byte(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_reader r = {0};
    struct seen s = {0};

    put_sample(&b);
    for (size_t i = 0; i < buf_len(&b); i++)
        read_all(&r, buf_at(&b) + i, 1, &s);
    check_sample(&s);
    seen_fini(&s);
    buf_fini(&b);
}

static void wants_never_reads_past_the_next_header(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_reader r = {0};
    struct seen s = {0};
    size_t at = 0;

    put_sample(&b);
    while (at < buf_len(&b)) {
        size_t n = fcgi_reader_wants(&r);
        assert_true(n > 0);
        if (n > buf_len(&b) - at)
            n = buf_len(&b) - at;
        read_all(&r, buf_at(&b) + at, n, &s);
        at += n;
    }
    check_sample(&s);
    seen_fini(&s);
    buf_fini(&b);
}

static void content_may_go_past_the_reader(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_reader r = {0};
    struct fcgi_piece p;

    put_record(&b, FCGI_STDIN, 1, 100, 5);
    put_record(&b, FCGI_STDIN, 1, 0, 0);
    assert_int_equal(fcgi_reader_content_left(&r), 0);
    assert_int_equal(fcgi_reader_next(&r, buf_at(&b), 8, &p), 0); /* the header alone */
    assert_int_equal(fcgi_reader_content_left(&r), 100);
    assert_int_equal(fcgi_reader_next(&r, buf_at(&b) + 8, 10, &p), 10);
    assert_true(p.begin && !p.end);
    assert_false(fcgi_reader_took(&r, 89));
    assert_int_equal(fcgi_reader_content_left(&r), 1);
    assert_true(fcgi_reader_took(&r, 1));
    assert_int_equal(fcgi_reader_content_left(&r), 0);
    assert_int_equal(fcgi_reader_wants(&r), 5 + 8);
    assert_int_equal(fcgi_reader_next(&r, buf_at(&b) + 108, 13, &p), 13);
    assert_true(p.begin && p.end && p.len == 0);
    buf_fini(&b);
}

static void reader_refuses_a_bad_version_after_a_record(void **state)
{
    (void)state;
    struct buf b = {0};
    struct fcgi_reader r = {0};
    struct fcgi_piece p;

    put_record(&b, FCGI_STDIN, 1, 3, 2);
    assert_int_equal(buf_append(&b, "\2", 1), 0);
    assert_int_equal(fcgi_reader_next(&r, buf_at(&b), buf_len(&b), &p), 11);
    assert_int_equal(fcgi_reader_next(&r, buf_at(&b) + 11, 3, &p), GW_EFCGI_PROTO);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_exact_bytes),
        cmocka_unit_test(begin_and_end_are_exact_bytes),
        cmocka_unit_test(end_request_reads_back),
        cmocka_unit_test(decode_needs_the_whole_record),
        cmocka_unit_test(decode_takes_the_extremes),
        cmocka_unit_test(other_versions_are_refused_at_once),
        cmocka_unit_test(reader_gives_the_same_at_every_split),
        cmocka_unit_test(reader_gives_the_same_byte_by_byte),
        cmocka_unit_test(wants_never_reads_past_the_next_header),
        cmocka_unit_test(content_may_go_past_the_reader),
        cmocka_unit_test(reader_refuses_a_bad_version_after_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
