/*
 * What the master opens before it starts anybody, in order, and takes back in reverse.
 */
#include "master.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log.h"
#include "pidfile.h"

enum {
    FDS_BESIDE = 256,     /* logs, epolls, listeners, libraries; files being sent */
    MIN_CONNECTIONS = 16, /* fewer are no server */
    OPEN_FILES_PART = 16, /* of a limit that is too low for all, that may be files kept open */
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "h2cgi: %s: %s\n", what, why);
    return -1;
}

/* ---- steps ---- */

/* Root gives itself up to `user`, or to www-data or nobody; others stay who they are.  From
 * here on the configuration names the user, so that pools without one of their own get the
 * same. */
static int open_user(struct master *m)
{
    struct conf_gateway *g = &m->conf->gateway;
    int err;

    if (geteuid() != 0)
        err = identity_self(&m->arena, &m->user);
    else if (g->user)
        err = identity_find(&m->arena, g->user, &m->user);
    else
        err = identity_usual(&m->arena, &m->user);
    if (err)
        return fail("[gateway] user", g->user || geteuid() != 0
                                          ? strerror(err)
                                          : "started as root, and neither www-data nor nobody "
                                            "exists: name the user to run as");
    if (geteuid() == 0)
        g->user = m->user.name;
    return 0;
}

/* Descriptors that the gateway needs beside its connections. */
static uint64_t fds_beside(const struct conf *conf)
{
    uint64_t n = FDS_BESIDE + conf->gateway.writers + conf->gateway.open_files;

    for (unsigned i = 0; i < conf->n_pools; i++) {
        const struct conf_pool *p = &conf->pools[i];
        n += p->max_requests > p->keepalive ? p->max_requests : p->keepalive;
    }
    return n;
}

static int open_limits(struct master *m)
{
    struct conf_gateway *g = &m->conf->gateway;
    struct rlimit nofile;

    if (getrlimit(RLIMIT_NOFILE, &m->nofile) < 0)
        return fail("RLIMIT_NOFILE", strerror(errno));
    nofile = m->nofile;
    nofile.rlim_cur = nofile.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
        return fail("RLIMIT_NOFILE", strerror(errno));
    uint64_t all = nofile.rlim_cur;
    /* Files that are kept open only save work: connections come first. */
    if (fds_beside(m->conf) + g->max_connections > all && g->open_files > all / OPEN_FILES_PART)
        g->open_files = (unsigned)(all / OPEN_FILES_PART);
    uint64_t beside = fds_beside(m->conf);
    if (all >= beside + g->max_connections)
        return 0;
    if (all < beside + MIN_CONNECTIONS) {
        fprintf(stderr,
                "h2cgi: the limit of %llu open files leaves no room for connections: %llu are "
                "needed for pools and files; raise it (ulimit -Hn) or lower max_requests\n",
                (unsigned long long)all, (unsigned long long)beside);
        return -1;
    }
    fprintf(stderr,
            "h2cgi: max_connections lowered from %u to %llu: the limit is %llu open files "
            "(ulimit -Hn), of which %llu are kept for pools and files\n",
            g->max_connections, (unsigned long long)(all - beside), (unsigned long long)all,
            (unsigned long long)beside);
    g->max_connections = (unsigned)(all - beside);
    return 0;
}

static bool has_cgi(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_pools; i++) {
        if (conf->pools[i].cgi)
            return true;
    }
    return false;
}

/* dir/h2cgi-run if it can be run, else NULL. */
static char *runner_in(struct slice dir)
{
    char *path = NULL;

    if (asprintf(&path, "%.*s/h2cgi-run", SLICE_FMT(dir)) < 0)
        return NULL;
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *runner_beside_us(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);

    while (n > 0 && self[n - 1] != '/')
        n--;
    return n > 1 ? runner_in(slice_of(self, (size_t)n - 1)) : NULL;
}

static char *runner_in_path(void)
{
    const char *path = getenv("PATH");
    struct slice rest = slice_str(path ? path : "/usr/local/bin:/usr/bin:/bin");

    while (rest.n) {
        ssize_t colon = slice_find(rest, ':');
        size_t n = colon < 0 ? rest.n : (size_t)colon;
        char *found = n && rest.p[0] == '/' ? runner_in(slice_of(rest.p, n)) : NULL;
        if (found)
            return found;
        rest = slice_from(rest, colon < 0 ? rest.n : n + 1);
    }
    return NULL;
}

static int open_runner(struct master *m)
{
    if (!has_cgi(m->conf))
        return 0;
    m->runner_path = runner_beside_us();
    if (!m->runner_path)
        m->runner_path = runner_in_path();
    return m->runner_path
               ? 0
               : fail("h2cgi-run",
                      "neither beside h2cgi nor in PATH; pools with cgi = on need it");
}

