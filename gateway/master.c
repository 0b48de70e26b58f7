#include "master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fcgi/descend.h"
#include "fdpass.h"
#include "log.h"
#include "version.h"

enum {
    GENERATION = 1, /* of the configuration; a reload will count on */
    GATEWAY_END_MS = 3000,
    SPAWNER_SLACK_MS = 5000, /* beyond the longest stop_timeout: what escaped is looked for */
    DRAIN_SLACK_MS = 5000,   /* beyond drain_timeout, which the gateway keeps itself */
    LEFT_OVER_MS = 2000,
};

/* ---- inside the children ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* What neither child needs.  The pid file's lock stays the master's: closing a copy of another
 * process does not drop it. */
static void close_masters(struct master *m)
{
    close_fd(&m->pid_fd);
    close_fd(&m->signal_fd);
    close_fd(&m->gateway.control_fd);
    close_fd(&m->spawner.control_fd);
}

static int run_spawner(void *owner, int control_fd)
{
    struct master *m = owner;
    struct spawner_setup setup = {
        .conf = m->conf,
        .generation = GENERATION,
        .sockets = m->poolsocks.all,
        .n_sockets = m->poolsocks.n,
        .control_fd = control_fd,
        .gateway_fd = m->spawner_end,
        .runner_path = m->runner_path,
        .nofile = m->nofile,
    };

    close_masters(m);
    close_fd(&m->gateway_end);
    listeners_close(&m->listeners, false);
    tls_config_free(m->tls); /* no key in a process that starts others' programs */
    m->tls = NULL;
    explicit_bzero(m->ticket_key, sizeof m->ticket_key);
    return spawner_run(&setup);
}

/* From root to `user`, for good.  Nobody of that user may look inside either (PR_SET_DUMPABLE):
 * CGI programs often run as the same one, and the keys are in here. */
static int drop_privileges(const struct master *m, pid_t master)
{
    int err = identity_assume(&m->user);

    if (err) {
        log_line(CONF_LOG_ERROR, "gateway: user %s: %s", m->user.name, strerror(err));
        return -1;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0) {
        log_line(CONF_LOG_ERROR, "gateway: prctl: %s", strerror(errno));
        return -1;
    }
    child_die_with(master);
    return 0;
}

static int run_gateway(void *owner, int control_fd)
{
    struct master *m = owner;
    struct gateway_setup setup = {
        .conf = m->conf,
        .generation = GENERATION,
        .tls = m->tls,
        .listeners = m->listeners.all,
        .n_listeners = m->listeners.n,
        .slots = m->poolsocks.all,
        .n_slots = m->poolsocks.n,
        .spawner_fd = m->gateway_end,
        .control_fd = control_fd,
    };
    pid_t master = getppid();

    close_masters(m);
    close_fd(&m->spawner_end);
    poolsocks_close_fds(&m->poolsocks);
    if (drop_privileges(m, master) < 0)
        return 1;
    return gateway_run(&setup);
}

/* ---- starting them ---- */

/* Gateway and spawner speak over a pair of their own.  Whenever one of them starts there is a
 * new pair: it inherits its end, the other one gets its end by message. */
static void open_link(struct master *m)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        log_line(CONF_LOG_ERROR, "socketpair: %s", strerror(errno));
        return;
    }
    m->gateway_end = pair[0];
    m->spawner_end = pair[1];
}

static void pass_end(const struct child *to, char verb, int end)
{
    if (to->pid && end >= 0 && fdpass_send(to->control_fd, verb, &end, 1) < 0)
        log_line(CONF_LOG_ERROR, "%s: %s", to->name, strerror(errno));
}

static void start_spawner(struct master *m)
{
    open_link(m);
    if (child_start(&m->spawner, run_spawner, m) == 0)
        pass_end(&m->gateway, GATEWAY_CONTROL_SPAWNER, m->gateway_end);
    close_fd(&m->gateway_end);
    close_fd(&m->spawner_end);
}

