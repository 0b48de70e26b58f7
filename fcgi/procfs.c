#include "procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../gateway/buf.h"

enum {
    STAT_MAX = 1024,
    /* A process has no more environment than the kernel lets execve pass (2 MiB as a rule). */
    ENVIRON_MAX = 4 * 1024 * 1024,
    CHILDREN_MAX = 4 * 1024 * 1024,
    STEP = 4096,
};

/* Read path whole, at most max bytes, a NUL behind it. */
static bool read_all(const char *path, size_t max, struct buf *out)
{
    ssize_t n = -1;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (buf_len(out) < max) {
        uint8_t *at = buf_reserve(out, STEP);
        n = at ? read(fd, at, STEP) : -1;
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
    }
    close(fd);
    return n >= 0 && buf_append(out, "", 1) == 0;
}

/* "pid (comm) state ppid pgrp session ..."; comm may hold anything, so the last ')' counts.
 * Resident pages are the 24th field, the 22nd from the state on. */
static bool parse_stat(const char *text, struct procfs_stat *ret_stat)
{
    enum { PARENT = 1, GROUP, SESSION, RSS = 21 };
    static const int wanted[] = {PARENT, GROUP, SESSION, RSS};
    const char *at = strrchr(text, ')');
    long long values[RSS + 1] = {0};
    char *end;

    if (!at || strlen(at) < 5)
        return false;
    ret_stat->dead = at[2] == 'Z' || at[2] == 'X';
    at += 3;
    for (int i = PARENT; i <= wanted[3]; i++, at = end) {
        values[i] = strtoll(at, &end, 10);
        if (end == at)
            return false;
    }
    ret_stat->parent = (pid_t)values[PARENT];
    ret_stat->group = (pid_t)values[GROUP];
    ret_stat->session = (pid_t)values[SESSION];
    ret_stat->rss_bytes = (uint64_t)values[RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

bool procfs_stat(pid_t pid, struct procfs_stat *ret_stat)
{
    char path[32], text[STAT_MAX];

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    ret_stat->pid = pid;
    return parse_stat(text, ret_stat);
}

void procfs_each(bool (*fn)(void *user, const struct procfs_stat *st), void *user)
{
    DIR *dir = opendir("/proc");
    struct procfs_stat st;
    struct dirent *d;
    bool more = dir != NULL;

    while (more && (d = readdir(dir))) {
        if (isdigit((unsigned char)d->d_name[0]) &&
            procfs_stat((pid_t)strtol(d->d_name, NULL, 10), &st))
            more = fn(user, &st);
    }
    if (dir)
        closedir(dir);
}

struct children {
    void (*fn)(void *user, pid_t pid);
    void *user;
};

static bool child_of_ours(void *user, const struct procfs_stat *st)
{
    const struct children *c = user;

    if (st->parent == getpid())
        c->fn(c->user, st->pid);
    return true;
}

void procfs_children(void (*fn)(void *user, pid_t pid), void *user)
{
    struct buf text = {0};
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    if (read_all(path, CHILDREN_MAX, &text)) {
        char *end;
        for (const char *at = (const char *)buf_at(&text);; at = end) {
            pid_t pid = (pid_t)strtol(at, &end, 10);
            if (end == at)
                break;
            fn(user, pid);
        }
    } else { /* a kernel without CONFIG_PROC_CHILDREN */
        struct children c = {fn, user};
        procfs_each(child_of_ours, &c);
    }
    buf_fini(&text);
}

int procfs_has_env(pid_t pid, const char *name_value)
{
    struct buf text = {0};
    char path[32];
    int found = -1;

    (void)snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
    if (read_all(path, ENVIRON_MAX, &text) && buf_len(&text) > 1) {
        const char *at = (const char *)buf_at(&text), *end = at + buf_len(&text);
        size_t name_len = strcspn(name_value, "=") + 1;
        for (; at < end; at += strlen(at) + 1) {
            if (strcmp(at, name_value) == 0)
                found = 1;
            else if (found < 0 && strncmp(at, name_value, name_len) == 0)
                found = 0;
        }
    }
    buf_fini(&text);
    return found;
}
