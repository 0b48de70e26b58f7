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
        bool binds = !conf->pools[pool].listen_self;
        for (uint32_t slot = 0; slot < slots; slot++) {
            int fd = binds ? open_one(conf, pool, slot, user, errors_to) : -1;
            if (binds && fd < 0) {
                poolsocks_close(&p, true);
                return -1;
            }
            p.all[p.n++] = (struct spawner_socket){pool, slot, fd};
        }
    }
    *ret_p = p;
    return 0;
}

void poolsocks_close(struct poolsocks *p, bool with_files)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < p->n; i++) {
        const struct spawner_socket *s = &p->all[i];
        if (s->listen_fd < 0)
            continue;
        close(s->listen_fd);
        if (with_files && spawner_socket_path(path, sizeof path, p->conf->gateway.runtime_dir,
                                              &p->conf->pools[s->pool], s->slot))
            unlink(path);
    }
    free(p->all);
    *p = (struct poolsocks){0};
}
