/*
 * The poll loop between the socket and the script's pipes.
 *
 *     socket --records--> input --BODY--> stdin pipe --> script      (or spliced)
 *     socket <--records-- c->out <---STDOUT--- stdout pipe <-- script
 *                                <---STDERR--- stderr pipe <--
 *
 * Both directions at once, always: a script that echoes its body while it is being sent gets on
 * with it, since reading one side never waits for the other.  Memory stays bounded: body is
 * read only when the pipe takes it, output only when the queue is short.
 *
 * A request is LIVE, and becomes ENDING when it has to be ended before its time (timeout,
 * ABORT, hang-up, the runner's own end): TERM to the script's process group, a little later to
 * whatever has left the group, KILL to all of it when the grace is over.
 *
 * When is an answer complete?  At the end of file on stdout, which comes when every process
 * that holds the pipe is gone, and after the script has exited, for its status.  But a script
 * may leave something in the background that holds stdout and never writes to it again (sh's
 * "daemon &"), and the client must not wait for that.  So once the script has exited:
 *   - nobody is left in its process group: then whoever still holds the pipe has moved to a
 *     session of its own, a daemon; the answer ends with what the pipe holds
 *   - there is someone in the group ("cmd | tee log &", bash's "exec > >(tee log)", a subshell
 *     that still prints): it is read on as long as QUIET_MS never pass without output.  A
 *     second is ample for a process that has data at hand, even on a loaded machine, and it is
 *     what a client waits in vain for a silent one.  Apache would wait for its Timeout, 60 s
 *
 * With --body-first an answer is held back while the body is still coming, the script runs and
 * OUT_HIGH is not reached.  nginx stops sending a body as soon as an answer begins, so a script
 * that prints its head and then reads would wait for the rest for ever.
 */
#include "runner_script.h"

#include <errno.h>
#include <fastcgi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner_body.h"
#include "runner_nph.h"
#include "runner_start.h"

enum {
    QUIET_MS = 1000,
    /* In ENDING: when what has left the script's group is looked for, to get its TERM.  Mostly
     * there is nothing then, and the last child's end has told so. */
    REST_MS = 50,
    KILL_AGAIN_MS = 20,
    /* What does not go after KILL (a process in uninterruptible sleep) is not waited for. */
    KILL_FOR_MS = 2000,
    READ_MAX = FCGI_RECORD_CONTENT_MAX,
    OUT_HIGH = 64 * 1024,
};

enum slot { ON_SIGNAL, ON_CONN, ON_STDIN, ON_STDOUT, ON_STDERR, N_SLOTS };
enum phase { LIVE, ENDING, KILLING };
enum cause { NO_CAUSE, BY_TIMEOUT, BY_ABORT, BY_HANGUP, BY_STOP };

