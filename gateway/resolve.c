#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "path.h"
#include "unsent.h"

/* ---- what is at a name ---- */

enum there {
    THERE_FILE,
    THERE_FOLDER,
    THERE_OTHER, /* socket, device ... */
    THERE_NOTHING,
    THERE_HIDDEN,  /* we may not look */
    THERE_OUTSIDE, /* a link that leads out of the root */
    THERE_ERROR,
};

static enum there there_of_errno(int err)
{
    switch (err) {
    case ENOENT:
        return THERE_NOTHING;
    case EACCES:
        return THERE_HIDDEN;
    case EPERM:
        return THERE_OUTSIDE;
    default:
        return THERE_ERROR;
    }
}

static enum there there_of_mode(mode_t mode)
{
    if (S_ISREG(mode))
        return THERE_FILE;
    return S_ISDIR(mode) ? THERE_FOLDER : THERE_OTHER;
}

/* What rel is below e's root; *ret_mode is set for what exists. */
static enum there look(const struct route_entry *e, struct slice rel, mode_t *ret_mode)
{
    struct stat st;
    int fd = beneath_open(e->root.p, rel, O_PATH, e->links);

    if (fd < 0)
        return there_of_errno(errno);
    int rc = fstat(fd, &st);
    close(fd);
    if (rc < 0)
        return THERE_ERROR;
    *ret_mode = st.st_mode;
    return there_of_mode(st.st_mode);
}

static int err_of_there(enum there t)
{
    switch (t) {
    case THERE_NOTHING:
        return GW_ENOT_FOUND;
    case THERE_ERROR:
        return GW_EFILE;
    case THERE_OUTSIDE:
        return GW_ELINK;
    case THERE_HIDDEN:
        return GW_EUNREADABLE;
    case THERE_FILE:
    case THERE_FOLDER:
    case THERE_OTHER:
        break;
    }
    return GW_EFORBIDDEN;
}

/* Does a name in rel begin with a dot?  .git, .env and .htpasswd are nobody's business, but
 * .well-known is made to be asked for (RFC 8615). */
static bool is_hidden(const struct route_entry *e, struct slice rel)
{
    struct slice name;
    size_t at = 0;

    while (!e->hidden && path_next(rel, &at, &name)) {
        if (name.p[0] == '.' && !slice_eq(name, SLICE(".well-known")))
            return true;
    }
    return false;
}

/* ---- parts of the path ---- */

/* A route's own root maps what is below its prefix (for "= /a/b": what is below /a), the site's
 * the whole path. */
static size_t mapped_from(const struct route_hit *hit, struct slice path)
{
    const struct route_entry *e = hit->entry;
    size_t from = hit->below;

    if (!e->own_root)
        return 0;
    if (e->route->exact) {
        while (from && path.p[from - 1] != '/')
            from--;
    }
    return from;
}

static struct slice part(struct slice path, size_t from, size_t to)
{
    return slice_of(path.p + from, to - from);
}

/* Cut the path at end and fill in the rest of m.  file may be empty. */
static int cut(struct arena *a, const struct route_entry *e, struct route_match *m, size_t end,
               struct slice file)
{
    m->script_name = part(m->path, 0, end);
    m->path_info = slice_from(m->path, end);
    m->document_root = e->root;
    m->file = file;
    if (m->path_info.n && e->site_root.n) {
        m->path_translated = path_join(a, e->site_root, m->path_info);
        if (!m->path_translated.p)
            return GW_ENO_MEMORY;
    }
    return file.p ? RESOLVED : GW_ENO_MEMORY;
}

/* The script is the file that path[from..end) names below the root. */
static int cut_script(struct arena *a, const struct route_entry *e, struct route_match *m,
                      size_t from, size_t end)
{
    struct slice file = slice_of("", 0);

    if (e->root.n)
        file = path_join(a, e->root, part(m->path, from, end));
    return cut(a, e, m, end, file);
}

/* A program of a CGI pool must be executable, by whomever: it runs as another user than we do.
 * What a FastCGI application makes of its files is its own business. */
static bool may_run(const struct route_entry *e, mode_t mode)
{
    return !e->backend || !e->backend->cgi || (mode & 0111) != 0;
}

/* ---- folders ---- */

static bool ends_in_slash(struct slice path)
{
    return path.n && path.p[path.n - 1] == '/';
}

/* A route of files will answer with it next, so it is opened; a pool's may be for the pool's user
 * alone.  What must not be sent counts as there: once it is routed the log says so of it. */
static bool has_index(struct file_cache *files, const struct route_entry *e, struct slice rel)
{
    mode_t mode;

    if (!e->backend && files) {
        struct open_file *f = file_cache_open(files, e->root.p, rel, e->links);
        bool is_file = f && S_ISREG(f->st.st_mode);
        open_file_unref(f);
        if (f || errno == ENOENT)
            return is_file;
    }
    enum there t = look(e, rel, &mode);
    return t == THERE_FILE || t == THERE_OUTSIDE || (t == THERE_HIDDEN && !e->backend);
}

/* The path is a folder of e's root: which of the index files is there?  Where we must not look,
 * the first one has to be it, if the route itself names one. */
static int folder(struct arena *a, struct file_cache *files, const struct route_entry *e,
                  struct slice path, size_t from, struct slice *ret_index)
{

    for (unsigned i = 0; i < e->n_index; i++) {
        const char *slash = ends_in_slash(path) ? "" : "/";
        struct slice p =
            arena_printf(a, "%.*s%s%.*s", SLICE_FMT(path), slash, SLICE_FMT(e->index[i]));
        if (!p.p)
            return GW_ENO_MEMORY;
        bool there = e->script_check ? has_index(files, e, slice_from(p, from))
                                     : e->route->index != NULL;
        if (there) {
            *ret_index = p;
            return RESOLVE_INDEX;
        }
    }
    return e->script_check ? GW_EFORBIDDEN : GW_ENOT_FOUND;
}

