#include "hosts.h"

#include <stdlib.h>

#include "err.h"

/* FNV-1a.  The keys in the table are the administrator's, so nobody can make them collide. */
static size_t host_hash(struct slice name)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

/* The slot of name, or the free one where it would go. */
static struct host_slot *host_slot(const struct hosts *h, struct slice name)
{
    size_t i = host_hash(name) & h->mask;

    while (h->slots[i].name.n && !slice_eq(h->slots[i].name, name))
        i = (i + 1) & h->mask;
    return &h->slots[i];
}

static void hosts_put(struct hosts *h, struct slice name, const struct conf_site *site)
{
    if (slice_eq(name, SLICE("*")) || name.n == 0)
        return; /* the default site's */
    if (slice_starts(name, SLICE("*.")))
        name = slice_from(name, 1);
    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    struct host_slot *slot = host_slot(h, name);
    if (!slot->name.n)
        *slot = (struct host_slot){name, site};
}

int hosts_init(struct hosts *h, const struct conf *conf)
{
    size_t n = 0, n_slots = 16;

    *h = (struct hosts){0};
    for (unsigned i = 0; i < conf->n_sites; i++)
        n += conf->sites[i].n_hosts;
    while (n_slots < n * 2)
        n_slots *= 2;
    h->slots = calloc(n_slots, sizeof(*h->slots));
    if (!h->slots)
        return GW_ENO_MEMORY;
    h->mask = n_slots - 1;
    for (unsigned i = 0; i < conf->n_sites; i++) {
        for (unsigned k = 0; k < conf->sites[i].n_hosts; k++)
            hosts_put(h, conf->sites[i].hosts[k], &conf->sites[i]);
    }
    if (conf->default_site >= 0 && (unsigned)conf->default_site < conf->n_sites)
        h->default_site = &conf->sites[conf->default_site];
    return 0;
}

void hosts_fini(struct hosts *h)
{
    free(h->slots);
    *h = (struct hosts){0};
}

struct slice hosts_first(const struct conf_site *site)
{
    for (unsigned i = 0; i < site->n_hosts; i++) {
        if (slice_find(site->hosts[i], '*') < 0)
            return site->hosts[i];
    }
    return slice_of("", 0);
}

struct slice host_of_authority(struct slice authority)
{
    bool literal = slice_starts(authority, SLICE("[")); /* RFC 3986 3.2.2 */
    ssize_t end = slice_find(authority, literal ? ']' : ':');

    return end < 0 ? authority : slice_of(authority.p, (size_t)end + literal);
}

const struct conf_site *hosts_find(const struct hosts *h, struct slice authority)
{
    char lower[HOST_MAX];
    struct slice host = host_of_authority(authority);

    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n > sizeof(lower))
        return h->default_site;
    host = slice_lower(lower, host);

    const struct host_slot *slot = host_slot(h, host);
    /* From the second label on, each time with the dot before it: the longest wildcard first. A
     * name of the client's that starts with a dot must not pass for a wildcard. */
    if (lower[0] == '.')
        return h->default_site;
    for (size_t i = 1; !slot->name.n && i < host.n; i++) {
        if (lower[i] == '.')
            slot = host_slot(h, slice_of(lower + i, host.n - i));
    }
    return slot->name.n ? slot->site : h->default_site;
}
