#include "routes.h"

#include <stdlib.h>
#include <unistd.h>

#include "err.h"
#include "path.h"
#include "rewrite.h"
#include "unsent.h"

/* ---- making the table ---- */

static int compare_size(size_t a, size_t b)
{
    return (a < b) - (a > b); /* longer first */
}

static int entry_order(const void *pa, const void *pb)
{
    const struct conf_route *a = ((const struct route_entry *)pa)->route;
    const struct conf_route *b = ((const struct route_entry *)pb)->route;

    if (a->exact != b->exact)
        return a->exact ? -1 : 1;
    int c = compare_size(a->prefix.n, b->prefix.n);
    if (c == 0)
        c = compare_size(a->suffix.n, b->suffix.n);
    if (c == 0)
        c = a < b ? -1 : a > b; /* one array, in the order of the file */
    return c;
}

/* DOCUMENT_ROOT and SCRIPT_FILENAME are absolute for applications, whose working directory is
 * another one; n = 0 for NULL, p NULL when memory is out. */
static struct slice absolute(struct arena *a, const char *name)
{
    char cwd[4096];

    if (!name || !*name)
        return slice_of("", 0);
    struct slice s = slice_str(name);
    while (slice_starts(s, SLICE("./")))
        s = slice_from(s, 2);
    if (!slice_starts(s, SLICE("/"))) {
        if (!getcwd(cwd, sizeof(cwd)))
            return slice_of(NULL, 0);
        s = path_join(a, slice_str(cwd), slice_eq(s, SLICE(".")) ? slice_of("", 0) : s);
    }
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    return s.p ? arena_dup(a, s) : s;
}

static bool pool_is_tcp(const struct conf_pool *p)
{
    for (unsigned i = 0; i < p->n_connect; i++) {
        if (!slice_starts(slice_str(p->connect[i].text), SLICE("unix:")))
            return true;
    }
    return false;
}

/* A TCP server may be another machine with other files. */
static bool script_check(const struct route_entry *e)
{
    if (e->route->script_check != CONF_UNSET)
        return e->route->script_check == CONF_ON;
    return !e->backend || !pool_is_tcp(e->backend);
}

static int entry_regex(struct route_entry *e, FILE *errors_to)
{
    const struct conf_route *r = e->route;
    char text[256];

    if (r->auth.basic <= 0 || !r->auth_match)
        return 0;
    int rc = regcomp(&e->auth_match, r->auth_match, REG_EXTENDED | REG_NOSUB);
    if (rc != 0) {
        regerror(rc, &e->auth_match, text, sizeof(text));
        fprintf(errors_to, "%s:%u: auth_match: %s\n", r->file ? r->file : "?", r->line, text);
        return GW_EINTERNAL;
    }
    e->has_auth_match = true;
    return 0;
}

static struct pool *pool_of(const struct conf *conf, struct pool *const *pools,
                            const struct conf_pool *p)
{
    return p && pools ? pools[p - conf->pools] : NULL;
}

static int rules_init(struct rewrite **ret, const struct conf_rewrite *rules, unsigned n)
{
    *ret = n ? rewrite_new(rules, n) : NULL;
    return n && !*ret ? GW_ENO_MEMORY : 0;
}

/* What is no file for it; and the files that the try of a route to a pool looks for. */
static int entry_files(struct routes *t, struct route_entry *e)
{
    if (e->backend && !e->route->tries.n)
        return 0;
    if (unsent_list(&t->arena, t->site, e->route, &e->unsent, &e->n_unsent) < 0)
        return GW_ENO_MEMORY;
    if (!e->backend)
        return 0;
    e->files = arena_zalloc(&t->arena, sizeof(*e->files));
    if (!e->files)
        return GW_ENO_MEMORY;
    *e->files = *e;
    e->files->backend = NULL;
    e->files->pool = NULL;
    e->files->files = NULL;
    e->files->script = slice_of("", 0);
    e->files->script_check = true;
    return 0;
}

static int entry_init(struct routes *t, struct route_entry *e, const struct conf *conf,
                      const struct conf_route *r, struct pool *const *pools)
{
    const struct conf_site *site = t->site;
    int64_t limit = r->body_limit >= 0 ? r->body_limit : site->body_limit;

    e->route = r;
    if (r->pool >= 0 && (unsigned)r->pool < conf->n_pools) {
        e->backend = &conf->pools[r->pool];
        e->pool = pools ? pools[r->pool] : NULL;
    }
    e->authorizer = pool_of(conf, pools, r->authorizer);
    e->filter = pool_of(conf, pools, r->filter);
    e->own_root = r->root != NULL;
    e->root = absolute(&t->arena, r->root ? r->root : site->root);
    e->site_root = absolute(&t->arena, site->root);
    e->script = absolute(&t->arena, r->script);
    if (!e->root.p || !e->site_root.p || !e->script.p)
        return GW_ENO_MEMORY;
    e->index = r->index ? r->index : site->index;
    e->n_index = r->index ? r->n_index : site->n_index;
    e->script_check = script_check(e);
    e->links = route_links(r, site);
    e->hidden = r->hidden >= 0 ? r->hidden : site->hidden;
    e->body_limit = limit > 0 ? (uint64_t)limit : 0;
    if (entry_files(t, e) < 0)
        return GW_ENO_MEMORY;
    return rules_init(&e->rewrite, r->rewrite, r->n_rewrite);
}

