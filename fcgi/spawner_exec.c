#include "spawner_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../gateway/unixsock.h"
#include "signals.h"

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

/* ---- the command ---- */

static char *dup_text(struct arena *a, const char *text)
{
    return (char *)(uintptr_t)arena_dup(a, slice_str(text)).p;
}

static int runner_argv(const struct spawner_setup *setup, const struct conf_pool *pool,
                       struct arena *a, struct spawner_command *cmd)
{
    struct slice usage = arena_printf(a, "--usage-fd=%d", cmd->usage_fd);
    struct slice timeout = arena_printf(a, "--timeout=%lldms", (long long)pool->timeout_ms);

    cmd->argv = arena_zalloc(a, 4 * sizeof *cmd->argv);
    if (!cmd->argv || !timeout.p || !usage.p)
        return ENOMEM;
    cmd->argv[0] = dup_text(a, setup->runner_path);
    cmd->argv[1] = (char *)(uintptr_t)timeout.p;
    if (cmd->usage_fd >= 0)
        cmd->argv[2] = (char *)(uintptr_t)usage.p;
    return cmd->argv[0] ? 0 : ENOMEM;
}

/* A value of the INI as the process of this slot gets it. */
static struct slice own_text(const struct conf_pool *pool, struct arena *a, struct slice text,
                             uint32_t slot)
{
    return pool->listen_self ? spawner_slot_text(a, text, slot) : arena_dup(a, text);
}

static int spawn_argv(const struct conf_pool *pool, uint32_t slot, struct arena *a,
                      struct spawner_command *cmd)
{
    size_t n = 0;

    while (pool->spawn[n])
        n++;
    cmd->argv = arena_zalloc(a, (n + 1) * sizeof *cmd->argv);
    if (!cmd->argv)
        return ENOMEM;
    for (size_t i = 0; i < n; i++) {
        cmd->argv[i] = (char *)(uintptr_t)own_text(pool, a, slice_str(pool->spawn[i]), slot).p;
        if (!cmd->argv[i])
            return ENOMEM;
    }
    return 0;
}

static int choose_directory(const struct conf_pool *pool, struct arena *a,
                            struct spawner_command *cmd)
{
    const char *program = cmd->argv[0], *slash = pool->cgi ? NULL : strrchr(program, '/');
    size_t n = slash ? (size_t)(slash - program) : 0;

    cmd->directory_is_said = pool->directory != NULL;
    cmd->directory = pool->directory;
    if (!pool->directory)
        cmd->directory = n ? arena_dup(a, slice_of(program, n)).p : "/";
    return cmd->directory ? 0 : ENOMEM;
}

static int own_socket(const struct conf_pool *pool, uint32_t slot, struct arena *a,
                      struct spawner_command *cmd)
{
    const struct slice unix_word = SLICE("unix:");

    if (!pool->self_address || !slice_starts(slice_str(pool->self_address), unix_word))
        return 0;
    cmd->own_socket =
        spawner_slot_text(a, slice_from(slice_str(pool->self_address), unix_word.n), slot).p;
    return cmd->own_socket ? 0 : ENOMEM;
}

static bool pool_sets(const struct conf_pool *pool, const char *name)
{
    for (unsigned i = 0; i < pool->n_env; i++) {
        if (slice_eq(pool->env[i].name, slice_str(name)))
            return true;
    }
    return false;
}

static int make_envp(const struct conf_pool *pool, uint32_t slot, const char *mark,
                     struct arena *a, struct spawner_command *cmd)
{
    const struct {
        const char *name, *value;
    } own[] = {
        {"PATH", default_path},    {"HOME", cmd->id.home},   {"USER", cmd->id.name},
        {"LOGNAME", cmd->id.name}, {"SHELL", cmd->id.shell},
    };
    enum { N_OWN = sizeof own / sizeof own[0] };
    size_t n = 0;

