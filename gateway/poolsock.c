#include "poolsock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unixsock.h"

/* Requests wait here while their process starts; the pool's own queue is in front of it. */
enum { BACKLOG = 1024 };

static bool is_ours(const struct conf_pool *pool)
{
    return pool->n_connect == 0;
}

static size_t count(const struct conf *conf)
{
    size_t n = 0;

    for (unsigned i = 0; i < conf->n_pools; i++)
        n += is_ours(&conf->pools[i]) ? conf->pools[i].slots : 0;
    return n;
}

static int open_one(const struct conf *conf, uint32_t pool, uint32_t slot,
                    const struct identity *user, FILE *errors_to)
{
    const struct conf_pool *p = &conf->pools[pool];
    char path[PATH_MAX];
    bool fits = spawner_socket_path(path, sizeof path, conf->gateway.runtime_dir, p, slot);

    int fd = fits ? unixsock_listen(path, 0600, user->uid, user->gid, BACKLOG) : -1;
    if (fd < 0)
        fprintf(errors_to, "h2cgi: [pool %s] socket %s: %s\n", p->name, path,
                fits ? strerror(errno) : "longer than 107 bytes; choose a shorter runtime_dir");
    return fd;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int open_usage(const struct conf_pool *p, struct spawner_socket *s, FILE *errors_to)
{
    s->usage_fd = script_usage_open();
    s->usage = s->usage_fd >= 0 ? script_usage_map_read(s->usage_fd) : NULL;
    if (s->usage)
        return 0;
    fprintf(errors_to, "h2cgi: [pool %s] shared memory: %s\n", p->name, strerror(errno));
    close_fd(&s->usage_fd);
    return -1;
}

/* What a slot has: 0, or -1 with a line on errors_to and nothing left. */
static int open_slot(const struct conf *conf, struct spawner_socket *s,
                     const struct identity *user, FILE *errors_to)
{
    const struct conf_pool *p = &conf->pools[s->pool];

    s->listen_fd = s->usage_fd = -1;
    if (p->cgi && open_usage(p, s, errors_to) < 0)
        return -1;
    if (p->listen_self)
        return 0;
    s->listen_fd = open_one(conf, s->pool, s->slot, user, errors_to);
    if (s->listen_fd >= 0)
        return 0;
    script_usage_unmap(s->usage);
    close_fd(&s->usage_fd);
    return -1;
}

int poolsocks_open(const struct conf *conf, const struct identity *user,
                   struct poolsocks *ret_p, FILE *errors_to)
{
    size_t n = count(conf);
    struct poolsocks p = {.conf = conf, .all = calloc(n + 1, sizeof *p.all)};

    if (!p.all || n > UINT_MAX) {
        fprintf(errors_to, "h2cgi: out of memory\n");
        free(p.all);
        return -1;
    }
    for (uint32_t pool = 0; pool < conf->n_pools; pool++) {
        uint32_t slots = is_ours(&conf->pools[pool]) ? conf->pools[pool].slots : 0;
        for (uint32_t slot = 0; slot < slots; slot++) {
            struct spawner_socket *s = &p.all[p.n];
            *s = (struct spawner_socket){.pool = pool, .slot = slot};
            if (open_slot(conf, s, user, errors_to) < 0) {
                poolsocks_close(&p, true);
                return -1;
            }
            p.n++;
        }
    }
    *ret_p = p;
    return 0;
}

void poolsocks_close_fds(struct poolsocks *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        close_fd(&p->all[i].listen_fd);
        close_fd(&p->all[i].usage_fd);
    }
}

void poolsocks_close(struct poolsocks *p, bool with_files)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < p->n; i++) {
        const struct spawner_socket *s = &p->all[i];
        if (with_files && s->listen_fd >= 0 &&
            spawner_socket_path(path, sizeof path, p->conf->gateway.runtime_dir,
                                &p->conf->pools[s->pool], s->slot))
            unlink(path);
        script_usage_unmap(s->usage);
    }
    poolsocks_close_fds(p);
    free(p->all);
    *p = (struct poolsocks){0};
}