struct script {
    struct runner *r;
    struct runner_conn *c;
    struct runner_body body;
    pid_t pid; /* 0: none was started */
    int stdout_fd;
    int64_t whose_ms; /* start of the request, or -1: all descendants; see runner_kin.h */
    int64_t now_ms;   /* of this turn */
    int64_t due_ms;   /* when this phase is over; INT64_MAX: never */
    enum phase phase;
    enum cause cause;
    bool exited;         /* status is its wait status */
    bool others;         /* children of the runner are left, of this request or before */
    bool rest_told;      /* ENDING: what is outside the group has had its TERM */
    bool none_left;      /* ENDING: no process of the request is left */
    bool ended;          /* END_REQUEST is in the queue */
    bool stdout_silent;  /* this turn's poll asked and found nothing */
    bool stderr_drained; /* the same, after the exit */
    bool released;       /* no longer held back by body_first */
    bool head_sent;      /* some of stdout is on its way */
    int status;
    bool reaped; /* status and usage are what wait4() said */
    struct rusage usage;
    int64_t quiet_ms; /* when the answer ends if nothing comes until then */
    int64_t rest_ms;
    struct runner_nph nph;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int64_t later(int64_t from, int64_t ms)
{
    return ms > INT64_MAX - from ? INT64_MAX : from + ms;
}

/* ---- ending it before its time ---- */

static void tell_group(const struct script *s, int sig)
{
    /* Never 0 or 1: that is our own group, or everybody.  After the exit the number is the
     * group's only as long as somebody is in it. */
    if (s->pid > 1 && (!s->exited || runner_kin_in_group(s->pid)))
        (void)kill(-s->pid, sig); /* ESRCH: it is gone already */
}

static void hang_up(struct script *s)
{
    close_fd(&s->c->fd);
    buf_clear(&s->c->out);
}

static void end_early(struct script *s, enum cause cause)
{
    int64_t grace = s->r->grace_ms;

    if (cause == BY_STOP && grace > RUNNER_STOP_MS)
        grace = RUNNER_STOP_MS;
    if (cause == BY_STOP)
        s->whose_ms = -1;
    if (cause == BY_HANGUP || cause == BY_STOP)
        hang_up(s);
    if (cause != BY_TIMEOUT) { /* nobody wants what it may still say */
        runner_body_close(&s->body);
        close_fd(&s->stdout_fd);
    }
    if (s->phase != LIVE)
        return;
    s->phase = ENDING;
    s->cause = cause;
    s->due_ms = later(s->now_ms, grace);
    s->rest_ms = s->now_ms + REST_MS;
    tell_group(s, SIGTERM);
}

/* Signal what is left of the request, and see whether there is anything. */
static void look_for_rest(struct script *s, int sig, pid_t except)
{
    size_t n = runner_kin_signal(&s->r->kin, s->whose_ms, sig, except);

    s->none_left = s->exited && n == 0;
}

static void kill_rest(struct script *s)
{
    if (s->phase == ENDING) {
        s->phase = KILLING;
        s->rest_ms = s->now_ms + KILL_FOR_MS;
        tell_group(s, SIGKILL);
    }
    s->due_ms = s->now_ms + KILL_AGAIN_MS;
    look_for_rest(s, SIGKILL, 0);
    if (s->now_ms >= s->rest_ms) { /* it has had its time */
        close_fd(&s->stdout_fd);
        s->exited = s->none_left = s->others = true;
    }
}

static void go_on_ending(struct script *s)
{
    if (s->exited && !s->others) {
        s->none_left = true;
    } else if (s->now_ms >= s->due_ms) {
        kill_rest(s);
    } else if (!s->rest_told && s->now_ms >= s->rest_ms) {
        s->rest_told = true;
        look_for_rest(s, SIGTERM, s->pid);
        look_for_rest(s, 0, 0); /* the group, too */
    }
}

static void out_of_time(struct script *s)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "ended after its timeout of %lld.%03lld s",
                   (long long)(s->r->timeout_ms / 1000), (long long)(s->r->timeout_ms % 1000));
    runner_say(s->c, text);
    end_early(s, BY_TIMEOUT);
}

/* ---- output ---- */

static void end_stdout(struct script *s)
{
    uint8_t last[RUNNER_NPH_MAX];
    size_t n = runner_nph_take(&s->nph, last);

    close_fd(&s->stdout_fd);
    if (n && runner_conn_put(s->c, FCGI_STDOUT, slice_of(last, n)))
        end_early(s, BY_HANGUP);
}

/* One read, one record: output leaves as it comes. */
static void read_stdout(struct script *s)
{
    uint8_t *at = runner_conn_room(s->c, READ_MAX);

    if (!at) {
        end_early(s, BY_HANGUP);
        return;
    }
    size_t held = runner_nph_take(&s->nph, at);
    ssize_t n = read(s->stdout_fd, at + held, READ_MAX - held - RUNNER_NPH_GROWS);
    size_t len = held + (n > 0 ? (size_t)n : 0);
    runner_conn_commit(s->c, FCGI_STDOUT, runner_nph_filter(&s->nph, at, len));
    if (n > 0) {
        s->head_sent = true;
        s->quiet_ms = later(s->now_ms, QUIET_MS);
    } else if (n == 0 || errno != EINTR) {
        end_stdout(s);
    }
}

static void read_stderr(struct script *s)
{
    uint8_t *at = runner_conn_room(s->c, READ_MAX);
    ssize_t n = at ? read(s->r->stderr_fd, at, READ_MAX) : 0;

    if (n > 0 && s->c->fd >= 0)
        runner_conn_commit(s->c, FCGI_STDERR, (size_t)n);
}

/* ---- poll ---- */

static void on_signal(struct script *s, short revents)
{
    bool had_exited = s->exited;
    pid_t child = runner_signals(s->r);

    (void)revents;
    if (child)
        s->others = runner_kin_reap(&s->r->kin, s->pid, &s->exited, &s->status, &s->usage);
    if (s->exited && !had_exited) {
        s->reaped = true;
        s->quiet_ms = later(s->now_ms, QUIET_MS);
        /* The poll was woken for another child, so the script may have written and exited after
         * it had looked at the pipes. */
        if (child != s->pid)
            s->stdout_silent = s->stderr_drained = false;
    }
    if (s->exited && s->others && s->rest_told)
        look_for_rest(s, 0, 0);
    if (s->r->stop)
        end_early(s, BY_STOP);
}