static void start_gateway(struct master *m)
{
    open_link(m);
    if (child_start(&m->gateway, run_gateway, m) == 0)
        pass_end(&m->spawner, SPAWNER_CONTROL_GATEWAY, m->spawner_end);
    close_fd(&m->gateway_end);
    close_fd(&m->spawner_end);
}

void master_start(struct master *m)
{
    log_line(CONF_LOG_NOTICE, "h2cgi %s starts, gateway runs as %s", H2CGI_VERSION,
             m->user.name);
    start_spawner(m);
    start_gateway(m);
}

/* ---- news from the gateway ---- */

static void announce(struct master *m)
{
    char url[256];

    for (unsigned i = 0; i < m->listeners.n; i++) {
        listener_url(&m->listeners.all[i], url, sizeof url);
        log_line(CONF_LOG_NOTICE, "listening on %s", url);
    }
    /* Not a line of the log: this one is for whoever started us and waits for it. */
    fputs("h2cgi: ready\n", stderr);
    m->ready = true;
}

static void on_gateway(struct master *m)
{
    int fds[FDPASS_MAX];
    size_t n = 0;
    char verb;

    int rc = fdpass_recv(m->gateway.control_fd, &verb, fds, FDPASS_MAX, &n);
    if (rc == 0 || (rc < 0 && errno != EAGAIN))
        close_fd(&m->gateway.control_fd); /* SIGCHLD says the rest */
    if (rc <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        close(fds[i]); /* nothing is expected from there */
    if (verb != GATEWAY_CONTROL_READY)
        return;
    if (m->ready)
        log_line(CONF_LOG_NOTICE, "gateway process %ld is up", (long)m->gateway.pid);
    else
        announce(m);
}

/* ---- signals ---- */

static void tell_gateway(struct master *m, char verb)
{
    if (m->gateway.pid && fdpass_send(m->gateway.control_fd, verb, NULL, 0) < 0)
        log_line(CONF_LOG_ERROR, "gateway: %s", strerror(errno));
}

static void reopen_logs(struct master *m)
{
    int fds[] = {log_error_fd(), log_access_fd()};
    size_t n = fds[1] >= 0 ? 2 : 1;

    if (log_reopen(&m->conf->gateway) < 0) {
        log_line(CONF_LOG_ERROR, "logs could not be reopened; the old ones stay in use");
        return;
    }
    if (m->gateway.pid)
        fdpass_send(m->gateway.control_fd, GATEWAY_CONTROL_LOGS, fds, n);
    if (m->spawner.pid)
        fdpass_send(m->spawner.control_fd, SPAWNER_CONTROL_LOGS, fds, n);
    log_line(CONF_LOG_NOTICE, "logs reopened");
}

static void drain(struct master *m)
{
    if (m->draining)
        return;
    log_line(CONF_LOG_NOTICE, "draining");
    m->draining = true;
    listeners_close(&m->listeners, true); /* who comes now is refused, not left in a backlog */
    tell_gateway(m, GATEWAY_CONTROL_DRAIN);
    m->drain_ms = child_now_ms() + (uint64_t)m->conf->gateway.drain_timeout_ms + DRAIN_SLACK_MS;
}

static void gateway_ended(struct master *m, int status)
{
    child_ended(&m->gateway, status, m->draining);
    if (m->draining) {
        m->stop = true;
    } else if (!m->ready && WIFEXITED(status)) {
        /* It never came up and said why: trying again would say the same again. */
        m->stop = true;
        m->status = 1;
    }
}

/* What it had started is ended before another one starts the same again. */
static void spawner_ended(struct master *m, int status)
{
    child_ended(&m->spawner, status, m->draining);
    unsigned n = descend_kill(&m->gateway.pid, 1, LEFT_OVER_MS);
    if (n)
        log_line(CONF_LOG_NOTICE, "%u processes of the ended spawner killed", n);
}

static void reap(struct master *m)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == m->gateway.pid)
            gateway_ended(m, status);
        else if (pid == m->spawner.pid)
            spawner_ended(m, status);
    }
}

