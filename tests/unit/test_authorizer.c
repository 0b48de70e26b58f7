/* gateway/authorizer.h: what is asked, what is allowed, who hears of what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fastcgi.h>
#include <fcntl.h>
#include <unistd.h>

#include "../../gateway/authorizer.h"
#include "forward_world.h"

static struct route_match match;
static unsigned n_done;
static size_t file_at_done;

static void on_done(struct stream *stream, void *arg)
{
    assert_ptr_equal(arg, &n_done);
    assert_null(stream->handler);
    n_done++;
    file_at_done = (size_t)match.open->fd;
}

static void run_authorizer(struct stream *stream)
{
    stream->route = &route;
    stream->site = &site;
    authorizer_start(stream, NULL, &match, on_done, &n_done);
    f = stream->handler_state;
}

static int file_fd;

static int setup_authorizer(void **state)
{
    setup(state);
    w.route = run_authorizer;
    file_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    match =
        (struct route_match){.route = &route, .site = &site, .open = open_file_new(file_fd)};
    n_done = 0;
    return 0;
}

static bool file_is_open(void)
{
    return fcntl(file_fd, F_GETFD) >= 0;
}

static void expect_var(const char *name, const char *value)
{
    for (size_t i = 0; i < match.n_vars; i++) {
        if (slice_eq(match.vars[i].name, slice_str(name))) {
            assert_true(slice_eq(match.vars[i].value, slice_str(value)));
            return;
        }
    }
    fail_msg("no %s", name);
}

static void test_allowed(void **state)
{
    (void)state;
    s->req.has_body = true;
    s->req.content_length = 3;
    s->req.expect_continue = true;
    s->in_eof = false;
    begin();
    assert_int_equal(app.role, FCGI_AUTHORIZER);
    assert_false(app.body);
    assert_int_equal(announced, -1);
    app_says(
        "Status: 200 OK\r\nVariable-HALL_NAME: Alice W.\r\nVariable-REMOTE_USER: alice\r\n"
        "Variable-AUTH_TYPE: Hall\r\nVariable-twice: 1\r\nVariable-TWICE: 2\r\n"
        "Variable-SERVER_NAME: evil\r\nSet-Cookie: a=1\r\nContent-Length: 100\r\n\r\nigno");
    app_says("red");
    assert_int_equal(n_done, 0); /* not before it is through */
    assert_true(s->req.expect_continue);
    assert_int_equal(w.seen.n_interims, 0);
    app_ends(0);
    assert_int_equal(n_done, 1);
    assert_int_equal(file_at_done, file_fd);
    assert_true(file_is_open());
    assert_int_equal(match.n_vars, 3);
    expect_var("HALL_NAME", "Alice W.");
    expect_var("TWICE", "1, 2");
    expect_var("twice", "1"); /* as it was spelled, too */
    assert_true(slice_eq(s->remote_user, SLICE("alice")));
    assert_true(slice_eq(s->auth_type, SLICE("Hall")));
    assert_false(s->answered);
    assert_true(s->req.expect_continue); /* for who comes next */
    assert_null(s->pool_name);
    open_file_unref(match.open);
    stream_error(s, GW_ENOT_FOUND);
}

/* A second one replaces what the first said, in whatever spelling. */
static void test_two(void **state)
{
    (void)state;
    begin();
    app_says("Variable-A: 1\nVariable-c-d: 1\nVariable-E: 1\n\n");
    app_ends(0);
    assert_int_equal(match.n_vars, 4);
    w.route(s);
    grant();
    app_says("Status: 200\nVariable-A: 2\nVariable-A: 3\nVariable-B: 3\nVariable-C_D: 4\n\n");
    app_ends(0);
    assert_int_equal(n_done, 2);
    assert_int_equal(match.n_vars, 4);
    expect_var("A", "2, 3");
    expect_var("B", "3");
    expect_var("C_D", "4");
    expect_var("E", "1");
    open_file_unref(match.open);
    stream_error(s, GW_ENOT_FOUND);
}

static void test_refused(void **state)
{
    (void)state;
    begin();
    app_says("Status: 103\n\n"); /* nobody's business */
    app_says("Status: 401 Who are you?\nWWW-Authenticate: Hall\nVariable-X: secret\n\nno");
    app_ends(0);
    assert_int_equal(n_done, 0);
    assert_int_equal(w.seen.n_interims, 0);
    assert_int_equal(s->status, 401);
    assert_string_equal(w.seen.fields, "WWW-Authenticate: Hall|");
    expect_body("no");
    assert_false(file_is_open());
}

/* A redirect is the client's, even to a path of this site. */
static void test_redirect(void **state)
{
    (void)state;
    begin();
    app_says("Location: /login\n\n");
    app_ends(0);
    assert_int_equal(n_done, 0);
    assert_int_equal(s->status, 302);
    assert_string_equal(w.seen.fields, "Location: /login|");
    assert_false(file_is_open());
}

static void fails_with(int err, int status)
{
    assert_int_equal(n_done, 0);
    assert_int_equal(s->err, err);
    assert_int_equal(s->status, status);
    assert_false(file_is_open());
}

static void test_failures(void **state)
{
    static const int errors[] = {GW_EBACKEND_CONNECT, GW_EBACKEND_CLOSED, GW_EBACKEND_ROLE,
                                 GW_EBACKEND_MPX,     GW_EBACKEND_TIME,   GW_EPOOL_FULL,
                                 GW_EPOOL_DOWN,       GW_EFCGI_PROTO};

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        /* before a word, in the middle, and behind a 200 */
        static const char *const said[] = {"", "Status: 20", "Status: 200\nVariable-A: b\n\nx"};
        for (size_t k = 0; k < 3; k++) {
            if (i || k) {
                teardown(state);
                setup_authorizer(state);
            }
            begin();
            if (said[k][0])
                app_says(said[k]);
            app_fails(errors[i], false);
            fails_with(errors[i], gw_err_status(errors[i]));
        }
    }
}

static void test_ends_badly(void **state)
{
    (void)state;
    begin();
    app_says("Status: 200\n\n");
    app_ends(1);
    fails_with(GW_EAUTHORIZER, 502);
}

static void test_no_head(void **state)
{
    (void)state;
    begin();
    app_ends(0);
    fails_with(GW_ECGI_NO_HEAD, 502);
}

static void test_client_gone(void **state)
{
    (void)state;
    begin();
    app_says("Status: 200\n\n");
    stream_on_close(s, GW_ECLIENT_GONE);
    assert_int_equal(n_aborted, 1);
    assert_int_equal(n_done, 0);
    assert_false(file_is_open());
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_authorizer, teardown)
    const struct CMUnitTest tests[] = {
        T(test_allowed),  T(test_two),        T(test_refused), T(test_redirect),
        T(test_failures), T(test_ends_badly), T(test_no_head), T(test_client_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