static void close_runner(struct master *m)
{
    free(m->runner_path);
    m->runner_path = NULL;
}

static int open_logs(struct master *m)
{
    return log_open(&m->conf->gateway);
}

static int open_folders(struct master *m)
{
    const struct conf_gateway *g = &m->conf->gateway;

    return folders_make(g->runtime_dir, g->spool_dir, &m->user, &m->folders, stderr);
}

static void close_folders(struct master *m)
{
    folders_remove(m->conf->gateway.runtime_dir, m->conf->gateway.spool_dir, &m->folders);
}

static int open_pid_file(struct master *m)
{
    const char *path = m->conf->gateway.pid_file;
    pid_t holder = 0;

    m->pid_fd = pidfile_take(path, &holder);
    if (m->pid_fd >= 0)
        return 0;
    if (errno != EWOULDBLOCK) {
        fprintf(stderr, "h2cgi: pid_file %s: %s\n", path, strerror(errno));
        return -1;
    }
    fprintf(stderr, "h2cgi: already running as process %ld (pid_file %s)\n", (long)holder,
            path);
    /* Its folders, not ours, even if we were quick enough to make one of them. */
    m->folders = (struct folders){0};
    return -1;
}

static void close_pid_file(struct master *m)
{
    pidfile_drop(m->conf->gateway.pid_file, m->pid_fd);
    m->pid_fd = -1;
}

static int open_listeners(struct master *m)
{
    return listeners_open(m->conf, &m->listeners, stderr);
}

static void close_listeners(struct master *m)
{
    listeners_close(&m->listeners, true);
}

static int open_poolsocks(struct master *m)
{
    return poolsocks_open(m->conf, &m->user, &m->poolsocks, stderr);
}

static void close_poolsocks(struct master *m)
{
    poolsocks_close(&m->poolsocks, true);
}

/* The ticket key is made here, so that sessions can be resumed at a restarted gateway. */
static int open_tls(struct master *m)
{
    if (getrandom(m->ticket_key, sizeof m->ticket_key, 0) != (ssize_t)sizeof m->ticket_key)
        return fail("getrandom", strerror(errno));
    m->tls = tls_config_new(m->conf, m->ticket_key, stderr);
    return m->tls ? 0 : -1;
}

static void close_tls(struct master *m)
{
    tls_config_free(m->tls);
    m->tls = NULL;
    explicit_bzero(m->ticket_key, sizeof m->ticket_key);
}

/* Blocked and read from a descriptor, so that nothing ever runs in a handler. */
static int open_signals(struct master *m)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGCHLD};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
        return fail("signals", strerror(errno));
    /* A file as large as ulimit -f allows is a full disk (EFBIG) and no reason to die, for the
     * gateway process neither. */
    if (sigaction(SIGXFSZ, &ignore, NULL) < 0)
        return fail("signals", strerror(errno));
    m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (m->signal_fd < 0)
        return fail("signalfd", strerror(errno));
    /* What a killed spawner leaves behind comes to us, and we end it. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return fail("PR_SET_CHILD_SUBREAPER", strerror(errno));
    return 0;
}

static void close_signals(struct master *m)
{
    close(m->signal_fd);
    m->signal_fd = -1;
}

/* ---- all of them ---- */

static const struct step {
    int (*open)(struct master *m); /* 0, or -1 with a line on stderr and nothing to take back */
    void (*close)(struct master *m);
} steps[] = {
    {open_user, NULL},
    {open_limits, NULL},
    {open_runner, close_runner},
    {open_tls, close_tls},
    {open_logs, NULL},
    {open_folders, close_folders},
    {open_pid_file, close_pid_file},
    {open_listeners, close_listeners},
    {open_poolsocks, close_poolsocks},
    {open_signals, close_signals},
};

enum { N_STEPS = sizeof steps / sizeof steps[0] };

int master_open(struct master *m, struct conf *conf)
{
    *m = (struct master){.conf = conf,
                         .pid_fd = -1,
                         .signal_fd = -1,
                         .gateway_end = -1,
                         .spawner_end = -1,
                         .drain_ms = UINT64_MAX};
    arena_init(&m->arena);
    child_init(&m->gateway, "gateway");
    child_init(&m->spawner, "spawner");
    for (m->n_opened = 0; m->n_opened < N_STEPS; m->n_opened++) {
        if (steps[m->n_opened].open(m) < 0) {
            master_close(m);
            return -1;
        }
    }
    return 0;
}

int master_close(struct master *m)
{
    while (m->n_opened > 0) {
        const struct step *s = &steps[--m->n_opened];
        if (s->close)
            s->close(m);
    }
    arena_fini(&m->arena);
    return m->status;
}