static void on_conn(struct script *s, short revents)
{
    /* A half-closed connection counts as a closed one, since over TCP they look the same. */
    if (revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
        end_early(s, BY_HANGUP);
    else if (revents & POLLIN)
        s->body.conn_ready = true;
}

static void on_stdin(struct script *s, short revents)
{
    if (revents & POLLOUT)
        s->body.pipe_ready = true;
    else
        runner_body_close(&s->body); /* POLLERR: nobody reads */
}

static void on_stdout(struct script *s, short revents)
{
    s->stdout_silent = false;
    if (s->stdout_fd < 0)
        return;
    if (revents & POLLIN)
        read_stdout(s);
    else
        end_stdout(s); /* POLLHUP and nothing to read: end of file */
}

static void on_stderr(struct script *s, short revents)
{
    (void)revents;
    s->stderr_drained = false;
    read_stderr(s);
}

typedef void ready_fn(struct script *s, short revents);

static ready_fn *const on_ready[N_SLOTS] = {
    [ON_SIGNAL] = on_signal, [ON_CONN] = on_conn,     [ON_STDIN] = on_stdin,
    [ON_STDOUT] = on_stdout, [ON_STDERR] = on_stderr,
};

static bool has_room(const struct script *s)
{
    return buf_len(&s->c->out) < OUT_HIGH;
}

/* Whether output has to wait, which ends once and for all. */
static bool is_held(struct script *s)
{
    bool held = s->r->body_first && !s->released && s->phase == LIVE && !s->exited &&
                s->c->state == RUNNER_CONN_BODY && has_room(s);

    s->released = !held;
    return held;
}

/* What to wait for.  The signal comes first: poll looks at descriptors in turn, so when it
 * reports an exit, what the script wrote before is seen in the same call. */
static void fill_slots(struct script *s, struct pollfd p[N_SLOTS])
{
    bool room = has_room(s);
    short conn = POLLRDHUP;

    if (runner_body_wants_conn(&s->body))
        conn |= POLLIN;
    if (buf_len(&s->c->out) && !is_held(s))
        conn |= POLLOUT;
    p[ON_SIGNAL] = (struct pollfd){.fd = s->r->signal_fd, .events = POLLIN};
    p[ON_CONN] = (struct pollfd){.fd = s->c->fd, .events = conn};
    p[ON_STDIN] = (struct pollfd){.fd = runner_body_wants_pipe(&s->body) ? s->body.fd : -1,
                                  .events = POLLOUT};
    p[ON_STDOUT] = (struct pollfd){.fd = room ? s->stdout_fd : -1, .events = POLLIN};
    p[ON_STDERR] = (struct pollfd){.fd = room ? s->r->stderr_fd : -1, .events = POLLIN};
}

static int wait_ms(const struct script *s)
{
    int64_t at = s->due_ms < s->r->kin.tick_ms ? s->due_ms : s->r->kin.tick_ms;

    if (s->exited && s->stdout_fd >= 0 && has_room(s) && s->quiet_ms < at)
        at = s->quiet_ms;
    if (s->phase == ENDING && !s->rest_told && s->rest_ms < at)
        at = s->rest_ms;
    if (s->body.more && s->c->fd >= 0)
        return 0;
    if (s->exited && !s->stderr_drained && has_room(s))
        return 0; /* not asked since the exit, or there was something */
    if (at == INT64_MAX)
        return -1;
    int64_t ms = at - runner_now();
    return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static void wait_for_something(struct script *s)
{
    struct pollfd p[N_SLOTS];

    fill_slots(s, p);
    int n = poll(p, N_SLOTS, wait_ms(s));
    s->now_ms = runner_now();
    s->stdout_silent = n >= 0 && p[ON_STDOUT].fd >= 0;
    s->stderr_drained = n >= 0 && p[ON_STDERR].fd >= 0;
    for (int i = 0; n > 0 && i < N_SLOTS; i++) {
        if (p[i].revents)
            on_ready[i](s, p[i].revents);
    }
}

/* ---- phases ---- */

/* The script has exited, somebody holds its stdout: see the top. */
static void end_if_quiet(struct script *s)
{
    if (!s->stdout_silent)
        return;
    if (s->now_ms >= s->quiet_ms || !runner_kin_in_group(s->pid))
        end_stdout(s);
}

static void on_time(struct script *s)
{
    if (s->now_ms >= s->r->kin.tick_ms)
        runner_kin_tick(&s->r->kin, s->now_ms);
    if (s->exited && s->stdout_fd >= 0)
        end_if_quiet(s);
    if (s->ended) {
        if (s->now_ms >= s->due_ms)
            hang_up(s); /* the peer takes its time, and ours */
    } else if (s->phase != LIVE)
        go_on_ending(s);
    else if (s->now_ms >= s->due_ms)
        out_of_time(s);
}

static bool is_complete(const struct script *s)
{
    if (!s->exited || s->stdout_fd >= 0)
        return false;
    if (s->c->fd >= 0 && !s->stderr_drained)
        return false;
    return s->phase == LIVE || s->none_left;
}

/* END_REQUEST's appStatus: the exit status as a shell gives it. */
static uint32_t app_status(int status)
{
    if (WIFSIGNALED(status))
        return 128 + (uint32_t)WTERMSIG(status);
    return (uint32_t)WEXITSTATUS(status);
}

/* The answer is complete: queue its end. */
static void finish(struct script *s)
{
    s->ended = true;
    if (s->phase != LIVE)
        s->due_ms = later(s->now_ms, s->r->grace_ms); /* for the peer to take it */
    runner_body_close(&s->body);
    s->c->body = slice_of(NULL, 0);
    if (s->r->usage && (s->reaped || !s->pid)) /* killed, but never gone: nobody knows */
        script_usage_put(s->r->usage, s->status, &s->usage);
    if (s->c->fd < 0)
        return;
    if (s->cause == BY_TIMEOUT && !s->head_sent)
        runner_put_status(s->c, "504 Gateway Timeout");
    /* Not every server makes an error of an answer without a head.  h2cgi does, and says so on
     * its own page. */
    if (s->phase == LIVE && s->pid && !s->head_sent && !s->r->usage)
        runner_put_status(s->c, "502 Bad Gateway");
    if (s->phase == LIVE && s->pid && WIFSIGNALED(s->status)) {
        char text[64];
        (void)snprintf(text, sizeof(text), "ended by signal %d (%.32s)", WTERMSIG(s->status),
                       strsignal(WTERMSIG(s->status)));
        runner_say(s->c, text);
    }
    if (runner_conn_end(s->c, app_status(s->status)))
        hang_up(s);
}

static void go_on(struct script *s)
{
    switch (runner_body_pump(&s->body)) {
    case RUNNER_ABORT:
        end_early(s, BY_ABORT);
        break;
    case RUNNER_BROKEN:
        end_early(s, BY_HANGUP);
        break;
    case RUNNER_MORE:
    case RUNNER_HEAD:
    case RUNNER_BODY:
    case RUNNER_BODY_END:
        break;
    }
}

static void turn(struct script *s)
{
    wait_for_something(s);
    on_time(s);
    if (s->c->fd >= 0)
        go_on(s);
    if (!s->ended && is_complete(s))
        finish(s);
    if (s->c->fd >= 0 && !is_held(s) && runner_conn_flush(s->c) < 0)
        end_early(s, BY_HANGUP);
}

/* Start the script, or make the answer that says why not. */
static void begin(struct script *s)
{
    struct runner_started started;
    char mark[RUNNER_KIN_MARK];

    s->whose_ms = runner_kin_begin(&s->r->kin, s->now_ms, mark);
    /* A WebSocket lasts as long as the gateway lets it, which says so. */
    bool timed = s->r->timeout_ms && !runner_env_get(&s->c->env, "H2CGI_WEBSOCKET");
    s->due_ms = timed ? later(s->now_ms, s->r->timeout_ms) : INT64_MAX;
    int err = runner_start(s->r, s->c, mark, &started);
    if (err == 0) {
        s->pid = started.pid;
        s->stdout_fd = started.stdout_fd;
        runner_body_init(&s->body, s->c, started.stdin_fd);
        go_on(s);
    } else {
        s->exited = true;
        s->status = W_EXITCODE(runner_start_failed(s->c, -err), 0);
        finish(s);
    }
}

void runner_script_run(struct runner *r, struct runner_conn *c)
{
    struct script s = {.r = r, .c = c, .stdout_fd = -1, .now_ms = runner_now()};

    runner_body_init(&s.body, c, -1);
    /* Take what came with the head: most often that is the end of the body, now and then an
     * ABORT behind it, and then nothing has to be started. */
    enum runner_event event = runner_conn_next(c);
    if (event == RUNNER_BODY_END)
        event = runner_conn_next(c);
    if (event == RUNNER_BROKEN || event == RUNNER_ABORT) {
        s.ended = true;
        s.due_ms = later(s.now_ms, r->grace_ms);
        if (event == RUNNER_BROKEN || runner_conn_end(c, 0))
            hang_up(&s);
    } else {
        begin(&s);
    }
    while (!s.ended || (c->fd >= 0 && buf_len(&c->out)))
        turn(&s);
    runner_kin_end(&r->kin, s.others);
}