    char **envp = arena_zalloc(a, (N_OWN + pool->n_env + 2) * sizeof *envp);
    if (!envp)
        return ENOMEM;
    for (size_t i = 0; i < N_OWN; i++) {
        if (pool_sets(pool, own[i].name))
            continue;
        struct slice s = arena_printf(a, "%s=%s", own[i].name, own[i].value);
        if (!s.p)
            return ENOMEM;
        envp[n++] = (char *)(uintptr_t)s.p;
    }
    for (unsigned i = 0; i < pool->n_env; i++) {
        struct slice value = own_text(pool, a, pool->env[i].value, slot);
        struct slice s =
            arena_printf(a, "%.*s=%.*s", SLICE_FMT(pool->env[i].name), SLICE_FMT(value));
        if (!s.p || !value.p)
            return ENOMEM;
        envp[n++] = (char *)(uintptr_t)s.p;
    }
    envp[n] = dup_text(a, mark);
    if (!envp[n])
        return ENOMEM;
    cmd->envp = envp;
    return 0;
}

static const char *env_value(char *const *envp, struct slice name_and_equals)
{
    for (; *envp; envp++) {
        if (slice_starts(slice_str(*envp), name_and_equals))
            return *envp + name_and_equals.n;
    }
    return NULL;
}

int spawner_command_make(const struct spawner_setup *setup, const struct spawner_socket *slot,
                         const char *mark, int runner_fd, struct arena *a,
                         struct spawner_command *ret_cmd)
{
    const struct conf_pool *pool = &setup->conf->pools[slot->pool];
    const char *user = pool->user ? pool->user : setup->conf->gateway.user;
    struct spawner_command cmd = {.program_fd = pool->cgi ? runner_fd : -1,
                                  .usage_fd = pool->cgi ? slot->usage_fd : -1};

    int err = user ? identity_find(a, user, &cmd.id) : identity_self(a, &cmd.id);
    if (!err)
        err = pool->cgi ? runner_argv(setup, pool, a, &cmd)
                        : spawn_argv(pool, slot->slot, a, &cmd);
    if (!err)
        err = choose_directory(pool, a, &cmd);
    if (!err)
        err = own_socket(pool, slot->slot, a, &cmd);
    if (!err)
        err = make_envp(pool, slot->slot, mark, a, &cmd);
    if (err)
        return err;
    cmd.path = env_value(cmd.envp, SLICE("PATH="));
    if (setup->nofile.rlim_max)
        cmd.nofile = &setup->nofile;
    *ret_cmd = cmd;
    return 0;
}

/* ---- the child ---- */

enum step { STEP_DESCRIPTORS, STEP_LIMITS, STEP_USER, STEP_DIRECTORY, STEP_EXEC };

const char *spawner_exec_step_name(int step)
{
    static const char *const names[] = {
        [STEP_DESCRIPTORS] = "descriptors", [STEP_LIMITS] = "limits", [STEP_USER] = "user",
        [STEP_DIRECTORY] = "directory",     [STEP_EXEC] = "exec",
    };

    return step >= 0 && (size_t)step < sizeof names / sizeof names[0] ? names[step] : "start";
}

static void reset_signals(void)
{
    sigset_t none;

    signals_default();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The three descriptors a pool process gets, and a runner's fourth.  The sources are all above
 * 2: the spawner keeps 0 to 2 occupied. */
static int set_descriptors(const struct spawner_command *cmd, int listen_fd, int out_fd)
{
    int in_fd = listen_fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : listen_fd;

    if (in_fd < 0 || dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
        return errno;
    /* Programs open /dev/stderr, which asks whose the pipe is. */
    if (geteuid() != cmd->id.uid && fchown(2, cmd->id.uid, cmd->id.gid) < 0)
        return errno;
    /* FastCGI 2.2: the application accepts on descriptor 0; libfcgi and PHP block in it. */
    int flags = fcntl(0, F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) && fcntl(0, F_SETFL, flags & ~O_NONBLOCK) < 0))
        return errno;
    /* All others are close-on-exec from birth; this is for those of a library that forgot. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    return cmd->usage_fd >= 0 && fcntl(cmd->usage_fd, F_SETFD, 0) < 0 ? errno : 0;
}

static void exec_in_path(const struct spawner_command *cmd)
{
    struct slice rest = slice_str(cmd->path ? cmd->path : default_path);
    char file[4096];
    int err = ENOENT;

    while (rest.n) {
        ssize_t colon = slice_find(rest, ':');
        size_t len = colon < 0 ? rest.n : (size_t)colon;
        int n = snprintf(file, sizeof file, "%.*s/%s", (int)len, rest.p, cmd->argv[0]);

        /* An empty element would mean the working directory, where nothing of ours is. */
        if (len && n > 0 && (size_t)n < sizeof file) {
            execve(file, cmd->argv, cmd->envp);
            if (errno != ENOENT && errno != ENOTDIR)
                err = errno;
        }
        rest = slice_from(rest, colon < 0 ? rest.n : len + 1);
    }
    errno = err;
}

