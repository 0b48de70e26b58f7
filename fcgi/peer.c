#include "peer.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../gateway/err.h"

enum { LINKS_MAX = 40 }; /* as the kernel has it, path_resolution(7) */

/* A path is walked as the kernel walks it, and each step is looked at.  Once all steps so far
 * are the trusted users' alone, only they can change them. */
struct walk {
    uid_t user;
    char *text;          /* what is wrong */
    char at[PATH_MAX];   /* where we are, "" is the root; no links in it */
    char left[PATH_MAX]; /* what is still to go */
    unsigned n_links;
};

static bool trusts(uid_t owner, uid_t user)
{
    return owner == 0 || owner == user;
}

static int blame(const struct walk *w, const char *what, const struct stat *st)
{
    (void)snprintf(w->text, PEER_TEXT, "%.384s %s (owner uid %lu, mode %04o)",
                   w->at[0] ? w->at : "/", what, (unsigned long)st->st_uid,
                   (unsigned)(st->st_mode & 07777));
    return GW_EBACKEND_PEER;
}

/* The group's bits are also those of an ACL (acl(5)). */
static int look_at_folder(const struct walk *w, const struct stat *st)
{
    if (!trusts(st->st_uid, w->user))
        return blame(w, "belongs to another user", st);
    if (st->st_mode & (S_IWGRP | S_IWOTH) && !(st->st_mode & S_ISVTX))
        return blame(w, "can be written by other users", st);
    return 0;
}

/* The first component of what is left, moved to name; false: there is none. */
static bool next_name(struct walk *w, char name[NAME_MAX + 1])
{
    const char *p = w->left + strspn(w->left, "/");
    size_t n = strcspn(p, "/");

    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(name, p, n);
    name[n] = '\0';
    memmove(w->left, p + n, strlen(p + n) + 1);
    return true;
}

static void go_up(struct walk *w)
{
    char *slash = strrchr(w->at, '/');

    if (slash)
        *slash = '\0';
}

static bool go_down(struct walk *w, const char *name)
{
    size_t n = strlen(w->at), more = strlen(name) + 1;

    if (n + more >= sizeof(w->at))
        return false;
    w->at[n] = '/';
    memcpy(w->at + n + 1, name, more);
    return true;
}

static bool follow(struct walk *w)
{
    char to[PATH_MAX];
    ssize_t n = readlink(w->at, to, sizeof(to));
    size_t left = strlen(w->left);

    if (n <= 0 || (size_t)n + left >= sizeof(w->left) || ++w->n_links > LINKS_MAX)
        return false;
    memmove(w->left + n, w->left, left + 1);
    memcpy(w->left, to, (size_t)n);
    if (to[0] == '/')
        w->at[0] = '\0';
    else
        go_up(w);
    return true;
}

/* One step.  0: go on; 1: it was the socket. */
static int step(struct walk *w, const char *name)
{
    struct stat st;

    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        go_up(w);
        return 0;
    }
    if (!go_down(w, name) || lstat(w->at, &st) < 0)
        return GW_EBACKEND_CONNECT;
    if (S_ISDIR(st.st_mode))
        return look_at_folder(w, &st);
    if (!trusts(st.st_uid, w->user))
        return blame(w, "belongs to another user", &st);
    if (S_ISLNK(st.st_mode))
        return follow(w) ? 0 : GW_EBACKEND_CONNECT;
    return S_ISSOCK(st.st_mode) && w->left[0] == '\0' ? 1 : GW_EBACKEND_CONNECT;
}

int peer_owner(const char *path, uid_t user, char text[PEER_TEXT])
{
    struct walk w = {.user = user, .text = text};
    char name[NAME_MAX + 1];
    struct stat root;
    size_t n = strlen(path);

    if (n >= sizeof(w.left) || stat("/", &root) < 0)
        return GW_EBACKEND_CONNECT;
    memcpy(w.left, path, n + 1);
    int rc = look_at_folder(&w, &root);
    while (rc == 0 && next_name(&w, name))
        rc = step(&w, name);
    return rc > 0 ? 0 : rc < 0 ? rc : GW_EBACKEND_CONNECT;
}

int peer_listener(int fd, uid_t user, char text[PEER_TEXT])
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return GW_EBACKEND_CONNECT;
    if (trusts(cred.uid, user))
        return 0;
    (void)snprintf(text, PEER_TEXT, "uid %lu listens there (pid %ld)", (unsigned long)cred.uid,
                   (long)cred.pid);
    return GW_EBACKEND_PEER;
}
