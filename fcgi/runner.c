/*
 * h2cgi-run: options, descriptors and signals; then runner_serve.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../gateway/version.h"
#include "runner_serve.h"
#include "signals.h"

/* ---- options ---- */

enum { EXIT_USAGE = 2 };

static const struct duration_option {
    const char *name;
    size_t at; /* of an int64_t in struct runner */
    const char *fallback;
    const char *help;
} duration_options[] = {
    {"--timeout", offsetof(struct runner, timeout_ms), "60s",
     "end a script and all it started after this long; 0: never"},
    {"--grace", offsetof(struct runner, grace_ms), "3s", "between SIGTERM and SIGKILL"},
};
enum { N_DURATIONS = sizeof(duration_options) / sizeof(duration_options[0]) };

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};

/* "500ms", "30s", "5m", "1h"; a bare number is seconds. */
static bool parse_duration(const char *text, int64_t *ret_ms)
{
    size_t digits = strspn(text, "0123456789");
    int64_t n = slice_decimal(slice_of(text, digits), 1000L * 1000 * 1000);

    for (size_t i = 0; n >= 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + digits, units[i].name) == 0) {
            *ret_ms = n * units[i].ms;
            return true;
        }
    }
    return false;
}

static bool set_duration(struct runner *r, const struct duration_option *o, const char *text)
{
    return parse_duration(text, (int64_t *)(void *)((char *)r + o->at));
}

static int help(void)
{
    puts("usage: h2cgi-run [option...]\n"
         "\n"
         "A FastCGI application that runs CGI programs, one at a time.  Descriptor 0 is the\n"
         "listening socket, as spawn-fcgi and h2cgi hand it over; SCRIPT_FILENAME names the\n"
         "program.\n");
    for (size_t i = 0; i < N_DURATIONS; i++) {
        const struct duration_option *o = &duration_options[i];
        printf("  %s=TIME%*s%s (%s)\n", o->name, (int)(12 - strlen(o->name)), "", o->help,
               o->fallback);
    }
    puts("  --body-first       hold the answer back until the body has come, for web servers "
         "that\n"
         "                     stop sending it when the answer begins (nginx)\n"
         "  --usage-fd=N       descriptor of the page where h2cgi finds what a script used\n"
         "  --help             this\n"
         "  --version          the version\n"
         "\n"
         "TIME is a number with ms, s, m or h.  SIGTERM ends the runner and every script,\n"
         "SIGUSR1 after the request under way.");
    return EXIT_SUCCESS;
}

static int version(void)
{
    puts("h2cgi-run " H2CGI_VERSION);
    return EXIT_SUCCESS;
}

/* The page is mapped and its descriptor closed, so no script inherits it. */
static bool use_usage_fd(struct runner *r, const char *text)
{
    int64_t fd = slice_decimal(slice_str(text), INT32_MAX);

    r->usage = fd > 2 ? script_usage_map_write((int)fd) : NULL;
    if (r->usage)
        close((int)fd);
    return r->usage != NULL;
}

static bool parse_option(struct runner *r, const char *arg)
{
    static const char usage_fd[] = "--usage-fd=";

    if (strncmp(arg, usage_fd, sizeof usage_fd - 1) == 0)
        return use_usage_fd(r, arg + sizeof usage_fd - 1);
    if (strcmp(arg, "--body-first") == 0)
        return r->body_first = true;
    for (size_t i = 0; i < N_DURATIONS; i++) {
        const struct duration_option *o = &duration_options[i];
        size_t len = strlen(o->name);
        if (strncmp(arg, o->name, len) == 0 && arg[len] == '=')
            return set_duration(r, o, arg + len + 1);
    }
    return false;
}

/* Fill r from the options.  -1, or the status to exit with at once. */
static int parse_options(struct runner *r, int argc, char **argv)
{
    for (size_t i = 0; i < N_DURATIONS; i++)
        (void)set_duration(r, &duration_options[i], duration_options[i].fallback);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return help();
        if (strcmp(argv[i], "--version") == 0)
            return version();
        if (!parse_option(r, argv[i])) {
            fprintf(stderr, "h2cgi-run: %s: unknown option or bad value; see --help\n",
                    argv[i]);
            return EXIT_USAGE;
        }
    }
    return -1;
}

/* ---- signals ---- */

static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};

/* All that matter are read from a descriptor, so no handler ever runs, neither here nor in a
 * child that shares our memory; every disposition is the default one, so that scripts inherit
 * no ignored SIGPIPE from whoever started us.  Our own SIGPIPE stays blocked. */
static int open_signals(void)
{
    sigset_t blocked;

    signals_default();
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&blocked, signals[i]);
    int fd = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&blocked, SIGPIPE);
    if (sigprocmask(SIG_SETMASK, &blocked, NULL) != 0)
        return -1;
    return fd;
}

pid_t runner_signals(struct runner *r)
{
    struct signalfd_siginfo came[8];
    pid_t child = 0;
    ssize_t n = read(r->signal_fd, came, sizeof(came));

    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(came[0]); i++) {
        if (came[i].ssi_signo == SIGCHLD)
            child = (pid_t)came[i].ssi_pid;
        else if (came[i].ssi_signo == SIGUSR1)
            r->finish = true;
        else
            r->stop = true;
    }
    return child;
}

/* ---- descriptors ---- */

static bool is_listening(int fd)
{
    int yes = 0;
    socklen_t len = sizeof(yes);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

/* Nothing of ours may ever get the number 1 or 2: a script's would replace it. */
static bool fill_standard_fds(void)
{
    for (int fd = 1; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    }
    return true;
}

static bool set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && ((flags & O_NONBLOCK) || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

/* The listening socket moves away from 0, which becomes /dev/null: the stdin of every script
 * that has no body. */
static bool open_fds(struct runner *r)
{
    int pipe_fds[2];

    if (!fill_standard_fds())
        return false;
    r->listen_fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (r->listen_fd < 0 || null_fd < 0 || dup2(null_fd, 0) != 0)
        return false;
    close(null_fd);
    if (!set_nonblock(r->listen_fd) || pipe2(pipe_fds, O_CLOEXEC) != 0)
        return false;
    r->stderr_fd = pipe_fds[0];
    r->stderr_to = pipe_fds[1];
    return set_nonblock(r->stderr_fd);
}

void runner_stray_stderr(struct runner *r)
{
    char text[4096];
    ssize_t n = read(r->stderr_fd, text, sizeof(text));

    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        return; /* nobody listens */
}

int64_t runner_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    static struct runner r;
    int status = parse_options(&r, argc, argv);

    if (status >= 0)
        return status;
    if (!is_listening(0)) {
        fputs("h2cgi-run: descriptor 0 is no listening socket; start it with h2cgi or "
              "spawn-fcgi\n",
              stderr);
        return EXIT_USAGE;
    }
    r.environ = environ;
    if (!open_fds(&r) || (r.signal_fd = open_signals()) < 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        perror("h2cgi-run");
        return EXIT_FAILURE;
    }
    runner_kin_init(&r.kin, r.timeout_ms, r.grace_ms);
    int err = runner_serve(&r);
    runner_kin_end_all(&r.kin, r.grace_ms < RUNNER_STOP_MS ? r.grace_ms : RUNNER_STOP_MS);
    if (err)
        fprintf(stderr, "h2cgi-run: accept: %s\n", strerror(-err));
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