/* ---- pools ---- */

static int resolve_program(struct arena *a, const struct route_hit *hit, struct route_match *m)
{
    const struct route_entry *e = hit->entry;
    struct stat st;

    /* The administrator named it, so links in its name lead where he wants them to. */
    if (e->script_check) {
        if (stat(e->script.p, &st) == 0) {
            if (!S_ISREG(st.st_mode))
                return GW_EFORBIDDEN;
            if (!may_run(e, st.st_mode))
                return GW_ENOT_EXECUTABLE;
        } else if (errno != EACCES) {
            return errno == ENOENT || errno == ENOTDIR ? GW_ENOT_FOUND : GW_EFILE;
        }
    }
    return cut(a, e, m, hit->script_end, e->script);
}

static int resolve_suffix(struct arena *a, const struct route_hit *hit, struct route_match *m)
{
    const struct route_entry *e = hit->entry;
    size_t from = mapped_from(hit, m->path), end = hit->script_end;
    enum there last = THERE_FOLDER;
    mode_t mode = 0;

    if (is_hidden(e, part(m->path, from, end)))
        return GW_ENOT_FOUND;
    if (!e->script_check || !e->root.n)
        return cut_script(a, e, m, from, end);
    do {
        if (is_hidden(e, part(m->path, from, end)))
            return GW_ENOT_FOUND;
        last = look(e, part(m->path, from, end), &mode);
        if (last == THERE_HIDDEN)
            return cut_script(a, e, m, from, end);
        if (last == THERE_FILE)
            return may_run(e, mode) ? cut_script(a, e, m, from, end) : GW_ENOT_EXECUTABLE;
        /* Below what is not there is nothing either: no second program may be found behind a
         * missing one. */
        if (last != THERE_FOLDER)
            return err_of_there(last);
    } while (route_suffix_next(e, m->path, &end));
    return RESOLVE_NEXT; /* only folders are called so */
}

/* The first component below the pattern that is a file is the script. */
static int resolve_folder(struct arena *a, const struct route_hit *hit, struct route_match *m,
                          struct slice *ret_index)
{
    const struct route_entry *e = hit->entry;
    size_t from = mapped_from(hit, m->path), end = from;
    struct slice component;
    mode_t mode = 0;

    while (path_next(m->path, &end, &component)) {
        enum there t = THERE_HIDDEN;
        if (is_hidden(e, component))
            return GW_ENOT_FOUND;
        if (e->script_check)
            t = look(e, part(m->path, from, end), &mode);
        if (t == THERE_HIDDEN)
            return cut_script(a, e, m, from, end);
        if (t == THERE_FILE)
            return may_run(e, mode) ? cut_script(a, e, m, from, end) : GW_ENOT_EXECUTABLE;
        if (t != THERE_FOLDER)
            return err_of_there(t);
    }
    if (e->script_check && !ends_in_slash(m->path) && m->path.n > hit->below)
        return RESOLVE_SLASH;
    return folder(a, NULL, e, m->path, from, ret_index);
}

/* ---- files ---- */

static int resolve_file(struct arena *a, struct file_cache *files, const struct route_hit *hit,
                        struct route_match *m, struct slice *ret_index)
{
    const struct route_entry *e = hit->entry;
    size_t from = mapped_from(hit, m->path);
    struct slice rel = slice_from(m->path, from);

    if (!e->root.n || is_hidden(e, rel))
        return GW_ENOT_FOUND;
    struct open_file *f = file_cache_open(files, e->root.p, rel, e->links);
    if (!f)
        return errno == ENXIO ? GW_EFORBIDDEN : err_of_there(there_of_errno(errno));
    enum there t = there_of_mode(f->st.st_mode);
    if (t != THERE_FILE) {
        open_file_unref(f);
        if (t != THERE_FOLDER)
            return err_of_there(t);
        if (!ends_in_slash(m->path))
            return RESOLVE_SLASH;
        int found = folder(a, files, e, m->path, from, ret_index);
        if (found != GW_EFORBIDDEN || !e->route->listing)
            return found;
        *ret_index = rel;
        return RESOLVE_LISTING;
    }
    if (unsent_is(e->unsent, e->n_unsent, rel)) {
        open_file_unref(f);
        return GW_ESOURCE;
    }
    int rc = cut_script(a, e, m, from, m->path.n);
    if (rc < 0)
        open_file_unref(f);
    else
        m->open = f;
    return rc;
}

bool resolve_is_shown(struct arena *a, struct file_cache *files, const struct route_hit *hit,
                      const struct route_match *m)
{
    struct slice index;

    return hit->entry->route->listing ||
           folder(a, files, hit->entry, m->path, mapped_from(hit, m->path), &index) ==
               RESOLVE_INDEX;
}

int resolve(struct arena *a, struct file_cache *files, const struct route_hit *hit,
            struct route_match *m, struct slice *ret_index)
{
    const struct route_entry *e = hit->entry;

    if (!e->backend)
        return resolve_file(a, files, hit, m, ret_index);
    if (e->script.n)
        return resolve_program(a, hit, m);
    if (e->route->suffix.n)
        return resolve_suffix(a, hit, m);
    if (e->own_root && !e->files)
        return resolve_folder(a, hit, m, ret_index);
    return cut(a, e, m, hit->below, slice_of("", 0));
}
