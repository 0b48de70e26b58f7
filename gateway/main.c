/*
 * h2cgi: the command line.  Each command is a row of a table; what they do is done elsewhere.
 *
 * Exit status  0 done, 1 it failed (said on stderr), 2 the command line is wrong
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "master.h"
#include "pidfile.h"
#include "serve.h"
#include "version.h"

enum { OK = 0, FAILED = 1, USAGE = 2 };

enum { STOP_WAIT_MS = 30 * 1000 }; /* gateway 3 s, processes 3 s, and a slow machine */

/* ---- h2cgi run ---- */

/* Start, serve and end one configuration. */
static int run_conf(struct conf *conf)
{
    struct master m;

    if (master_open(&m, conf) < 0)
        return FAILED;
    master_start(&m);
    master_wait(&m);
    master_stop(&m);
    return master_close(&m);
}

static int run(char **args)
{
    struct conf *conf = conf_load(args[0], stderr);

    if (!conf)
        return FAILED;
    int status = run_conf(conf);
    conf_free(conf);
    return status;
}

/* ---- h2cgi serve ---- */

static int serve(char **args)
{
    struct serve s;

    int rc = serve_open(&s, args, stderr);
    if (rc != 0)
        return rc == SERVE_USAGE ? USAGE : FAILED;
    int status = run_conf(s.conf);
    serve_close(&s);
    return status;
}

/* ---- h2cgi check ---- */

static int check(char **args)
{
    static const uint8_t no_key[TLS_TICKET_KEY];
    struct conf *conf = conf_load(args[0], stderr);

    if (!conf)
        return FAILED;
    struct tls_config *tls = tls_config_new(conf, no_key, stderr);
    if (tls)
        printf("%s: ok, %u site%s, %u pool%s\n", args[0], conf->n_sites,
               conf->n_sites == 1 ? "" : "s", conf->n_pools, conf->n_pools == 1 ? "" : "s");
    int status = tls ? OK : FAILED;
    tls_config_free(tls);
    conf_free(conf);
    return status;
}

/* ---- h2cgi stop ---- */

/* TERM by pidfd, which names this process and no later one of its number. */
static int end_and_wait(pid_t pid, int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0) {
        fprintf(stderr, "h2cgi: process %ld: %s\n", (long)pid, strerror(errno));
        return FAILED;
    }
    if (poll(&p, 1, STOP_WAIT_MS) == 1)
        return OK;
    fprintf(stderr, "h2cgi: process %ld still runs after %d s\n", (long)pid,
            STOP_WAIT_MS / 1000);
    return FAILED;
}

static int stop(char **args)
{
    struct conf *conf = conf_load(args[0], stderr);
    int pidfd = -1, status = FAILED;

    if (!conf)
        return FAILED;
    const char *path = conf->gateway.pid_file;
    pid_t pid = pidfile_holder(path, &pidfd);
    if (pid > 0)
        status = end_and_wait(pid, pidfd);
    else if (pid == 0)
        fprintf(stderr, "h2cgi: not running (pid_file %s)\n", path);
    else
        fprintf(stderr, "h2cgi: pid_file %s: %s\n", path, strerror(errno));
    if (pidfd >= 0)
        close(pidfd);
    conf_free(conf);
    return status;
}

/* ---- the command line ---- */

static const struct command {
    const char *name;
    bool takes_file; /* -c FILE, and nothing else */
    int (*fn)(char **args);
    const char *usage, *text;
} commands[] = {
    {"run", true, run, "run -c FILE", "serve what FILE says, in the foreground"},
    {"check", true, check, "check -c FILE",
     "read FILE, its keys and certificates; say what is wrong"},
    {"serve", false, serve, "serve DIR [--http PORT] [--https PORT]",
     "serve DIR on http://127.0.0.1:8080 and https://127.0.0.1:8443"},
    {"stop", true, stop, "stop -c FILE", "end the gateway that runs FILE, and wait for it"},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static int help(FILE *out)
{
    fprintf(out, "h2cgi " H2CGI_VERSION ": CGI and FastCGI behind HTTP/1.1 and HTTP/2\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  h2cgi %-40s %s\n", commands[i].usage, commands[i].text);
    fprintf(
        out,
        "  h2cgi %-40s %s\n  h2cgi %-40s %s\n\n"
        "serve: index.html is a folder's page, executables below DIR/cgi-bin/ run as CGI;\n"
        "PORT 0 takes a free one; the certificate is made on the spot.\n"
        "Signals of run and serve: TERM and INT end at once, QUIT lets requests finish, USR1\n"
        "opens the logs again.\n"
        "Exit status: 0 done, 1 failed, 2 wrong command line.\n",
        "--help", "this text", "--version", "the version");
    return OK;
}

static int usage(const char *what, const char *arg)
{
    fprintf(stderr, "h2cgi: %s%s%s\n", what, arg ? " " : "", arg ? arg : "");
    fprintf(stderr, "Try: h2cgi --help\n");
    return USAGE;
}

static int dispatch(const struct command *c, char **args)
{
    if (!c->takes_file)
        return c->fn(args);
    if (!args[0] || strcmp(args[0], "-c") != 0 || !args[1])
        return usage("this command needs -c FILE:", c->usage);
    if (args[2])
        return usage("what is this for:", args[2]);
    return c->fn(args + 1);
}

/* Descriptors 0 to 2 must be there, or a socket would become somebody's stderr. */
static void fill_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    /* Ends without taking OpenSSL's tables apart, which costs each process as much as its start. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    fill_standard_fds();
    if (argc < 2)
        return usage("which command?", NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(stdout);
    if (strcmp(argv[1], "--version") == 0)
        return printf("h2cgi %s\n", H2CGI_VERSION) < 0 ? FAILED : OK;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return dispatch(&commands[i], argv + 2);
    }
    return usage("unknown command", argv[1]);
}
