/* The stream, the loop, the writer threads and the log around auth.c are played by this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/auth.h"
#include "../../gateway/auth_cache.h"
#include "../../gateway/htpasswd.h"
#include "../../gateway/router.h"
#include "../../gateway/worker.h"

/* ---- played ---- */

static struct auth *the_auth;
static uint64_t the_time_ms = 1000000;
static struct job *jobs[4096];
static size_t n_jobs;
static char logged[256];

struct auth *router_auth(const struct router *r)
{
    (void)r;
    return the_auth;
}

uint64_t loop_now_ms(const struct loop *l)
{
    (void)l;
    return the_time_ms;
}

void writers_job(struct writers *w, struct job *job)
{
    (void)w;
    jobs[n_jobs++] = job;
}

void stream_handle(struct stream *s, const struct handler *h, void *state)
{
    s->handler = h;
    s->handler_state = state;
    h->start(s);
}

void log_line(int level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(logged, sizeof(logged), fmt, ap);
    va_end(ap);
}

/* Run the oldest job as a writer thread and its worker would. */
static void run_job(void)
{
    struct job *job = jobs[0];

    assert_true(n_jobs > 0);
    memmove(jobs, jobs + 1, --n_jobs * sizeof(jobs[0]));
    job->run(job);
    job->done(NULL, job);
}

/* ---- one request ---- */

struct asked {
    struct stream s;
    struct worker worker;
    struct conn conn;
    unsigned n_done;
    int err;
    char user[64];
};

static void on_done(struct stream *s, void *arg, const struct auth_result *res)
{
    struct asked *q = arg;

    assert_null(s->handler);
    q->n_done++;
    q->err = res->err;
    snprintf(q->user, sizeof(q->user), "%.*s", SLICE_FMT(res->user));
}

static void ask_fields(struct asked *q, const char *path, struct field *fields, size_t n)
{
    static struct conf_route route;

    *q = (struct asked){.err = 1};
    q->conn.worker = &q->worker;
    q->s.conn = &q->conn;
    q->s.req.fields = fields;
    q->s.req.n_fields = n;
    arena_init(&q->s.arena);
    route = (struct conf_route){.auth_basic = true, .auth_file = path};
    auth_check(&q->s, &route, on_done, q);
}

static void ask(struct asked *q, const char *path, const char *value)
{
    static struct field f;

    f = (struct field){SLICE("authorization"), slice_str(value)};
    ask_fields(q, path, &f, 1);
}

static void end(struct asked *q)
{
    if (q->s.handler && q->s.handler->closed)
        q->s.handler->closed(&q->s, 0);
    arena_fini(&q->s.arena);
}

/* ---- the file ---- */

static char file[64];

static void write_file(const char *text)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* "user:hash" with a hash of the given kind. */
static void write_user(const char *user, const char *prefix, unsigned long cost,
                       const char *password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], line[512];
    struct crypt_data *data = calloc(1, sizeof(*data));

    assert_non_null(crypt_gensalt_rn(prefix, cost, NULL, 0, setting, sizeof(setting)));
    snprintf(line, sizeof(line), "# users\n\nother:$6$x$y\n%s:%s\n", user,
             crypt_r(password, setting, data));
    free(data);
    write_file(line);
}

static int setup(void **state)
{
    (void)state;
    snprintf(file, sizeof(file), "/tmp/test_auth.XXXXXX");
    int fd = mkstemp(file);
    if (fd < 0)
        return -1;
    close(fd);
    the_auth = auth_new();
    n_jobs = 0;
    logged[0] = '\0';
    return the_auth ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(n_jobs, 0);
    auth_free(the_auth);
    unlink(file);
    return 0;
}

#define ALICE_SECRET "Basic YWxpY2U6c2VjcmV0" /* alice:secret */
#define ALICE_WRONG "Basic YWxpY2U6d3Jvbmc="  /* alice:wrong */
#define BOB_SECRET "Basic Ym9iOnNlY3JldA=="   /* bob:secret */

/* ---- tests ---- */

