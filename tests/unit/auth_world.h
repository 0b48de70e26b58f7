/*
 * tests/unit/auth_world.h - auth.c and auth_verify.c between a request, an event loop, writer
 * threads, a clock and a log that the test plays, over real files.  For one file of a test program.
 *
 *     write_user("alice", "$2b$", 4, "secret");
 *     ask(&q, ALICE_SECRET); run_job();
 *     assert_int_equal(q.err, 0);
 *     end(&q);
 */
#ifndef TESTS_AUTH_WORLD_H
#define TESTS_AUTH_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <crypt.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/auth.h"
#include "../../gateway/auth_cache.h"
#include "../../gateway/auth_file.h"
#include "../../gateway/auth_verify.h"
#include "../../gateway/clients.h"
#include "../../gateway/conn.h"
#include "../../gateway/log.h"
#include "../../gateway/router.h"
#include "../../gateway/worker.h"

/* ---- played ---- */

static struct auth *the_auth;
static uint64_t the_time_ms = 1000000;
static struct job *jobs[4096];
static size_t n_jobs;
static struct loop_msg *messages[64];
static size_t n_messages;
static struct timer *timers[64];
static uint64_t timer_ms;
static size_t n_timers;
static char logged[4096];
static int n_working;
static bool is_exempt;

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

uint64_t clock_now_us(void)
{
    return the_time_ms * 1000;
}

void *loop_user(const struct loop *l)
{
    return (void *)(uintptr_t)l;
}

void worker_job_began(struct worker *w)
{
    (void)w;
    n_working++;
}

void worker_job_ended(struct worker *w)
{
    (void)w;
    n_working--;
}

void loop_post(struct loop *l, struct loop_msg *msg)
{
    (void)l;
    messages[n_messages++] = msg;
}

void timer_set(struct loop *l, struct timer *t, uint64_t ms)
{
    (void)l;
    timers[n_timers++] = t;
    timer_ms = ms;
}

void timer_clear(struct timer *t)
{
    for (size_t i = 0; i < n_timers; i++) {
        if (timers[i] == t)
            timers[i] = timers[--n_timers];
    }
}

static inline void run_timers(void)
{
    while (n_timers) {
        struct timer *t = timers[--n_timers];
        t->fn(NULL, t);
    }
}

static inline void run_messages(void)
{
    while (n_messages) {
        struct loop_msg *msg = messages[--n_messages];
        msg->fn(NULL, msg);
    }
}

bool clients_is_exempt(const struct clients *cs, const struct cidr_address *address)
{
    (void)cs;
    (void)address;
    return is_exempt;
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

__attribute__((format(printf, 1, 0))) static inline void note(const char *fmt, va_list ap)
{
    size_t n = strlen(logged);

    vsnprintf(logged + n, sizeof(logged) - n, fmt, ap);
}

void log_line(int level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    note(fmt, ap);
    va_end(ap);
}

void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
{
    va_list ap;

    (void)s;
    (void)level;
    (void)err;
    va_start(ap, fmt);
    note(fmt, ap);
    va_end(ap);
}

/* Run job i as a writer thread and its worker would. */
static inline void run_job_at(size_t i)
{
    struct job *job = jobs[i];

    assert_true(n_jobs > i);
    memmove(jobs + i, jobs + i + 1, (--n_jobs - i) * sizeof(jobs[0]));
    job->run(job);
    job->done(job->loop, job);
}

static inline void run_job(void)
{
    run_job_at(0);
}

/* ---- one request ---- */

struct asked {
    struct stream s;
    struct worker worker;
    struct conn conn;
    unsigned n_done, retry_s;
    int err;
    char user[64];
};

static inline void on_done(struct stream *s, void *arg, const struct auth_result *res)
{
    struct asked *q = arg;

    assert_null(s->handler);
    q->n_done++;
    q->err = res->err;
    q->retry_s = res->retry_s;
    snprintf(q->user, sizeof(q->user), "%.*s", SLICE_FMT(res->user));
}

static const struct conf_site the_site = {.name = "main"};
static struct conf_auth conf_auth;

static inline void ask_fields(struct asked *q, struct field *fields, size_t n)
{
    *q = (struct asked){.err = 1};
    q->conn.worker = &q->worker;
    q->conn.peer.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = 1};
    q->s.conn = &q->conn;
    q->s.loop = (struct loop *)(void *)&the_time_ms; /* one for all */
    q->s.site = &the_site;
    q->s.req.fields = fields;
    q->s.req.n_fields = n;
    arena_init(&q->s.arena);
    auth_check(&q->s, &conf_auth, on_done, q);
}

