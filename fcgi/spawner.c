#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../gateway/fdpass.h"
#include "../gateway/log.h"
#include "descend.h"
#include "spawner_slot.h"

enum {
    EVENTS_A_TURN = 64,
    MESSAGES_A_TURN = 256, /* from the gateway: no flood keeps the other work waiting */
    END_SLACK_MS = 1000,   /* beyond the longest stop_timeout: for the KILL to work */
    ORPHANS_LIMIT_MS = 2000,
    MEMORY_LOOK_MS = 2000, /* between two looks at what processes have resident */
};

struct spawner {
    struct spawner_env env;
    struct slot *slots; /* in the order of setup->sockets */
    unsigned n_slots;
    struct watch control, gateway, signals;
    bool gateway_full; /* EPOLLOUT is asked for */
    bool ending;
    uint64_t end_ms;    /* ending: not later than this */
    uint64_t memory_ms; /* when max_memory is looked at; UINT64_MAX: no pool has it */
};

bool spawner_socket_path(char *out, size_t cap, const char *runtime_dir,
                         const struct conf_pool *pool, uint32_t slot)
{
    int n = snprintf(out, cap, "%s/%s.%u.sock", runtime_dir, pool->name, (unsigned)slot);

    return n > 0 && (size_t)n < cap && (size_t)n < sizeof((struct sockaddr_un *)NULL)->sun_path;
}

struct slice spawner_slot_text(struct arena *a, struct slice text, uint32_t slot)
{
    static const struct slice word = {"{slot}", 6};
    struct slice out = SLICE("");

    for (;;) {
        size_t n = 0;
        while (n < text.n && !slice_starts(slice_from(text, n), word))
            n++;
        if (n == text.n)
            return arena_printf(a, "%.*s%.*s", SLICE_FMT(out), SLICE_FMT(text));
        out = arena_printf(a, "%.*s%.*s%u", SLICE_FMT(out), (int)n, text.p, (unsigned)slot);
        if (!out.p)
            return out;
        text = slice_from(text, n + word.n);
    }
}

bool spawner_address(char *out, size_t cap, const char *runtime_dir,
                     const struct conf_pool *pool, uint32_t slot)
{
    static const char unix_word[] = "unix:";
    struct arena a;

    if (!pool->self_address) {
        if (cap < sizeof unix_word)
            return false;
        memcpy(out, unix_word, sizeof unix_word);
        return spawner_socket_path(out + sizeof unix_word - 1, cap - sizeof unix_word + 1,
                                   runtime_dir, pool, slot);
    }
    arena_init(&a);
    struct slice text = spawner_slot_text(&a, slice_str(pool->self_address), slot);
    bool fits = text.p && text.n < cap;
    if (fits)
        memcpy(out, text.p, text.n + 1);
    arena_fini(&a);
    return fits;
}

/* A module of its own clock, so that a test of spawner and pool links no event loop. */
static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the gateway ---- */

static void drop_gateway(struct spawner *sp)
{
    watch_close(&sp->gateway);
    sp->gateway_full = false;
}

static void want_writable(struct spawner *sp, bool wanted)
{
    struct epoll_event ev = {.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN,
                             .data.ptr = &sp->gateway};

    if (sp->gateway_full != wanted &&
        epoll_ctl(sp->env.epoll_fd, EPOLL_CTL_MOD, sp->gateway.fd, &ev) == 0)
        sp->gateway_full = wanted;
}

/* Send one piece of news, if there is any.  false: not now; it stays. */
static bool send_news(struct spawner *sp, struct spawner_msg *msg)
{
    if (msg->verb == 0)
        return true;
    if (send(sp->gateway.fd, msg, sizeof *msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EAGAIN || errno == ENOBUFS)
            want_writable(sp, true);
        else if (errno != EINTR)
            drop_gateway(sp); /* it is gone; the master brings another */
        return false;
    }
    msg->verb = 0;
    return true;
}

static void send_all_news(struct spawner *sp)
{
    for (unsigned i = 0; i < sp->n_slots; i++) {
        struct slot *s = &sp->slots[i];
        if (sp->gateway.fd < 0 || !send_news(sp, &s->ended) || !send_news(sp, &s->running))
            return;
    }
    if (sp->gateway.fd >= 0)
        want_writable(sp, false);
}

static struct slot *find_slot(struct spawner *sp, const struct spawner_msg *msg)
{
    if (msg->generation != sp->env.setup->generation)
        return NULL;
    for (unsigned i = 0; i < sp->n_slots; i++) {
        const struct spawner_socket *at = sp->slots[i].socket;
        if (at->pool == msg->pool && at->slot == msg->slot)
            return &sp->slots[i];
    }
    return NULL;
}

/* The gateway speaks with the network and may be anybody's by now: only numbers that the INI
 * knows count. */