static void each_kind_of_hash(void **state)
{
    static const struct {
        const char *prefix;
        unsigned long cost;
        bool supported;
    } kinds[] = {
        {"$2b$", 4, true},   {"$2y$", 4, true}, {"$5$", 1000, true},
        {"$6$", 1000, true}, {"$y$", 1, true},  {"$1$", 0, false},
    };
    struct htpasswd_version v;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        write_user("alice", kinds[i].prefix, kinds[i].cost, "secret");
        assert_int_equal(htpasswd_check(file, "alice", "secret", &v), kinds[i].supported);
        assert_int_equal(htpasswd_check(file, "alice", "Secret", &v), 0);
        assert_int_equal(htpasswd_check(file, "alice", "", &v), 0);
        assert_int_equal(htpasswd_check(file, "bob", "secret", &v), 0);
        assert_int_equal(htpasswd_check(file, "", "secret", &v), 0);
        assert_int_equal(htpasswd_check(file, "# users", "", &v), 0);
    }
    write_file("alice:secret\nbob:\ncarol:{SHA}x\n");
    assert_int_equal(htpasswd_check(file, "alice", "secret", &v), 0);
    assert_int_equal(htpasswd_check(file, "bob", "", &v), 0);
    write_file("");
    assert_int_equal(htpasswd_check(file, "alice", "secret", &v), 0);
}

