/* fcgi/spawner.c with real processes: each test runs a spawner as a child and speaks to it as
 * master and gateway do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../fcgi/spawner.h"
#include "../../gateway/fdpass.h"
#include "../../gateway/log.h"

enum { WAIT_MS = 10000 };

/* One pool of one slot, running "/bin/sh -c script". */
struct rig {
    char dir[32], log[64];
    const char *argv[4];
    struct conf_pair env[2];
    struct conf_pool pool;
    struct conf conf;
    struct spawner_socket socket;
    struct spawner_setup setup;
    int control, gateway; /* our ends */
    pid_t pid;            /* the spawner */
};

static void open_socket(struct rig *r)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    assert_true(spawner_socket_path(un.sun_path, sizeof un.sun_path, r->dir, &r->pool, 0));
    r->socket.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->socket.listen_fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(r->socket.listen_fd, 8), 0);
}

static void new_pair(int *ret_ours, int *ret_theirs)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
}

static void fork_spawner(struct rig *r)
{
    fflush(NULL);
    r->pid = fork();
    if (r->pid == 0) {
        close(r->control);
        close(r->gateway);
        _exit(spawner_run(&r->setup));
    }
    assert_true(r->pid > 0);
    close(r->setup.control_fd);
    close(r->setup.gateway_fd);
}

