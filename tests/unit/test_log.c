/* gateway/log.c: escaping, both line formats, batches, reopening. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../gateway/conn.h"
#include "../../gateway/log.h"

static char dir[64];
static char error_path[96], access_path[96];

static void read_file(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, out + n, cap - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    close(fd);
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t re;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, text, 0, NULL, 0) != 0)
        fail_msg("%s\ndoes not match %s", text, pattern);
    regfree(&re);
}

static struct conf_gateway gateway_conf(void)
{
    return (struct conf_gateway){
        .error_log = error_path, .access_log = access_path, .error_level = CONF_LOG_INFO};
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_log.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(error_path, sizeof error_path, "%s/error.log", dir);
    snprintf(access_path, sizeof access_path, "%s/access.log", dir);
    struct conf_gateway g = gateway_conf();
    assert_int_equal(log_open(&g), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(log_error_fd());
    close(log_access_fd());
    unlink(error_path);
    unlink(access_path);
    rmdir(dir);
    return 0;
}

static void escapes(void **state)
{
    static const struct {
        struct slice in, out;
    } rows[] = {
        {SLICE(""), SLICE("")},
        {SLICE("plain /a?b=c"), SLICE("plain /a?b=c")},
        {SLICE("a\"b\\c"), SLICE("a\\x22b\\x5cc")},
        {SLICE("\0\x01\n\r\t\x1f\x7f"), SLICE("\\x00\\x01\\x0a\\x0d\\x09\\x1f\\x7f")},
        {SLICE("\x80\xff"), SLICE("\\x80\\xff")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        assert_int_equal(log_escape(&b, rows[i].in), 0);
        assert_int_equal(buf_len(&b), rows[i].out.n);
        if (rows[i].out.n)
            assert_memory_equal(buf_at(&b), rows[i].out.p, rows[i].out.n);
        buf_fini(&b);
    }
}

static void error_line_has_its_shape(void **state)
{
    char text[8192];

    (void)state;
    log_line(CONF_LOG_WARN, "pool=%s refused", "php");
    log_line(CONF_LOG_DEBUG, "below error_level: dropped");
    read_file(error_path, text, sizeof text);
    assert_matches(text, "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
                         "\\.[0-9]{3}Z warn [0-9]+: pool=php refused\n$");
}

static void error_line_stays_one_line(void **state)
{
    char text[8192];

    (void)state;
    log_line(CONF_LOG_ERROR, "a%sb", "\nfake line\033[31m");
    read_file(error_path, text, sizeof text);
    assert_matches(text, ": a\\\\x0afake line\\\\x1b\\[31mb\n$");
}

static void error_line_is_bounded(void **state)
{
    char big[9000], text[16384];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_line(CONF_LOG_ERROR, "%s", big);
    log_app_line(CONF_LOG_ERROR, "p", NULL, 1, slice_str(big));
    memset(big, '\1', sizeof big - 1);
    log_app_line(CONF_LOG_ERROR, "p", NULL, 1, slice_str(big));
    read_file(error_path, text, sizeof text);
    assert_true(strlen(text) <= 3 * 4096);
    assert_matches(text, "x \\[cut\\]\n.*x \\[cut\\]\n.*01 \\[cut\\]\n$");
}

static void app_line_keeps_text_and_drops_control(void **state)
{
    static const struct {
        struct slice in;
        const char *out;
    } rows[] = {
        {SLICE("PHP Warning: \"x\" in App\\Foo"), "PHP Warning: \"x\" in App\\Foo\n"},
        {SLICE("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x99\x82"),
         "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x99\x82\n"},
        {SLICE("c1 \xc2\x9b[m, cut \xe2\x82"), "c1 \\xc2\\x9b[m, cut \\xe2\\x82\n"},
        {SLICE("long form \xc0\xaf \xe0\x80\xaf \xed\xa0\x80 \xf4\x90\x80\x80"),
         "long form \\xc0\\xaf \\xe0\\x80\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80\n"},
        {SLICE("nul\0cr\r"), "nul\\x00cr\\x0d\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[8192];
        assert_int_equal(truncate(error_path, 0), 0);
        log_app_line(CONF_LOG_WARN, "php", "example", 42, rows[i].in);
        read_file(error_path, text, sizeof text);
        assert_matches(text, "warn [0-9]+: site=example pool=php process=42 ");
        assert_string_equal(text + strlen(text) - strlen(rows[i].out), rows[i].out);
    }
}

static void app_line_without_site_or_pid(void **state)
{
    char text[8192];

    (void)state;
    log_app_line(CONF_LOG_INFO, "app", NULL, 0, SLICE("hello"));
    read_file(error_path, text, sizeof text);
    assert_matches(text, " info [0-9]+: pool=app hello\n$");
}

/* A stream as log_access sees it. */
struct fake {
    struct conn conn;
    struct stream stream;
    struct field fields[2];
};

