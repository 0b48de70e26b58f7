/*
 * gateway/routes.h - the routes of a site in the order in which they are tried, and what their
 * patterns say about a path.
 *
 * Order    "= /exact" first; then the longest literal prefix; at equal length one with a suffix
 *          ("/x/" and "*.php") before the one without, the longer suffix before the shorter;
 *          then as in the file
 * Borders  "/x/" means /x and all below /x/, never /xy.  A run of slashes in the path counts as
 *          one: //x/y must not slip past a route that guards /x/
 * Threads  routes_init, _fini: init.  The rest: any; the tables are constant.  regexec() takes
 *          a lock of its own
 * Memory   borrows from conf, which must outlive it
 */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include <regex.h>

#include "../conf/conf.h"

struct pool;
struct rewrite;

/* A route with all that is inherited from its site and its pool. */
struct route_entry {
    const struct conf_route *route;
    struct pool *pool;               /* NULL: files or redirect */
    const struct conf_pool *backend; /* NULL as pool */
    struct pool *authorizer;         /* asked before; NULL: nobody is */
    struct pool *filter;             /* of files; NULL: none */
    struct slice root; /* absolute, NUL-terminated; the route's, else the site's; n = 0: none */
    bool own_root;     /* root maps what is below the prefix, not the whole path */
    struct slice script;    /* absolute; n = 0: none */
    struct slice site_root; /* absolute; n = 0: none */
    const struct slice *index;
    unsigned n_index;
    bool script_check;
    enum conf_links links;
    const struct slice *unsent; /* ends of names that are no files (unsent.h) */
    unsigned n_unsent;
    bool hidden;             /* names that begin with a dot are found */
    uint64_t body_limit;     /* 0: none */
    struct rewrite *rewrite; /* NULL: no rules */
    struct route_entry
        *files; /* to a pool, with try: the same as a route to files, which is what
                                  root is for then; NULL: no try */
    bool has_auth_match;
    regex_t auth_match;
};

struct routes {
    const struct conf_site *site;
    struct rewrite *rewrite;     /* before any of them; NULL: no rules */
    struct route_entry *entries; /* best first */
    unsigned n_entries;
    struct arena arena; /* absolute names */
};

/* pools[i] belongs to conf->pools[i].  0, or a negative gw_err after a line on errors_to. */
int routes_init(struct routes *t, const struct conf *conf, const struct conf_site *site,
                struct pool *const *pools, FILE *errors_to);
void routes_fini(struct routes *t);

/* The route's links, or the site's. */
static inline enum conf_links route_links(const struct conf_route *route,
                                          const struct conf_site *site)
{
    return route->links >= 0 ? (enum conf_links)route->links : site->links;
}

/* What a pattern makes of a path.  path[0..below) is the pattern without its last slash,
 * path[below..] starts with a slash or is empty. */
struct route_hit {
    const struct route_entry *entry;
    size_t below;
    size_t script_end; /* with a suffix: end of the first component that ends so; else below */
};

/* The next best route for the settled path, from *at on (0 at first).  By name only: no file is
 * looked at. */
bool routes_next(const struct routes *t, struct slice path, unsigned *at,
                 struct route_hit *ret_hit);

/* From *end on, the end of the next component of path that ends in the entry's suffix. */
bool route_suffix_next(const struct route_entry *e, struct slice path, size_t *end);

/*
 * Must credentials be shown for path?query: auth = basic, and auth_match, if there is one,
 * matches.  The expression sees the settled path with runs of slashes as one, and the query
 * both as sent and decoded, so that no spelling dodges it.  Where it cannot be evaluated (out
 * of memory), it counts as matching.
 */
bool route_needs_auth(const struct route_entry *e, struct arena *a, struct slice path,
                      bool has_query, struct slice query);

#endif