static void on_signal(struct master *m, int sig)
{
    switch (sig) {
    case SIGTERM:
    case SIGINT:
        log_line(CONF_LOG_NOTICE, "SIG%s: ending", sigabbrev_np(sig));
        m->stop = true;
        break;
    case SIGQUIT:
        drain(m);
        break;
    case SIGUSR1:
        reopen_logs(m);
        break;
    case SIGHUP:
        log_line(CONF_LOG_NOTICE, "SIGHUP ignored: the configuration is read at start only");
        break;
    case SIGCHLD:
        reap(m);
        break;
    }
}

static void read_signals(struct master *m)
{
    struct signalfd_siginfo info;

    while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(m, (int)info.ssi_signo);
}

/* ---- waiting ---- */

static int timeout_ms(const struct master *m)
{
    uint64_t at = m->drain_ms, now = child_now_ms();

    if (m->gateway.start_ms < at)
        at = m->gateway.start_ms;
    if (m->spawner.start_ms < at)
        at = m->spawner.start_ms;
    if (at == UINT64_MAX)
        return -1;
    return at <= now ? 0 : at - now > 60000 ? 60000 : (int)(at - now);
}

static void start_what_is_due(struct master *m)
{
    uint64_t now = child_now_ms();

    if (now >= m->drain_ms)
        m->stop = true;
    if (m->stop)
        return;
    if (now >= m->spawner.start_ms)
        start_spawner(m);
    if (now >= m->gateway.start_ms)
        start_gateway(m);
}

void master_wait(struct master *m)
{
    while (!m->stop) {
        struct pollfd fds[] = {{.fd = m->signal_fd, .events = POLLIN},
                               {.fd = m->gateway.control_fd, .events = POLLIN}};
        if (poll(fds, 2, timeout_ms(m)) < 0 && errno != EINTR) {
            log_line(CONF_LOG_ERROR, "poll: %s", strerror(errno));
            m->status = 1;
            return;
        }
        if (fds[1].revents)
            on_gateway(m);
        if (fds[0].revents)
            read_signals(m);
        start_what_is_due(m);
    }
}

/* ---- the end ---- */

/* Wait for one child, whatever else ends or signals meanwhile. */
static bool ended_within(struct master *m, struct child *c, unsigned limit_ms)
{
    uint64_t until = child_now_ms() + limit_ms;
    struct signalfd_siginfo info;
    int status;

    for (;;) {
        if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
            child_ended(c, status, true);
            return true;
        }
        uint64_t now = child_now_ms();
        if (now >= until)
            return false;
        struct pollfd fd = {.fd = m->signal_fd, .events = POLLIN};
        poll(&fd, 1, (int)(until - now));
        while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            ; /* we are ending already */
    }
}

static void end_child(struct master *m, struct child *c, unsigned limit_ms)
{
    if (!c->pid || ended_within(m, c, limit_ms))
        return;
    log_line(CONF_LOG_WARN, "%s process %ld did not end within %u ms: killed", c->name,
             (long)c->pid, limit_ms);
    kill(c->pid, SIGKILL);
    ended_within(m, c, LEFT_OVER_MS);
}

/* Its processes have stop_timeout. */
static unsigned spawner_end_ms(const struct conf *conf)
{
    int64_t longest = 0;

    for (unsigned i = 0; i < conf->n_pools; i++) {
        if (conf->pools[i].stop_timeout_ms > longest)
            longest = conf->pools[i].stop_timeout_ms;
    }
    return (unsigned)longest + SPAWNER_SLACK_MS;
}

void master_stop(struct master *m)
{
    tell_gateway(m, GATEWAY_CONTROL_END);
    end_child(m, &m->gateway, GATEWAY_END_MS);
    close_fd(&m->spawner.control_fd); /* it ends everything and itself */
    end_child(m, &m->spawner, spawner_end_ms(m->conf));
    unsigned n = descend_kill(NULL, 0, LEFT_OVER_MS);
    if (n)
        log_line(CONF_LOG_NOTICE, "%u left-over processes killed", n);
    log_line(CONF_LOG_NOTICE, "ended");
}
