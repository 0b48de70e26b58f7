/* gateway/compress.h: what is compressed, for whom, and what the head says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/compress.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct slice text_types[] = {
    {"text/*", 6}, {"*+json", 6}, {"application/json", 16}};

static const struct conf_compress on = {
    .order = {CODING_ZSTD, CODING_BR, CODING_GZIP},
    .n = 3,
    .min = 100,
    .types = text_types,
    .n_types = N(text_types),
};

static void test_types(void **state)
{
    static const struct {
        const char *pattern, *type;
        bool match;
    } rows[] = {
        {"text/html", "text/html", true},
        {"text/html", "TEXT/Html", true},
        {"text/html", "text/html; charset=utf-8", true},
        {"text/html", "text/html ;charset=utf-8", true},
        {"text/html", "text/htmlx", false},
        {"text/html", "xtext/html", false},
        {"text/html", "", false},
        {"text/*", "text/", true},
        {"text/*", "text/css", true},
        {"text/*", "application/text/css", false},
        {"*+json", "application/ld+json", true},
        {"*+json", "application/json", false},
        {"*+json", "a+json+json", true},
        {"*+json", "a+json+jso", false},
        {"*", "", true},
        {"*", "image/png", true},
        {"a*b*c", "abc", true},
        {"a*b*c", "axxbxxbxc", true},
        {"a*b*c", "axxbxxb", false},
        {"**x", "yx", true},
        {"*", "text/event-stream", false},
        {"text/*", "text/event-stream", false},
        {"text/event-stream", "text/event-stream;x=y", true},
        {"Text/Event-Stream", "text/event-stream", true},
    };

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct slice pattern = slice_str(rows[i].pattern);
        struct conf_compress c = {.types = &pattern, .n_types = 1};
        if (compress_has_type(&c, slice_str(rows[i].type)) != rows[i].match)
            fail_msg("%s and %s", rows[i].pattern, rows[i].type);
    }
}

/* The choice for Accept-Encoding: value and one type of body. */
static struct compress_choice choose(const char *accept, const struct response *r)
{
    struct field field = {SLICE("Accept-Encoding"), slice_str(accept)};
    struct request req = {.fields = &field, .n_fields = 1, .version = HTTP_2};
    struct compress_choice choice;

    compress_choose(&on, &req, r, &choice);
    return choice;
}

static void test_order(void **state)
{
    static const struct {
        const char *accept;
        unsigned n;
        enum coding codings[3];
    } rows[] = {
        {"gzip, br, zstd", 3, {CODING_ZSTD, CODING_BR, CODING_GZIP}},
        {"gzip, br", 2, {CODING_BR, CODING_GZIP}},
        {"gzip;q=1, br;q=0.5, zstd;q=0.7", 3, {CODING_GZIP, CODING_ZSTD, CODING_BR}},
        {"br, zstd;q=0.9, gzip", 3, {CODING_BR, CODING_GZIP, CODING_ZSTD}},
        {"br;q=0.3, identity;q=0.5, gzip", 1, {CODING_GZIP}},
        {"identity", 0, {0}},
        {"*;q=0", 0, {0}},
    };
    struct field type = {SLICE("Content-Type"), SLICE("text/plain")};
    struct response r = {.status = 200, .fields = &type, .n_fields = 1, .content_length = 1000};

    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct compress_choice choice = choose(rows[i].accept, &r);
        assert_true(choice.varies);
        assert_int_equal(choice.n, rows[i].n);
        for (unsigned k = 0; k < choice.n; k++)
            assert_int_equal(choice.codings[k], rows[i].codings[k]);
    }
}

/* What the whole would have been decides over a 304 and a 206. */
static void test_whole(void **state)
{
    static const struct {
        int status;
        const char *type;
        int64_t length;
        bool varies, encoded;
    } rows[] = {
        {304, "text/plain", 1000, true, true},  {304, "text/plain", 99, false, false},
        {304, "image/png", 1000, false, false}, {206, "text/plain", 1000, true, false},
        {206, "text/plain", 99, false, false},  {206, "image/png", 1000, false, false},
    };
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        struct response r = {.status = rows[i].status,
                             .content_length = 10,
                             .whole_type = slice_str(rows[i].type),
                             .whole_length = rows[i].length};
        struct compress_choice choice = choose("gzip", &r);
        assert_int_equal(choice.varies, rows[i].varies);
        assert_int_equal(choice.n > 0, rows[i].encoded);
    }
}

/* A head as text, one line a field, in out. */
static void print(const struct response *r, char *out, size_t room)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < r->n_fields; i++)
        n += (size_t)snprintf(out + n, room - n, "%.*s: %.*s\n", SLICE_FMT(r->fields[i].name),
                              SLICE_FMT(r->fields[i].value));
}

static void test_heads(void **state)
{
    static const struct field full[] = {
        {{"ETag", 4}, {"\"a\"", 3}},
        {{"Vary", 4}, {"Cookie", 6}},
        {{"accept-ranges", 13}, {"bytes", 5}},
        {{"Content-Encoding", 16}, {"identity", 8}},
        {{"X", 1}, {"y", 1}},
    };
    static const struct field weak[] = {{{"ETag", 4}, {"W/\"a\"", 5}}, {{"Vary", 4}, {"*", 1}}};
    static const struct {
        const struct field *fields;
        size_t n;
        int status;
        enum coding coding;
        const char *head;
    } rows[] = {
        {full, 5, 200, CODING_BR,
         "ETag: W/\"a\"\nVary: Cookie, Accept-Encoding\nX: y\nContent-Encoding: br\n"},
        {full, 5, 200, CODING_IDENTITY,
         "ETag: \"a\"\nVary: Cookie, Accept-Encoding\naccept-ranges: bytes\n"
         "Content-Encoding: identity\nX: y\n"},
        {full, 1, 304, CODING_GZIP, "ETag: W/\"a\"\nVary: Accept-Encoding\n"},
        {weak, 2, 200, CODING_GZIP, "ETag: W/\"a\"\nVary: *\nContent-Encoding: gzip\n"},
        {NULL, 0, 200, CODING_ZSTD, "Vary: Accept-Encoding\nContent-Encoding: zstd\n"},
    };
    struct arena a;
    char head[500];

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < N(rows); i++) {
        struct response r = {.status = rows[i].status,
                             .fields = rows[i].fields,
                             .n_fields = rows[i].n,
                             .content_length = 7};
        assert_int_equal(compress_head(&a, rows[i].coding, &r), 0);
        print(&r, head, sizeof(head));
        assert_string_equal(head, rows[i].head);
        assert_int_equal(r.content_length,
                         rows[i].coding == CODING_IDENTITY || rows[i].status == 304 ? 7 : -1);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
