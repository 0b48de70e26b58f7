#include "runner_start.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "runner_spawn.h"

/* What a failure to start is to the client, and as a shell's exit status. */
static const struct failure {
    int err;
    const char *status;
    int exit;
} failures[] = {
    {ENOENT, "404 Not Found", 127},
    {ENOTDIR, "404 Not Found", 127},
    {ENAMETOOLONG, "404 Not Found", 127},
    {EACCES, "403 Forbidden", 126}, /* not executable, no regular file, not to be reached */
    {EPERM, "403 Forbidden", 126},
    {ELOOP, "403 Forbidden", 126},
    {EAGAIN, "503 Service Unavailable", 126}, /* RLIMIT_NPROC */
    {ENOMEM, "503 Service Unavailable", 126},
    {EMFILE, "503 Service Unavailable", 126},
    {ENFILE, "503 Service Unavailable", 126},
    {E2BIG, "431 Request Header Fields Too Large", 126},
    {0, "500 Internal Server Error", 126},
};

void runner_put_status(struct runner_conn *c, const char *status)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "Status: %s\r\nContent-Type: text/plain\r\n\r\n%s\n",
                   status, status);
    /* Out of memory: an answer without a head, which the server makes an error of. */
    (void)runner_conn_put(c, FCGI_STDOUT, slice_str(text));
}

void runner_say(struct runner_conn *c, const char *what)
{
    const char *path = runner_env_script(&c->env);
    char line[512];
    int n =
        snprintf(line, sizeof(line), "h2cgi-run: %.384s: %s", path ? path : "no script", what);

    for (int i = 0; i < n; i++) { /* one line, whatever the path holds */
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    }
    if (n <= 0 || (size_t)n >= sizeof(line))
        return;
    line[n] = '\n';
    /* Out of memory: a line less in the log. */
    (void)runner_conn_put(c, FCGI_STDERR, slice_of(line, (size_t)n + 1));
}

int runner_start_failed(struct runner_conn *c, int err)
{
    const struct failure *f = failures;
    const char *path = runner_env_script(&c->env);
    const char *text = err == EINVAL && !path ? "no SCRIPT_FILENAME" : strerror(err);

    /* A script that is there and yet "not there" names an interpreter that is not. */
    if (err == ENOENT && path && access(path, F_OK) == 0) {
        err = ENOEXEC;
        text = "its interpreter does not exist";
    }
    while (f->err && f->err != err)
        f++;
    runner_say(c, text);
    runner_put_status(c, f->status);
    return f->exit;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Pipes, and the script between them.  At most two, since an unprivileged user gets only small
 * ones beyond 1,024. */
static int spawn(struct runner_spawn *how, bool body, struct runner_started *ret)
{
    int in[2] = {-1, -1}, out[2];
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) != 0)
        return -errno;
    if (body && (pipe2(in, O_CLOEXEC) != 0 || fcntl(in[1], F_SETFL, O_NONBLOCK) != 0)) {
        pid = -errno;
    } else {
        how->stdin_fd = in[0];
        how->stdout_fd = out[1];
        pid = runner_spawn(how);
    }
    close_fd(in[0]);
    close_fd(out[1]);
    if (pid > 1) {
        *ret = (struct runner_started){pid, in[1], out[0]};
        return 0;
    }
    close_fd(in[1]);
    close_fd(out[0]);
    return pid;
}

int runner_start(struct runner *r, struct runner_conn *c, const char *mark,
                 struct runner_started *ret)
{
    struct runner_env *env = &c->env;
    const char *path = runner_env_script(env);
    char dir[PATH_MAX];

    if (env->over)
        return -E2BIG;
    if (!path)
        return -EINVAL;
    size_t len = strlen(path);
    if (len >= sizeof(dir))
        return -ENAMETOOLONG;
    /* The working directory is the script's (RFC 3875 7.2). */
    while (len > 1 && path[len - 1] != '/')
        len--;
    memcpy(dir, path, len);
    dir[len] = '\0';
    struct runner_spawn how = {
        .path = path,
        .dir = dir,
        .argv = runner_env_argv(env, path),
        .envp = runner_env_envp(env, r->environ, mark),
        .stderr_fd = r->stderr_to,
        .runner = r->kin.self,
    };
    /* The end of the body came with the head as a rule, and then there is none. */
    return how.argv && how.envp ? spawn(&how, c->state == RUNNER_CONN_BODY, ret) : -ENOMEM;
}
