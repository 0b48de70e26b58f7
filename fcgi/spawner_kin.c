#include "spawner_kin.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descend.h"
#include "procfs.h"

void spawner_kin_mark(char ret_mark[SPAWNER_MARK])
{
    static uint64_t number;

    (void)snprintf(ret_mark, SPAWNER_MARK, "H2CGI_PROCESS=%ld.%llu", (long)getpid(),
                   (unsigned long long)++number);
}

struct look {
    const struct spawner_kin *kin;
    const struct spawner_kin_ops *ops;
    int sig;
    size_t n;
};

static bool user_of(pid_t pid, uid_t *ret_uid)
{
    struct stat st;
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/%ld", (long)pid);
    if (stat(path, &st) < 0)
        return false;
    *ret_uid = st.st_uid;
    return true;
}

static bool is_orphan_of(const struct look *l, const struct procfs_stat *st)
{
    uid_t uid;

    if (st->group == l->kin->pid || st->session == l->kin->pid)
        return true;
    int marked = procfs_has_env(st->pid, l->kin->mark);
    if (marked >= 0)
        return marked > 0;
    return user_of(st->pid, &uid) && uid == l->kin->uid && !l->ops->has_user(l->ops->user, uid);
}

static void look_at_child(void *user, pid_t pid)
{
    struct look *l = user;
    struct procfs_stat st;

    if (pid <= 1 || l->ops->is_leader(l->ops->user, pid) || !procfs_stat(pid, &st) || st.dead ||
        !is_orphan_of(l, &st))
        return;
    l->n++;
    if (l->sig)
        kill(pid, l->sig);
}

size_t spawner_kin_signal(const struct spawner_kin *kin, int sig,
                          const struct spawner_kin_ops *ops)
{
    struct look l = {.kin = kin, .ops = ops, .sig = sig};

    /* The leader has been reaped, so its number may be a stranger's by now; a group with a
     * child of ours in it cannot. */
    if (descend_group_is_ours(kin->pid)) {
        l.n++;
        if (sig)
            kill(-kin->pid, sig);
    }
    procfs_children(look_at_child, &l);
    return l.n;
}

/* ---- memory ---- */

struct memory {
    void (*fn)(void *user, pid_t session, uint64_t bytes);
    void *user;
};

static bool add_memory(void *user, const struct procfs_stat *st)
{
    const struct memory *m = user;

    if (!st->dead && st->session > 1)
        m->fn(m->user, st->session, st->rss_bytes);
    return true;
}

void spawner_kin_memory(void (*fn)(void *user, pid_t session, uint64_t bytes), void *user)
{
    struct memory m = {fn, user};

    procfs_each(add_memory, &m);
}