static void rig_start_argv(struct rig *r)
{
    struct conf_gateway g = {.error_log = r->log, .error_level = CONF_LOG_DEBUG};

    strcpy(r->dir, "/tmp/test_spawner.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->log, sizeof r->log, "%s/log", r->dir);
    assert_int_equal(log_open(&g), 0);
    r->pool.name = "app";
    r->pool.spawn = r->argv;
    r->pool.processes = r->pool.min_processes = r->pool.slots = 1;
    r->pool.stop_signal = r->pool.stop_signal ? r->pool.stop_signal : SIGTERM;
    r->pool.stop_timeout_ms = r->pool.stop_timeout_ms ? r->pool.stop_timeout_ms : 3000;
    r->conf.gateway.runtime_dir = r->dir;
    r->conf.pools = &r->pool;
    r->conf.n_pools = 1;
    open_socket(r);
    r->setup = (struct spawner_setup){
        .conf = &r->conf, .generation = 1, .sockets = &r->socket, .n_sockets = 1};
    new_pair(&r->control, &r->setup.control_fd);
    new_pair(&r->gateway, &r->setup.gateway_fd);
    fork_spawner(r);
}

static void rig_start(struct rig *r, const char *script)
{
    r->argv[0] = "/bin/sh";
    r->argv[1] = "-c";
    r->argv[2] = script;
    rig_start_argv(r);
}

static void rig_stop(struct rig *r)
{
    char command[64];
    int status = -1;

    close(r->control);
    close(r->gateway);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_int_equal(status, 0);
    /* The test is a subreaper: what the spawner left behind would be its child now. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    close(r->socket.listen_fd);
    close(log_error_fd());
    snprintf(command, sizeof command, "rm -rf %s", r->dir);
    assert_int_equal(system(command), 0);
}

static struct spawner_msg next_msg(struct rig *r)
{
    struct pollfd p = {.fd = r->gateway, .events = POLLIN};
    struct spawner_msg msg;

    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_int_equal(recv(r->gateway, &msg, sizeof msg, 0), sizeof msg);
    assert_int_equal(msg.generation, 1);
    assert_int_equal(msg.pool, 0);
    assert_int_equal(msg.slot, 0);
    return msg;
}

static void say(struct rig *r, enum spawner_verb verb)
{
    struct spawner_msg msg = {.verb = verb, .generation = 1};

    assert_int_equal(send(r->gateway, &msg, sizeof msg, 0), sizeof msg);
}

static char *slurp(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t got;

    if (fd >= 0) {
        while ((got = read(fd, text + n, sizeof text - 1 - n)) > 0)
            n += (size_t)got;
        close(fd);
    }
    text[n] = '\0';
    return text;
}

static void wait_for_text(const char *path, const char *needle)
{
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        if (strstr(slurp(path), needle))
            return;
        poll(NULL, 0, 5);
    }
    fail_msg("no \"%s\" in %s:\n%s", needle, path, slurp(path));
}

static const char *file_in(const struct rig *r, const char *name)
{
    static char path[64];

    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    return path;
}

static void socket_path_fits_or_not(void **state)
{
    struct conf_pool pool = {.name = "php"};
    char out[200], dir[120];

    (void)state;
    assert_true(spawner_socket_path(out, sizeof out, "/run/h2cgi", &pool, 12));
    assert_string_equal(out, "/run/h2cgi/php.12.sock");
    memset(dir, 'd', sizeof dir);
    dir[107 - strlen("/php.0.sock")] = '\0';
    assert_true(spawner_socket_path(out, sizeof out, dir, &pool, 0));
    assert_int_equal(strlen(out), 107);
    dir[strlen(dir)] = 'd';
    dir[108 - strlen("/php.0.sock")] = '\0';
    assert_false(spawner_socket_path(out, sizeof out, dir, &pool, 0));
    assert_false(spawner_socket_path(out, 10, "/run/h2cgi", &pool, 0));
}

static void process_sees_what_it_should(void **state)
{
    struct rig r = {.env = {{SLICE("OWN"), SLICE("a b=c")}, {SLICE("HOME"), SLICE("/h")}}};
    (void)state;
    r.pool.env = r.env;
    r.pool.n_env = 2;
    r.pool.directory = "/usr";
    rig_start(&r,
              "for i in 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do"
              " [ -e /proc/$$/fd/$i ] && echo leaked $i; done;"
              "pwd; umask; env | sort; readlink /proc/self/fd/0;"
              "ps -o sid= -p $$ | grep -q $$ && echo own session; echo all; exec sleep 100");
    struct spawner_msg msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_RUNNING);
    assert_true(msg.pid > 1);
    wait_for_text(r.log, " all\n");
    const char *log = slurp(r.log);
    static const char *const wanted[] = {
        "pool=app process=", " /usr\n",        " 0022\n",
        " OWN=a b=c\n",      " HOME=/h\n",     " PATH=/usr/local/bin:/usr/bin:/bin\n",
        " socket:[",         " own session\n", " LOGNAME=",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!strstr(log, wanted[i]))
            fail_msg("no \"%s\" in\n%s", wanted[i], log);
    }
    assert_null(strstr(log, "LANG="));
    assert_null(strstr(log, "TERM="));
    assert_null(strstr(log, "leaked"));
    rig_stop(&r);
}

static void exec_failure_is_told(void **state)
{
    struct rig r = {.argv = {"/nonexistent/program"}};
    (void)state;
    rig_start_argv(&r);
    struct spawner_msg msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_FAILED);
    assert_int_equal(msg.status, ENOENT);
    assert_int_equal(msg.delay_ms, 100);
    msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_FAILED);
    assert_int_equal(msg.delay_ms, 200);
    wait_for_text(r.log, "pool=app cannot start /nonexistent/program: exec: "
                         "No such file or directory, tried again in 100 ms\n");
    rig_stop(&r);
}

static void program_is_found_in_path(void **state)
{
    struct rig r = {.argv = {"sleep", "100"}};
    (void)state;
    rig_start_argv(&r);
    assert_int_equal(next_msg(&r).verb, SPAWNER_RUNNING);
    rig_stop(&r);
}

static void unknown_user_is_told(void **state)
{
    struct rig r = {.pool = {.user = "no-such-user-here"}};
    (void)state;
    rig_start(&r, "sleep 100");
    struct spawner_msg msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_FAILED);
    assert_int_equal(msg.status, ENOENT);
    rig_stop(&r);
}

static void crash_is_restarted_and_explained(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "echo first >&2; echo the reason >&2; kill -SEGV $$");
    unsigned delay = 100;
    for (int i = 0; i < 3; i++) {
        struct spawner_msg msg = next_msg(&r);
        if (msg.verb == SPAWNER_RUNNING) /* not told when it ended in the same turn */
            msg = next_msg(&r);
        assert_int_equal(msg.verb, SPAWNER_ENDED);
        assert_true(WIFSIGNALED(msg.status));
        assert_int_equal(WTERMSIG(msg.status), SIGSEGV);
        assert_int_equal(msg.delay_ms, delay);
        assert_true(msg.maxrss_kb > 0);
        delay *= 2;
    }
    wait_for_text(r.log, " restarted in 200 ms; its last line: the reason\n");
    assert_non_null(strstr(slurp(r.log), "ended: signal 11 (SIGSEGV)"));
    rig_stop(&r);
}

static void clean_end_is_restarted_at_once(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "exit 0");
    for (int i = 0, ended = 0; ended < 5; i++) {
        struct spawner_msg msg = next_msg(&r);
        if (msg.verb != SPAWNER_ENDED)
            continue;
        ended++;
        assert_int_equal(msg.status, 0);
        assert_int_equal(msg.delay_ms, 0);
    }
    rig_stop(&r);
}

static void stop_and_start_again(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "exec sleep 100");
    pid_t first = next_msg(&r).pid;
    say(&r, SPAWNER_START);
    struct spawner_msg msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_RUNNING);
    assert_int_equal(msg.pid, first);
    say(&r, SPAWNER_STOP);
    msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_ENDED);
    assert_int_equal(msg.pid, first);
    assert_int_equal(WTERMSIG(msg.status), SIGTERM);
    assert_int_equal(kill(first, 0), -1);
    say(&r, SPAWNER_START);
    msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_RUNNING);
    assert_int_not_equal(msg.pid, first);
    rig_stop(&r);
}

