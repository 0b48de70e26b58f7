#include "processes.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/* What wakes us for one pool. */
struct watched {
    struct loop_msg poke;
    struct timer timer;
    struct processes *ps;
    struct pool *pool;
    unsigned index;
};

struct processes {
    struct loop *loop;
    const struct gateway_setup *setup;
    struct loop_source spawner;
    bool full; /* EPOLLOUT is asked for: orders wait */
    unsigned n;
    struct watched pools[];
};

/* ---- orders ---- */

static void want_writable(struct processes *ps, bool wanted)
{
    if (ps->full == wanted)
        return;
    ps->full = wanted;
    loop_mod(ps->loop, &ps->spawner, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static bool send_order(void *user, unsigned slot, enum spawner_verb verb)
{
    const struct watched *w = user;
    struct processes *ps = w->ps;
    struct spawner_msg m = {
        .verb = verb, .generation = ps->setup->generation, .pool = w->index, .slot = slot};

    if (ps->spawner.fd < 0)
        return false; /* a new one is told what is wanted */
    if (send(ps->spawner.fd, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(m))
        return true;
    if (errno == EAGAIN || errno == ENOBUFS)
        want_writable(ps, true);
    else if (errno != EPIPE && errno != ECONNRESET) /* its end is read as such */
        log_line(CONF_LOG_ERROR, "pool=%s spawner does not listen: %s",
                 pool_conf(w->pool)->name, strerror(errno));
    return false;
}

static void decide(struct watched *w)
{
    uint64_t next = pool_processes_step(w->pool, send_order, w), now = clock_now_ms();

    if (next == UINT64_MAX)
        timer_clear(&w->timer);
    else
        timer_set(w->ps->loop, &w->timer, next > now ? next - now : 1);
}

static void poked(struct loop *l, struct loop_msg *msg)
{
    struct watched *w =
        (struct watched *)(void *)((char *)msg - offsetof(struct watched, poke));

    (void)l;
    pool_processes_poked(w->pool);
    decide(w);
}

static void is_time(struct loop *l, struct timer *t)
{
    (void)l;
    decide((struct watched *)(void *)((char *)t - offsetof(struct watched, timer)));
}

/* ---- news ---- */

static void take_news(struct processes *ps)
{
    struct spawner_msg m;

    for (;;) {
        ssize_t n = recv(ps->spawner.fd, &m, sizeof(m), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* a new spawner gets a new end from the master */
            loop_del(ps->loop, &ps->spawner);
            close(ps->spawner.fd);
            ps->spawner.fd = -1;
            return;
        }
        if (n != sizeof(m) || m.generation != ps->setup->generation || m.pool >= ps->n)
            continue;
        pool_process(ps->pools[m.pool].pool, &m);
        decide(&ps->pools[m.pool]);
    }
}

static void spawner_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct processes *ps =
        (struct processes *)(void *)((char *)src - offsetof(struct processes, spawner));

    (void)l;
    if (events & EPOLLOUT) {
        want_writable(ps, false);
        for (unsigned i = 0; i < ps->n; i++)
            decide(&ps->pools[i]);
    }
    if (events & ~(uint32_t)EPOLLOUT)
        take_news(ps);
}

/* ---- life ---- */

struct processes *processes_new(struct loop *loop, const struct gateway_setup *setup,
                                struct pool **pools)
{
    unsigned n = setup->conf->n_pools;
    struct processes *ps = calloc(1, sizeof(*ps) + n * sizeof(ps->pools[0]));

    if (!ps)
        return NULL;
    ps->loop = loop;
    ps->setup = setup;
    ps->spawner = (struct loop_source){-1, spawner_event};
    ps->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct watched *w = &ps->pools[i];
        w->poke.fn = poked;
        w->timer.fn = is_time;
        w->ps = ps;
        w->pool = pools[i];
        w->index = i;
        pool_processes_watch(w->pool, loop, &w->poke);
    }
    for (unsigned i = 0; i < setup->n_slots; i++) {
        const struct spawner_socket *s = &setup->slots[i];
        pool_use_usage(pools[s->pool], s->slot, s->usage);
    }
    return ps;
}

int processes_use_spawner(struct processes *ps, int fd, bool again)
{
    if (ps->spawner.fd >= 0) {
        loop_del(ps->loop, &ps->spawner);
        close(ps->spawner.fd);
    }
    ps->full = false;
    ps->spawner.fd = fd;
    if (fd >= 0 && loop_add(ps->loop, &ps->spawner, EPOLLIN) < 0)
        return -1;
    for (unsigned i = 0; i < ps->n; i++) {
        if (again)
            pool_processes_reset(ps->pools[i].pool);
        decide(&ps->pools[i]);
    }
    return 0;
}

void processes_free(struct processes *ps)
{
    if (!ps)
        return;
    for (unsigned i = 0; i < ps->n; i++)
        pool_processes_watch(ps->pools[i].pool, NULL, NULL);
    if (ps->spawner.fd >= 0)
        close(ps->spawner.fd);
    free(ps);
}