static int exec_program(const struct spawner_command *cmd)
{
    if (!strchr(cmd->argv[0], '/'))
        exec_in_path(cmd);
    else
        execve(cmd->argv[0], cmd->argv, cmd->envp);
    int err = errno;
    /* The runner may lie where the pool's user may not look, in somebody's home directory say;
     * it was opened before privileges went. */
    if (err == EACCES && cmd->program_fd >= 0) {
        syscall(SYS_execveat, cmd->program_fd, "", cmd->argv, cmd->envp, AT_EMPTY_PATH);
        err = errno;
    }
    return err;
}

/* In the order of enum step; stops at the first that fails. */
static struct spawner_exec_error child_steps(const struct spawner_command *cmd, int listen_fd,
                                             int out_fd, pid_t spawner)
{
    int err = set_descriptors(cmd, listen_fd, out_fd);

    if (err)
        return (struct spawner_exec_error){STEP_DESCRIPTORS, err};
    if (cmd->nofile && setrlimit(RLIMIT_NOFILE, cmd->nofile) < 0)
        return (struct spawner_exec_error){STEP_LIMITS, errno};
    err = identity_assume(&cmd->id);
    if (err)
        return (struct spawner_exec_error){STEP_USER, err};
    /* Should the spawner be killed, nobody else would end this one.  Behind the change of user,
     * which clears the request; the second look is for a spawner that died before it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != spawner)
        _exit(127);
    /* A socket outlives who bound it, bind(2) fails where one is, and not all programs remove that
     * of a predecessor who could not.  As the pool's user, who owns it. */
    if (cmd->own_socket)
        unixsock_remove_stale(cmd->own_socket);
    umask(022);
    /* Where the program's cannot be entered, neither can it be run, and exec says so. */
    if (chdir(cmd->directory) < 0 && (cmd->directory_is_said || chdir("/") < 0))
        return (struct spawner_exec_error){STEP_DIRECTORY, errno};
    /* Behind the change of user too: the C library carries that to all threads, a sanitizer's
     * own among them, by a signal with a handler. */
    reset_signals();
    return (struct spawner_exec_error){STEP_EXEC, exec_program(cmd)};
}

static _Noreturn void child(const struct spawner_command *cmd, int listen_fd, int out_fd,
                            int error_fd, pid_t spawner)
{
    setsid();
    struct spawner_exec_error e = child_steps(cmd, listen_fd, out_fd, spawner);
    /* A pipe takes so few bytes whole; if it does not, the exit status says enough. */
    ssize_t n = write(error_fd, &e, sizeof e);
    _exit(n == (ssize_t)sizeof e ? 127 : 126);
}

pid_t spawner_exec(const struct spawner_command *cmd, int listen_fd, int out_fd,
                   int *ret_error_fd)
{
    pid_t spawner = getpid();
    int pipe_fd[2];

    if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        child(cmd, listen_fd, out_fd, pipe_fd[1], spawner);
    int err = errno;
    close(pipe_fd[1]);
    if (pid < 0) {
        close(pipe_fd[0]);
        errno = err;
        return -1;
    }
    *ret_error_fd = pipe_fd[0];
    return pid;
}