/* A process that ignores TERM, a child in its group, one that escaped with setsid. */
static void nothing_survives_the_end(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "trap '' TERM; sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000 &"
                  " sleep 1000' &) ; echo up; while :; do sleep 1; done");
    assert_int_equal(next_msg(&r).verb, SPAWNER_RUNNING);
    wait_for_text(r.log, " up\n");
    rig_stop(&r);
}

/* The leader dies and leaves a worker in its group that holds the output open. */
static void crashed_leader_takes_its_group_along(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "sleep 1000 & echo worker $!; kill -KILL $$");
    struct spawner_msg msg = next_msg(&r);
    if (msg.verb == SPAWNER_RUNNING)
        msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_ENDED);
    wait_for_text(r.log, " worker ");
    pid_t worker = (pid_t)strtol(strstr(slurp(r.log), " worker ") + 8, NULL, 10);
    for (int ms = 0; kill(worker, 0) == 0 && ms < WAIT_MS; ms += 5)
        poll(NULL, 0, 5);
    assert_int_equal(kill(worker, 0), -1);
    rig_stop(&r);
}

static void nonsense_is_refused(void **state)
{
    static const struct spawner_msg bad[] = {
        {.verb = SPAWNER_STOP, .generation = 2},
        {.verb = SPAWNER_STOP, .generation = 1, .pool = 1},
        {.verb = SPAWNER_STOP, .generation = 1, .slot = 1},
        {.verb = SPAWNER_STOP, .generation = 1, .pool = UINT32_MAX, .slot = UINT32_MAX},
        {.verb = SPAWNER_RUNNING, .generation = 1},
        {.verb = UINT32_MAX, .generation = 1},
        {.verb = 0, .generation = 1},
    };
    struct rig r = {0};
    char big[4096] = {0};

    (void)state;
    rig_start(&r, "exec sleep 100");
    pid_t pid = next_msg(&r).pid;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(send(r.gateway, &bad[i], sizeof bad[i], 0), sizeof bad[i]);
    assert_int_equal(send(r.gateway, big, 1, 0), 1);
    assert_int_equal(send(r.gateway, big, sizeof big, 0), sizeof big);
    say(&r, SPAWNER_START);
    assert_int_equal(next_msg(&r).pid, pid);
    wait_for_text(r.log, "message of 4096 bytes refused");
    rig_stop(&r);
}

/* Nobody reads the gateway's end: restarts go on, and the latest news come through later. */
static void deaf_gateway_blocks_nothing(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "exec sleep 100");
    assert_int_equal(next_msg(&r).verb, SPAWNER_RUNNING);
    for (int i = 0; i < 2000; i++)
        say(&r, SPAWNER_START);
    int fds[] = {log_error_fd()};
    assert_int_equal(fdpass_send(r.control, SPAWNER_CONTROL_LOGS, fds, 1), 0);
    struct spawner_msg msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_RUNNING);
    rig_stop(&r);
}

static void new_gateway_is_told(void **state)
{
    struct rig r = {0};
    int ours, theirs;

    (void)state;
    rig_start(&r, "exec sleep 100");
    pid_t pid = next_msg(&r).pid;
    close(r.gateway);
    new_pair(&ours, &theirs);
    assert_int_equal(fdpass_send(r.control, SPAWNER_CONTROL_GATEWAY, &theirs, 1), 0);
    close(theirs);
    r.gateway = ours;
    struct spawner_msg msg = next_msg(&r);
    assert_int_equal(msg.verb, SPAWNER_RUNNING);
    assert_int_equal(msg.pid, pid);
    rig_stop(&r);
}

static void term_ends_the_spawner(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "exec sleep 100");
    assert_int_equal(next_msg(&r).verb, SPAWNER_RUNNING);
    kill(r.pid, SIGTERM);
    rig_stop(&r);
}

static void reopened_log_is_used(void **state)
{
    struct rig r = {0};
    (void)state;
    rig_start(&r, "while sleep 0.02; do echo tick; done");
    wait_for_text(r.log, " tick\n");
    int fd = open(file_in(&r, "log2"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fdpass_send(r.control, SPAWNER_CONTROL_LOGS, &fd, 1), 0);
    close(fd);
    wait_for_text(file_in(&r, "log2"), " tick\n");
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socket_path_fits_or_not),
        cmocka_unit_test(process_sees_what_it_should),
        cmocka_unit_test(exec_failure_is_told),
        cmocka_unit_test(program_is_found_in_path),
        cmocka_unit_test(unknown_user_is_told),
        cmocka_unit_test(crash_is_restarted_and_explained),
        cmocka_unit_test(clean_end_is_restarted_at_once),
        cmocka_unit_test(stop_and_start_again),
        cmocka_unit_test(nothing_survives_the_end),
        cmocka_unit_test(crashed_leader_takes_its_group_along),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(deaf_gateway_blocks_nothing),
        cmocka_unit_test(new_gateway_is_told),
        cmocka_unit_test(term_ends_the_spawner),
        cmocka_unit_test(reopened_log_is_used),
    };
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