static void fake_init(struct fake *f)
{
    memset(f, 0, sizeof *f);
    strcpy(f->conn.peer_text, "192.0.2.1");
    f->fields[0] = (struct field){SLICE("referer"), SLICE("http://a/\"b")};
    f->fields[1] = (struct field){SLICE("user-agent"), SLICE("curl/7.88.1")};
    f->stream.conn = &f->conn;
    f->stream.req.method = SLICE("GET");
    f->stream.req.target = SLICE("/a?b");
    f->stream.req.version = HTTP_2;
    f->stream.req.fields = f->fields;
    f->stream.req.n_fields = 2;
    f->stream.status = 200;
    f->stream.out.n_body = 512;
    f->stream.start_us = clock_now_us() - 1234;
}

static void access_text(const struct stream *s, char *out, size_t cap)
{
    struct log_batch b = {0};

    assert_int_equal(truncate(access_path, 0), 0);
    log_access(&b, s);
    log_batch_flush(&b);
    read_file(access_path, out, cap);
    buf_fini(&b.lines);
}

static void access_line_is_combined(void **state)
{
    struct fake f;
    char text[8192];

    (void)state;
    fake_init(&f);
    f.stream.remote_user = SLICE("alice");
    access_text(&f.stream, text, sizeof text);
    assert_matches(text, "^192\\.0\\.2\\.1 - alice "
                         "\\[[0-3][0-9]/[A-Z][a-z]{2}/20[0-9]{2}(:[0-9]{2}){3} "
                         "[+-][0-9]{4}\\] \"GET /a\\?b HTTP/2\" 200 512 "
                         "\"http://a/\\\\x22b\" \"curl/7\\.88\\.1\" 0\\.[0-9]{6}\n$");
}

static void access_line_of_a_pool(void **state)
{
    struct fake f;
    char text[8192];

    (void)state;
    fake_init(&f);
    f.stream.pool_name = "my \"php";
    f.stream.pool_wait_ms = 12;
    access_text(&f.stream, text, sizeof text);
    assert_matches(text, " 0\\.[0-9]{6} pool=my\\\\x20\\\\x22php wait=12ms\n$");
}

static void report_of(struct fake *f, const struct script_use *use)
{
    f->stream.pool_name = "cgi";
    f->stream.report = access_report_new();
    assert_non_null(f->stream.report);
    access_report_end(f->stream.report, use);
}

static void access_line_of_a_script(void **state)
{
    static const struct {
        struct script_use use;
        const char *want;
    } rows[] = {
        {{0, 12999, 3456}, " wait=0ms exit=0 cpu=12ms mem=3456K\n$"},
        {{W_EXITCODE(3, 0), 0, 1}, " exit=3 cpu=0ms mem=1K\n$"},
        {{SIGKILL, 5000000, 0}, " signal=9 cpu=5000ms mem=0K\n$"},
        /* what a hostile runner may write */
        {{-1, UINT64_MAX, UINT64_MAX}, " cpu=18446744073709551ms mem=18446744073709551615K\n$"},
    };
    struct fake f;
    char text[8192];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_init(&f);
        report_of(&f, &rows[i].use);
        access_text(&f.stream, text, sizeof text);
        assert_matches(text, rows[i].want);
        access_report_drop(f.stream.report);
    }
    fake_init(&f);
    report_of(&f, NULL);
    access_text(&f.stream, text, sizeof text);
    assert_matches(text, " pool=cgi wait=0ms\n$");
    access_report_drop(f.stream.report);
}

static unsigned n_woken;

static void woken(struct log_batch *b)
{
    (void)b;
    n_woken++;
}