static inline void ask(struct asked *q, const char *value)
{
    static struct field f;

    f = (struct field){SLICE("authorization"), slice_str(value)};
    ask_fields(q, &f, 1);
}

static inline void end(struct asked *q)
{
    if (q->s.handler && q->s.handler->closed)
        q->s.handler->closed(&q->s, 0);
    arena_fini(&q->s.arena);
}

/* ---- the file ---- */

static char file[64], group_file[80];

static inline void write_to(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    the_time_ms += AUTH_FILE_LOOK_MS;
}

/* "user:hash" with a hash of the given kind. */
static inline void write_user(const char *user, const char *prefix, unsigned long cost,
                              const char *password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], line[512];
    struct crypt_data *data = calloc(1, sizeof(*data));

    assert_non_null(crypt_gensalt_rn(prefix, cost, NULL, 0, setting, sizeof(setting)));
    snprintf(line, sizeof(line),
             "# users\n\nother:$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1\n%s:%s\n", user,
             crypt_r(password, setting, data));
    free(data);
    write_to(file, line);
}

static struct conf_route the_routes[2];
static struct conf_site sites[] = {{.name = "main", .routes = the_routes, .n_routes = 2}};
static struct conf conf = {.sites = sites, .n_sites = 1};

static inline int setup(void **state)
{
    (void)state;
    snprintf(file, sizeof(file), "/tmp/test_auth.XXXXXX");
    int fd = mkstemp(file);
    if (fd < 0)
        return -1;
    close(fd);
    snprintf(group_file, sizeof(group_file), "%s.groups", file);
    write_to(group_file, "staff: carol\nadmins: bob alice\n");
    n_jobs = n_messages = n_timers = 0;
    timer_ms = 0;
    n_working = 0;
    logged[0] = '\0';
    is_exempt = false;
    conf.gateway.limit_table = 1024;
    conf.gateway.auth_failures =
        (struct conf_limit){.text = SLICE("3/m"), .n = 3, .per_ms = 60000, .burst = 2};
    conf_auth = (struct conf_auth){.basic = 1, .file = file, .realm = "hall"};
    the_routes[0].auth = the_routes[1].auth = conf_auth;
    static struct slice groups[] = {{"admins", 6}};
    the_routes[1].auth.groups = groups;
    the_routes[1].auth.n_groups = 1;
    the_routes[1].auth.group_file = group_file;
    the_auth = auth_new(&conf);
    the_time_ms += AUTH_FILE_LOOK_MS;
    return the_auth ? 0 : -1;
}

static inline int teardown(void **state)
{
    (void)state;
    assert_int_equal(n_jobs, 0);
    assert_int_equal(n_messages, 0);
    assert_int_equal(n_timers, 0);
    assert_int_equal(n_working, 0);
    auth_free(the_auth);
    unlink(file);
    unlink(group_file);
    return 0;
}

#define ALICE_SECRET "Basic YWxpY2U6c2VjcmV0" /* alice:secret */
#define ALICE_WRONG "Basic YWxpY2U6d3Jvbmc="  /* alice:wrong */
#define ALICE_OTHER "Basic YWxpY2U6b3RoZXI="  /* alice:other */
#define BOB_SECRET "Basic Ym9iOnNlY3JldA=="   /* bob:secret */

#endif