static void files_that_cannot_be_read(void **state)
{
    struct htpasswd_version v;
    int fd;

    (void)state;
    assert_int_equal(htpasswd_check("/nonexistent/x", "a", "b", &v), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(htpasswd_check("/tmp", "a", "b", &v), -1);
    assert_int_equal(errno, EISDIR);
    fd = open(file, O_WRONLY);
    assert_int_equal(ftruncate(fd, HTPASSWD_FILE_MAX), 0);
    assert_int_equal(htpasswd_check(file, "a", "b", &v), 0);
    assert_int_equal(ftruncate(fd, HTPASSWD_FILE_MAX + 1), 0);
    assert_int_equal(htpasswd_check(file, "a", "b", &v), -1);
    assert_int_equal(errno, EFBIG);
    close(fd);
}

static void find_in_text(void **state)
{
    static const struct {
        const char *text, *hash;
    } rows[] = {
        {"", ""},
        {"a", ""},
        {"a:", ""},
        {"a:h", "h"},
        {"a:h\n", "h"},
        {"a:h\r\n", "h"},
        {"a:h:rest:x\n", "h"},
        {"a:h comment\n", "h"},
        {"b:x\na:h\na:second\n", "h"},
        {"\n\n:\n:x\na:h", "h"},
        {"#a:x\n a:x\naa:x\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice got = htpasswd_find(slice_str(rows[i].text), SLICE("a"));
        assert_true(slice_eq(got, slice_str(rows[i].hash)));
    }
}

static void parse_table(void **state)
{
    static const struct {
        const char *value, *user, *password; /* NULL: refused */
    } rows[] = {
        {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"}, /* RFC 7617 2 */
        {"Basic dGVzdDoxMjPCow==", "test", "123\xc2\xa3"},                /* 2.1 */
        {"basic YTpi", "a", "b"},
        {"BASIC   YTpi", "a", "b"},
        {"Basic YTo=", "a", ""},
        {"Basic Ojo=", "", ":"},
        {"Basic YTpiOmM=", "a", "b:c"},
        {"", NULL, NULL},
        {"Basic", NULL, NULL},
        {"Basic ", NULL, NULL},
        {"Basic YQ==", NULL, NULL},
        {"Basic YTpi,", NULL, NULL},
        {"Basic YTpi YTpi", NULL, NULL},
        {"Basic YTpiAA==", NULL, NULL}, /* NUL */
        {"Basic YQo6Yg==", NULL, NULL}, /* line feed */
        {"BasicYTpi", NULL, NULL},
        {"Bearer YTpi", NULL, NULL},
        {"Basic YTpi=", NULL, NULL},
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice user, password;
        bool ok = auth_parse_basic(&a, slice_str(rows[i].value), &user, &password);
        if (ok != (rows[i].user != NULL))
            fail_msg("%s", rows[i].value);
        if (ok) {
            assert_true(slice_eq(user, slice_str(rows[i].user)));
            assert_true(slice_eq(password, slice_str(rows[i].password)));
            assert_int_equal(strlen(user.p), user.n);
            assert_int_equal(strlen(password.p), password.n);
        }
    }
    arena_fini(&a);
}

static void challenge(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(
        slice_eq(auth_challenge(&a, "git"), SLICE("Basic realm=\"git\", charset=\"UTF-8\"")));
    assert_true(slice_eq(auth_challenge(&a, "a\"b\\"),
                         SLICE("Basic realm=\"a\\\"b\\\\\", charset=\"UTF-8\"")));
    assert_true(slice_eq(auth_challenge(&a, NULL),
                         SLICE("Basic realm=\"restricted\", charset=\"UTF-8\"")));
    arena_fini(&a);
}

static void without_usable_credentials(void **state)
{
    struct field two[] = {{SLICE("Authorization"), slice_str(ALICE_SECRET)},
                          {SLICE("Authorization"), slice_str(ALICE_SECRET)}};
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask_fields(&q, file, two, 0);
    assert_int_equal(q.n_done, 1);
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    ask_fields(&q, file, two, 2);
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    ask(&q, file, "Basic OnNlY3JldA=="); /* no user */
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
}

static void verified_then_remembered(void **state)
{
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask(&q, file, ALICE_SECRET);
    assert_int_equal(q.n_done, 0); /* not on the event loop */
    run_job();
    assert_int_equal(q.n_done, 1);
    assert_int_equal(q.err, 0);
    assert_string_equal(q.user, "alice");
    end(&q);

    ask(&q, file, ALICE_SECRET);
    assert_int_equal(q.n_done, 1);
    assert_int_equal(q.err, 0);
    assert_string_equal(q.user, "alice");
    end(&q);

    ask(&q, file, ALICE_WRONG);
    run_job();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    ask(&q, file, BOB_SECRET);
    run_job();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);

    /* for a minute */
    the_time_ms += AUTH_CACHE_MS - 1;
    ask(&q, file, ALICE_SECRET);
    assert_int_equal(q.n_done, 1);
    end(&q);
    the_time_ms += 1;
    ask(&q, file, ALICE_SECRET);
    assert_int_equal(q.n_done, 0);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
}

static void changed_file_is_noticed(void **state)
{
    struct asked q;

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    ask(&q, file, ALICE_SECRET);
    run_job();
    assert_int_equal(q.err, 0);
    end(&q);
    write_user("alice", "$2b$", 4, "another");
    ask(&q, file, ALICE_SECRET);
    assert_int_equal(q.n_done, 0);
    run_job();
    assert_int_equal(q.err, GW_EUNAUTHORIZED);
    end(&q);
    unlink(file);
    ask(&q, file, ALICE_SECRET);
    assert_int_equal(q.err, GW_EAUTH_FILE);
    assert_non_null(strstr(logged, file));
    end(&q);
}

static void client_gone_meanwhile(void **state)
{
    struct asked q[3];

    (void)state;
    write_user("alice", "$2b$", 4, "secret");
    for (size_t i = 0; i < 3; i++)
        ask(&q[i], file, ALICE_SECRET);
    for (size_t i = 0; i < 3; i++)
        end(&q[i]);
    while (n_jobs)
        run_job();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(q[i].n_done, 0);
}

/* Never more jobs than cores; those that wait follow in order, also past one that left. */
static void bounded_work(void **state)
{
    enum { N = 1200 };
    struct asked *q = calloc(N, sizeof(*q));
    size_t refused = 0, done = 0;

    (void)state;
    write_file("nobody:x\n");
    for (size_t i = 0; i < N; i++) {
        ask(&q[i], file, ALICE_SECRET);
        refused += q[i].n_done && q[i].err == GW_EPOOL_FULL;
    }
    assert_true(n_jobs >= 1 && n_jobs <= 8);
    assert_int_equal(refused, N - 1024 - n_jobs);
    for (size_t i = 100; i < N; i++) { /* some under way or waiting leave */
        end(&q[i]);
    }
    while (n_jobs)
        run_job();
    for (size_t i = 0; i < 100; i++) {
        done += q[i].n_done;
        assert_int_equal(q[i].err, GW_EUNAUTHORIZED);
        end(&q[i]);
    }
    assert_int_equal(done, 100);
    free(q);
}

static void cache_sets(void **state)
{
    struct auth_cache *c = calloc(1, sizeof(*c));

    (void)state;
    auth_cache_init(c);
    for (uint64_t i = 0; i < AUTH_CACHE_WAYS + 1; i++) {
        struct siphash_tag tag = {{7, i}};
        assert_false(auth_cache_has(c, tag, 100));
        auth_cache_put(c, tag, 100 + i);
        assert_true(auth_cache_has(c, tag, 100 + i));
    }
    /* the oldest made room */
    assert_false(auth_cache_has(c, (struct siphash_tag){{7, 0}}, 105));
    assert_true(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 105));
    /* again: the same entry */
    auth_cache_put(c, (struct siphash_tag){{7, 1}}, 200);
    assert_true(auth_cache_has(c, (struct siphash_tag){{7, 2}}, 105));
    assert_true(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 200 + AUTH_CACHE_MS - 1));
    assert_false(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 200 + AUTH_CACHE_MS));
    assert_false(auth_cache_has(c, (struct siphash_tag){{8, 1}}, 105));
    auth_cache_fini(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_of_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read, setup, teardown),
        cmocka_unit_test(find_in_text),
        cmocka_unit_test(parse_table),
        cmocka_unit_test(challenge),
        cmocka_unit_test_setup_teardown(without_usable_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(verified_then_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_file_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(client_gone_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded_work, setup, teardown),
        cmocka_unit_test(cache_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