static void obey(struct spawner *sp, const struct spawner_msg *msg)
{
    struct slot *s = find_slot(sp, msg);

    if (!s || (msg->verb != SPAWNER_START && msg->verb != SPAWNER_STOP &&
               msg->verb != SPAWNER_ANSWERS))
        log_line(CONF_LOG_WARN,
                 "spawner: message refused: verb %u generation %u pool %u slot %u", msg->verb,
                 msg->generation, msg->pool, msg->slot);
    else if (msg->verb == SPAWNER_START)
        slot_start(s, now_ms());
    else if (msg->verb == SPAWNER_ANSWERS)
        slot_answers(s, now_ms());
    else
        slot_stop(s, now_ms());
}

static void on_gateway(void *owner)
{
    struct spawner *sp = owner;

    for (int i = 0; i < MESSAGES_A_TURN && sp->gateway.fd >= 0; i++) {
        struct spawner_msg msg;
        ssize_t n = recv(sp->gateway.fd, &msg, sizeof msg, MSG_DONTWAIT | MSG_TRUNC);
        if (n == (ssize_t)sizeof msg) {
            if (!sp->ending)
                obey(sp, &msg);
        } else if (n > 0) {
            log_line(CONF_LOG_WARN, "spawner: message of %zd bytes refused", n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            drop_gateway(sp);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* A new gateway knows of nothing; it asks for each slot it wants and is told then. */
static void take_gateway(struct spawner *sp, int fd)
{
    drop_gateway(sp);
    for (unsigned i = 0; i < sp->n_slots; i++)
        sp->slots[i].ended.verb = sp->slots[i].running.verb = 0;
    if (watch_add(&sp->gateway, sp->env.epoll_fd, fd, on_gateway, sp) < 0) {
        log_line(CONF_LOG_ERROR, "spawner: gateway: %s", strerror(errno));
        watch_close(&sp->gateway);
        return;
    }
    for (unsigned i = 0; i < sp->n_slots; i++) {
        struct slot *s = &sp->slots[i];
        if (s->wanted)
            slot_start(s, now_ms()); /* tells it */
    }
}

/* ---- the master ---- */

static void begin_end(struct spawner *sp)
{
    if (sp->ending)
        return;
    uint64_t longest = 0;

    sp->ending = true;
    for (unsigned i = 0; i < sp->n_slots; i++) {
        uint64_t ms = proc_end_ms(sp->slots[i].conf);
        longest = ms > longest ? ms : longest;
        slot_stop(&sp->slots[i], now_ms());
    }
    sp->end_ms = now_ms() + longest + END_SLACK_MS;
}

static void obey_master(struct spawner *sp, char verb, int *fds, size_t n)
{
    if (verb == SPAWNER_CONTROL_GATEWAY && n == 1) {
        take_gateway(sp, fds[0]);
        return;
    }
    if (verb == SPAWNER_CONTROL_LOGS && n >= 1)
        log_use_fds(fds[0], n > 1 ? fds[1] : -1);
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

static void on_control(void *owner)
{
    struct spawner *sp = owner;
    int fds[FDPASS_MAX];
    size_t n = 0;
    char verb;

    int rc = fdpass_recv(sp->control.fd, &verb, fds, FDPASS_MAX, &n);
    if (rc > 0) {
        obey_master(sp, verb, fds, n);
    } else if (rc == 0 || errno != EAGAIN) {
        watch_close(&sp->control);
        begin_end(sp);
    }
}

/* ---- signals ---- */

static void reap_all(struct spawner *sp)
{
    struct rusage usage;
    int status;
    pid_t pid;

    /* What belongs to no slot is an orphan of some process; it is only collected. */
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        for (unsigned i = 0; i < sp->n_slots; i++) {
            if (slot_reaped(&sp->slots[i], pid, status, &usage, now_ms()))
                break;
        }
    }
}

static void on_signal(void *owner)
{
    struct spawner *sp = owner;
    struct signalfd_siginfo info;

    while (read(sp->signals.fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM)
            begin_end(sp);
    }
    reap_all(sp);
}

/* Blocked from here on and read from a descriptor; whatever else the terminal or a user may
 * send is the master's business. */
static int open_signals(void)
{
    static const int blocked[] = {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t wanted, all;

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    all = wanted;
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++)
        sigaddset(&all, blocked[i]);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return -1;
    return signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- memory ---- */

static void take_memory(void *user, pid_t session, uint64_t bytes)
{
    struct spawner *sp = user;

    for (unsigned i = 0; i < sp->n_slots; i++)
        slot_memory(&sp->slots[i], session, bytes);
}

static bool looks_at_memory(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_pools; i++) {
        if (conf->pools[i].max_memory)
            return true;
    }
    return false;
}

static void look_at_memory(struct spawner *sp, uint64_t now)
{
    if (now < sp->memory_ms || sp->ending)
        return;
    spawner_kin_memory(take_memory, sp);
    sp->memory_ms = now + MEMORY_LOOK_MS;
}

/* ---- life ---- */

static bool needs_runner(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_pools; i++) {
        if (conf->pools[i].cgi)
            return true;
    }
    return false;
}

static int open_slots(struct spawner *sp, const struct spawner_setup *setup)
{
    if (setup->n_sockets == 0)
        return 0;
    sp->slots = calloc(setup->n_sockets, sizeof *sp->slots);
    if (!sp->slots)
        return -1;
    sp->env.unprobed = calloc(setup->conf->n_pools, sizeof *sp->env.unprobed);
    if (!sp->env.unprobed)
        return -1;
    sp->n_slots = setup->n_sockets;
    for (unsigned i = 0; i < sp->n_slots; i++)
        slot_init(&sp->slots[i], &sp->env, &setup->sockets[i]);
    return 0;
}

static int spawner_open(struct spawner *sp, const struct spawner_setup *setup)
{
    *sp = (struct spawner){.env = {.setup = setup, .epoll_fd = -1, .runner_fd = -1},
                           .control = {.fd = -1},
                           .gateway = {.fd = -1},
                           .signals = {.fd = -1}};
    sp->memory_ms = looks_at_memory(setup->conf) ? now_ms() + MEMORY_LOOK_MS : UINT64_MAX;
    if (needs_runner(setup->conf))
        sp->env.runner_fd = open(setup->runner_path, O_PATH | O_CLOEXEC);
    sp->env.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sp->env.epoll_fd < 0)
        return -1;
    int signal_fd = open_signals();
    if (signal_fd < 0 ||
        watch_add(&sp->signals, sp->env.epoll_fd, signal_fd, on_signal, sp) < 0 ||
        watch_add(&sp->control, sp->env.epoll_fd, setup->control_fd, on_control, sp) < 0)
        return -1;
    if (open_slots(sp, setup) < 0)
        return -1;
    if (setup->gateway_fd >= 0)
        take_gateway(sp, setup->gateway_fd);
    /* Whatever a process of ours leaves behind comes back here instead of to init. */
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void spawner_close(struct spawner *sp)
{
    for (unsigned i = 0; i < sp->n_slots; i++)
        slot_fini(&sp->slots[i]);
    free(sp->slots);
    free(sp->env.unprobed);
    watch_close(&sp->gateway);
    watch_close(&sp->control);
    watch_close(&sp->signals);
    if (sp->env.runner_fd >= 0)
        close(sp->env.runner_fd);
    if (sp->env.epoll_fd >= 0)
        close(sp->env.epoll_fd);
}

static int timeout_ms(const struct spawner *sp)
{
    uint64_t now = now_ms(), next = sp->ending ? sp->end_ms : sp->memory_ms;

    for (unsigned i = 0; i < sp->n_slots; i++) {
        uint64_t at = slot_next_ms(&sp->slots[i]);
        if (at < next)
            next = at;
    }
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : next - now > 60000 ? 60000 : (int)(next - now);
}

static bool is_over(const struct spawner *sp)
{
    if (!sp->ending)
        return false;
    if (now_ms() >= sp->end_ms)
        return true;
    for (unsigned i = 0; i < sp->n_slots; i++) {
        if (slot_busy(&sp->slots[i]))
            return false;
    }
    return true;
}

static void turn(struct spawner *sp)
{
    struct epoll_event events[EVENTS_A_TURN];
    int n = epoll_wait(sp->env.epoll_fd, events, EVENTS_A_TURN, timeout_ms(sp));

    for (int i = 0; i < n; i++) {
        const struct watch *w = events[i].data.ptr;
        if (w->fd >= 0)
            w->fn(w->owner);
    }
    uint64_t now = now_ms();
    look_at_memory(sp, now);
    for (unsigned i = 0; i < sp->n_slots; i++)
        slot_tick(&sp->slots[i], now);
    send_all_news(sp);
}

int spawner_run(const struct spawner_setup *setup)
{
    struct spawner sp;

    if (spawner_open(&sp, setup) < 0) {
        log_line(CONF_LOG_ERROR, "spawner: %s", strerror(errno));
        spawner_close(&sp);
        return 1;
    }
    for (unsigned i = 0; i < sp.n_slots; i++) {
        if (sp.slots[i].socket->slot < sp.slots[i].conf->min_processes)
            slot_start(&sp.slots[i], now_ms());
    }
    while (!is_over(&sp))
        turn(&sp);
    unsigned n = descend_kill(NULL, 0, ORPHANS_LIMIT_MS);
    if (n)
        log_line(CONF_LOG_NOTICE, "spawner: %u left-over processes killed", n);
    spawner_close(&sp);
    return 0;
}