int routes_init(struct routes *t, const struct conf *conf, const struct conf_site *site,
                struct pool *const *pools, FILE *errors_to)
{
    int rc = 0;

    *t = (struct routes){.site = site};
    arena_init(&t->arena);
    t->entries = calloc(site->n_routes ? site->n_routes : 1, sizeof(*t->entries));
    if (!t->entries)
        rc = GW_ENO_MEMORY;
    if (rc == 0)
        rc = rules_init(&t->rewrite, site->rewrite, site->n_rewrite);
    for (unsigned i = 0; rc == 0 && i < site->n_routes; i++) {
        struct route_entry *e = &t->entries[t->n_entries++];
        rc = entry_init(t, e, conf, &site->routes[i], pools);
        if (rc < 0)
            fprintf(errors_to, "site %s: %s\n", site->name, gw_err_text(rc));
    }
    if (rc == 0 && t->n_entries)
        qsort(t->entries, t->n_entries, sizeof(*t->entries), entry_order);
    for (unsigned i = 0; rc == 0 && i < t->n_entries; i++)
        rc = entry_regex(&t->entries[i], errors_to); /* a regex_t stays where it was made */
    if (rc < 0)
        routes_fini(t);
    return rc;
}

void routes_fini(struct routes *t)
{
    for (unsigned i = 0; t->entries && i < t->n_entries; i++) {
        if (t->entries[i].has_auth_match)
            regfree(&t->entries[i].auth_match);
        rewrite_free(t->entries[i].rewrite);
    }
    free(t->entries);
    rewrite_free(t->rewrite);
    arena_fini(&t->arena);
    *t = (struct routes){0};
}

/* ---- matching ---- */

/* Behind the run of slashes that starts at path[i], but for its last one. */
static size_t last_of_run(struct slice path, size_t i)
{
    while (i + 1 < path.n && path.p[i + 1] == '/')
        i++;
    return i;
}

/*
 * Does path lie at or below prefix, which ends in a slash?  *ret_below is where the prefix ends
 * in path, before the slash:  "/x/" | "//x//y" -> 3.
 */
static bool prefix_match(struct slice prefix, struct slice path, size_t *ret_below)
{
    size_t i = 0;

    for (size_t k = 0; k < prefix.n; k++, i++) {
        bool last = k + 1 == prefix.n;
        if (i == path.n) { /* "/x" */
            *ret_below = i;
            return last;
        }
        if (path.p[i] != prefix.p[k])
            return false;
        if (last) {
            *ret_below = i;
            return true;
        }
        if (prefix.p[k] == '/')
            i = last_of_run(path, i);
    }
    return false;
}

static bool exact_match(struct slice exact, struct slice path, size_t *ret_below)
{
    size_t i = 0;

    for (size_t k = 0; k < exact.n; k++, i++) {
        if (i == path.n || path.p[i] != exact.p[k])
            return false;
        if (exact.p[k] == '/')
            i = last_of_run(path, i);
    }
    if (i != path.n)
        return false;
    /* the pattern without its last slash */
    while (i && path.p[i - 1] == '/')
        i--;
    *ret_below = i;
    return true;
}

bool route_suffix_next(const struct route_entry *e, struct slice path, size_t *end)
{
    struct slice component;

    while (path_next(path, end, &component)) {
        if (slice_ends(component, e->route->suffix))
            return true;
    }
    return false;
}

static bool entry_match(const struct route_entry *e, struct slice path, struct route_hit *ret)
{
    const struct conf_route *r = e->route;
    size_t below = 0, end; /* set where it matches: what GCC does not see with TSan */

    if (r->exact ? !exact_match(r->prefix, path, &below)
                 : !prefix_match(r->prefix, path, &below))
        return false;
    end = below;
    if (r->suffix.n && !route_suffix_next(e, path, &end))
        return false;
    *ret = (struct route_hit){e, below, end};
    return true;
}

bool routes_next(const struct routes *t, struct slice path, unsigned *at,
                 struct route_hit *ret_hit)
{
    while (*at < t->n_entries) {
        if (entry_match(&t->entries[(*at)++], path, ret_hit))
            return true;
    }
    return false;
}

/* ---- who must show credentials ---- */

static bool matches(const struct route_entry *e, struct arena *a, struct slice path,
                    struct slice query, bool has_query)
{
    struct slice text =
        arena_printf(a, "%.*s%s%.*s", SLICE_FMT(path), has_query ? "?" : "", SLICE_FMT(query));

    /* Anything but "does not match" is a match: REG_ESPACE must open nothing. */
    return !text.p || regexec(&e->auth_match, text.p, 0, NULL, 0) != REG_NOMATCH;
}

bool route_needs_auth(const struct route_entry *e, struct arena *a, struct slice path,
                      bool has_query, struct slice query)
{
    if (e->route->auth.basic <= 0)
        return false;
    if (!e->has_auth_match)
        return true;
    struct slice merged = path_merge_slashes(a, path);
    if (!merged.p)
        return true;
    if (matches(e, a, merged, query, has_query))
        return true;
    if (!query.n || (slice_find(query, '%') < 0 && slice_find(query, '+') < 0))
        return false;
    struct slice decoded = path_decode_query(a, query);
    return !decoded.p || matches(e, a, merged, decoded, true);
}
