/*
 * gateway/hosts.h - which site a host name means: a hash table over the names of all sites.
 *
 * Order    the exact name; else the longest wildcard ("*.example.org" means a.example.org and
 *          a.b.example.org, not example.org); else the default site
 * Cost     one look-up per label of the name, whatever the number of sites
 * Threads  hosts_init, _fini: init.  The rest: any; the table is constant
 * Memory   names are borrowed from conf, which must outlive the table
 */
#ifndef GATEWAY_HOSTS_H
#define GATEWAY_HOSTS_H

#include "../conf/conf.h"

/* Longer names than DNS knows (RFC 1035 2.3.4) mean the default site. */
enum { HOST_MAX = 255 };

struct host_slot {
    struct slice
        name; /* empty: the slot is free.  Wildcards without their star: ".example.org" */
    const struct conf_site *site;
};

struct hosts {
    struct host_slot *slots;
    size_t mask; /* number of slots - 1, a power of two */
    const struct conf_site *default_site;
};

/* 0 or GW_ENO_MEMORY.  Of two sites with the same name the first one has it. */
int hosts_init(struct hosts *h, const struct conf *conf);
void hosts_fini(struct hosts *h);

/* The site for Host or :authority as sent: port, case and a trailing dot are ignored.  Never
 * NULL unless there is no site at all. */
const struct conf_site *hosts_find(const struct hosts *h, struct slice authority);

/* The first name of the site that is one, without a star; empty if it has none. */
struct slice hosts_first(const struct conf_site *site);

/* authority without its port; "[::1]:80" gives "[::1]". */
struct slice host_of_authority(struct slice authority);

#endif