/* The stream is over first: its line comes when the script is. */
static void access_line_waits_for_the_script(void **state)
{
    struct log_batch b = {.wake = woken};
    struct script_use use = {.status = SIGTERM, .cpu_us = 1000, .peak_kb = 7};
    struct fake f;
    char text[8192];

    (void)state;
    assert_int_equal(truncate(access_path, 0), 0);
    fake_init(&f);
    f.stream.pool_name = "cgi";
    f.stream.report = access_report_new();
    log_access(&b, &f.stream);
    access_report_drop(f.stream.report);
    assert_int_equal(buf_len(&b.lines), 0);
    assert_int_equal(n_woken, 0);
    access_report_end(f.stream.report, &use);
    assert_int_equal(n_woken, 1);
    log_batch_flush(&b);
    read_file(access_path, text, sizeof text);
    assert_matches(text, "^192.* pool=cgi wait=0ms signal=15 cpu=1ms mem=7K\n$");
    buf_fini(&b.lines);
}

static void access_line_without_anything(void **state)
{
    struct fake f;
    char text[8192];

    (void)state;
    fake_init(&f);
    f.stream.req = (struct request){.version = HTTP_1_0};
    f.stream.status = 0;
    f.stream.start_us = 0;
    f.stream.out.n_body = 0;
    access_text(&f.stream, text, sizeof text);
    assert_matches(text, "^192\\.0\\.2\\.1 - - .*\\] \"- - HTTP/1\\.0\" 499 0 \"-\" \"-\" "
                         "0\\.000000\n$");
}

static void access_line_cannot_be_forged(void **state)
{
    struct fake f;
    char text[8192];

    (void)state;
    fake_init(&f);
    f.stream.remote_user = SLICE("a b\"c");
    f.stream.req.target = SLICE("/\" 200 1\n10.0.0.1 - -");
    access_text(&f.stream, text, sizeof text);
    assert_matches(text, " - a\\\\x20b\\\\x22c \\[");
    assert_matches(text, "\"GET /\\\\x22 200 1\\\\x0a10\\.0\\.0\\.1 - - HTTP/2\" 200 ");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void batch_is_written_when_full(void **state)
{
    struct log_batch b = {0};
    struct fake f;
    struct stat st;
    unsigned n = 0;

    (void)state;
    fake_init(&f);
    do {
        log_access(&b, &f.stream);
        assert_int_equal(stat(access_path, &st), 0);
        n++;
    } while (st.st_size == 0 && n < 10000);
    assert_true(st.st_size >= 32 * 1024 && st.st_size < 33 * 1024);
    assert_int_equal(buf_len(&b.lines), 0);
    buf_fini(&b.lines);
}

static void access_log_off(void **state)
{
    struct conf_gateway g = gateway_conf();
    struct log_batch b = {0};
    struct fake f;

    (void)state;
    close(log_error_fd());
    close(log_access_fd());
    g.access_log = "off";
    assert_int_equal(log_open(&g), 0);
    assert_int_equal(log_access_fd(), -1);
    fake_init(&f);
    log_access(&b, &f.stream);
    assert_int_equal(buf_len(&b.lines), 0);
    log_batch_flush(&b);
}

static void reopened_under_the_same_number(void **state)
{
    struct conf_gateway g = gateway_conf();
    char moved[128], text[8192];
    int fd = log_error_fd();

    (void)state;
    snprintf(moved, sizeof moved, "%s.1", error_path);
    log_line(CONF_LOG_INFO, "first");
    assert_int_equal(rename(error_path, moved), 0);
    assert_int_equal(log_reopen(&g), 0);
    assert_int_equal(log_error_fd(), fd);
    log_line(CONF_LOG_INFO, "second");
    read_file(moved, text, sizeof text);
    assert_matches(text, ": first\n$");
    read_file(error_path, text, sizeof text);
    assert_matches(text, "^[^\n]*: second\n$");
    unlink(moved);
}

static void missing_folder_is_an_error(void **state)
{
    struct conf_gateway g = gateway_conf();
    char text[8192];

    (void)state;
    g.access_log = "/nonexistent/dir/access.log";
    assert_int_equal(log_reopen(&g), -1);
    log_line(CONF_LOG_INFO, "still here");
    read_file(error_path, text, sizeof text);
    assert_matches(text, ": still here\n$");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(error_line_has_its_shape),
        T(error_line_stays_one_line),
        T(error_line_is_bounded),
        T(app_line_keeps_text_and_drops_control),
        T(app_line_without_site_or_pid),
        T(access_line_is_combined),
        T(access_line_of_a_pool),
        T(access_line_of_a_script),
        T(access_line_waits_for_the_script),
        T(access_line_without_anything),
        T(access_line_cannot_be_forged),
        T(batch_is_written_when_full),
        T(access_log_off),
        T(reopened_under_the_same_number),
        T(missing_folder_is_an_error),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
