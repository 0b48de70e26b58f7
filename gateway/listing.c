#include "listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accept.h"
#include "beneath.h"
#include "conn.h"
#include "listing_page.h"
#include "worker.h"
#include "writer.h"

enum { PIECE = 16 * 1024 };

/* The job has all of it until it is done, then the worker. */
struct listing {
    struct job job;
    struct stream *s; /* the worker's; NULL: nobody waits any more */
    bool reading;     /* a job is under way */
    char *root;       /* copies: the stream may go while the job runs */
    char *rel;
    enum conf_links links;
    bool hidden;
    struct listing_page page;
    enum listing_form form;
    struct listing_entry *entries;
    size_t n, cap;
    bool is_welcome;
    struct listing_welcome welcome;
    int err;   /* errno of the folder; 0 */
    size_t at; /* entries sent */
    bool begun;
    struct buf out;
};

static void listing_free(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->entries[i].name);
    for (size_t i = 0; i < l->welcome.n_scripts; i++)
        free(l->welcome.scripts[i]);
    free(l->welcome.scripts);
    free(l->entries);
    free(l->root);
    free(l->rel);
    buf_fini(&l->out);
    free(l);
}

/* ---- the job: on a writer thread ---- */

/* What is at the end of a link, if that may be seen. */
static bool look_behind(const struct listing *l, const char *name, struct stat *ret_st)
{
    struct buf rel = {0};
    bool ok = false;

    if (buf_printf(&rel, "%s/%s", l->rel, name) == 0) {
        int fd = beneath_open(l->root, buf_slice(&rel), O_PATH, l->links);
        ok = fd >= 0 && fstat(fd, ret_st) == 0;
        if (fd >= 0)
            close(fd);
    }
    buf_fini(&rel);
    return ok;
}

/* Is it shown, and as what?  Neither what is hidden nor what could not be fetched. */
static bool look_at(const struct listing *l, int fd, const char *name, struct stat *ret_st)
{
    if (name[0] == '.' && (!l->hidden || !name[1] || (name[1] == '.' && !name[2])))
        return false;
    if (fstatat(fd, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISLNK(ret_st->st_mode) && !look_behind(l, name, ret_st))
        return false;
    return S_ISREG(ret_st->st_mode) || S_ISDIR(ret_st->st_mode);
}

/* 0, or the errno. */
static int add(struct listing *l, const char *name, const struct stat *st)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct listing_entry *more = realloc(l->entries, cap * sizeof(*more));
        if (!more)
            return ENOMEM;
        l->entries = more;
        l->cap = cap;
    }
    struct listing_entry e = {.name = strdup(name),
                              .size = (int64_t)st->st_size,
                              .mtime = (int64_t)st->st_mtim.tv_sec,
                              .is_folder = S_ISDIR(st->st_mode)};
    if (!e.name)
        return ENOMEM;
    l->entries[l->n++] = e;
    return 0;
}

static int open_folder(const struct listing *l, const char *rel, DIR **ret_dir)
{
    int fd = beneath_open(l->root, slice_str(rel), O_RDONLY | O_DIRECTORY, l->links);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return err;
    }
    *ret_dir = dir;
    return 0;
}

static int read_folder(struct listing *l)
{
    const struct dirent *d;
    struct stat st;
    DIR *dir = NULL;
    int err = open_folder(l, l->rel, &dir);

    if (!dir)
        return err;
    l->page.complete = true;
    while (!err && (errno = 0, d = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): own dir */
        if (!look_at(l, dirfd(dir), d->d_name, &st))
            continue;
        if (l->n == LISTING_MOST) {
            l->page.complete = false;
            break;
        }
        err = add(l, d->d_name, &st);
    }
    if (!err && l->page.complete)
        err = errno;
    closedir(dir);
    return err;
}

/* Some of the programs of cgi-bin, for who looks around; none where it cannot be read. */
static void read_scripts(struct listing *l)
{
    enum { SHOWN = 20 };
    const struct dirent *d;
    struct stat st;
    DIR *dir = NULL;

    l->welcome.scripts = calloc(SHOWN, sizeof(*l->welcome.scripts));
    if (!l->welcome.scripts || open_folder(l, "cgi-bin", &dir) != 0 || !dir)
        return;
    while (l->welcome.n_scripts < SHOWN &&
           (d = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): own dir */
        if (d->d_name[0] == '.' || fstatat(dirfd(dir), d->d_name, &st, 0) < 0 ||
            !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
            continue;
        char *name = strdup(d->d_name);
        if (!name)
            break;
        l->welcome.scripts[l->welcome.n_scripts++] = name;
    }
    closedir(dir);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare(const void *a, const void *b, void *page)
{
    return listing_page_compare(page, a, b);
}

static void listing_run(struct job *job)
{
    struct listing *l = (struct listing *)(void *)job;

    l->err = read_folder(l);
    if (l->n)
        qsort_r(l->entries, l->n, sizeof(*l->entries), compare, &l->page);
    l->page.entries = l->entries;
    l->page.n_entries = l->n;
    if (!l->is_welcome)
        return;
    read_scripts(l);
    if (l->welcome.n_scripts)
        qsort(l->welcome.scripts, l->welcome.n_scripts, sizeof(*l->welcome.scripts),
              compare_names);
}

/* ---- the answer: on the worker ---- */

static void listing_end(struct stream *s)
{
    struct listing *l = s->handler_state;

    s->handler_state = NULL;
    l->s = NULL;
    if (!l->reading)
        listing_free(l);
}

/* One more piece of the page in l->out; *ret_last: it is all. */
static int make_piece(struct listing *l, bool *ret_last)
{
    int rc = l->begun ? 0 : listing_page_begin(&l->out, &l->page, l->form);

    l->begun = true;
    while (rc == 0 && l->at < l->n && buf_len(&l->out) < PIECE)
        rc = listing_page_entry(&l->out, &l->page, l->form, l->at++);
    *ret_last = l->at == l->n;
    if (rc == 0 && *ret_last)
        rc = listing_page_end(&l->out, &l->page, l->form);
    return rc;
}

static void listing_pump(struct stream *s)
{
    struct listing *l = s->handler_state;
    ssize_t buffered = 0;
    bool last = false;

    if (l->reading)
        return;
    while (!last && buffered < STREAM_OUT_HIGH) {
        int rc = make_piece(l, &last);
        if (rc < 0) {
            listing_end(s);
            stream_error(s, rc);
            return;
        }
        buffered = stream_send_body(s, buf_at(&l->out), buf_len(&l->out));
        if (buffered < 0)
            return; /* the stream was aborted, and closed() was called */
        buf_clear(&l->out);
    }
    if (last) {
        listing_end(s);
        stream_finish(s);
    }
}

static int err_of_errno(int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
        return GW_ENOT_FOUND;
    case EACCES:
    case EPERM:
        return GW_EFORBIDDEN;
    case ENOMEM:
        return GW_ENO_MEMORY;
    default:
        return GW_EFILE;
    }
}

static void listing_done(struct loop *loop, struct job *job)
{
    struct listing *l = (struct listing *)(void *)job;
    struct stream *s = l->s;

    (void)loop;
    l->reading = false;
    if (!s) {
        listing_free(l);
        return;
    }
    if (l->err) {
        int err = err_of_errno(l->err);
        listing_end(s);
        stream_error(s, err);
        return;
    }
    const struct field fields[] = {
        {SLICE("Content-Type"), listing_page_type(l->form)},
        {SLICE("Vary"), SLICE("Accept")},
    };
    const struct response r = {
        .status = 200, .fields = fields, .n_fields = 2, .content_length = -1};
    if (stream_send_head(s, &r) < 0)
        return; /* likewise */
    if (stream_is_bodiless(s)) {
        listing_end(s);
        stream_finish(s);
    } else {
        listing_pump(s);
    }
}

static void listing_begin(struct stream *s)
{
    struct listing *l = s->handler_state;

    l->reading = true;
    l->job = (struct job){.run = listing_run, .loop = s->loop, .done = listing_done};
    writers_job(worker_of(s)->writers, &l->job);
}

static void listing_writable(struct stream *s)
{
    if (s->handler_state)
        listing_pump(s);
}

static void listing_closed(struct stream *s, int err)
{
    (void)err;
    if (s->handler_state)
        listing_end(s);
}

static const struct handler listing_handler = {
    .name = "listing",
    .start = listing_begin,
    .writable = listing_writable,
    .closed = listing_closed,
};

/* ---- the request ---- */

static enum listing_form form_of(const struct request *req)
{
    static const struct slice offers[] = {
        {"text/html", 9}, {"application/json", 16}, {"text/plain", 10}};
    static const enum listing_form forms[] = {LISTING_HTML, LISTING_JSON, LISTING_TEXT};
    int at = accept_pick(req->fields, req->n_fields, offers, 3);

    return forms[at < 0 ? 0 : at]; /* nobody is refused for what he says he takes: 12.5.1 */
}

/* How the client came, and the address of the port he did not come by. */
static void fill_welcome(struct stream *s, struct listing_welcome *w)
{
    bool tls = s->conn->is_tls;
    const char *other = tls ? s->site->serve_http : s->site->serve_https;

    if (s->req.version == HTTP_2)
        w->protocol = tls ? SLICE("HTTP/2 over TLS") : SLICE("HTTP/2 without TLS");
    else
        w->protocol = tls ? SLICE("HTTP/1.1 over TLS") : SLICE("HTTP/1.1");
    if (other)
        w->other = slice_str(other);
}

static struct listing *listing_new(struct stream *s, const struct listing_ask *ask)
{
    struct listing *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->s = s;
    l->root = strndup(ask->root.p, ask->root.n);
    l->rel = strndup(ask->rel.p ? ask->rel.p : "", ask->rel.n);
    l->links = ask->links;
    l->hidden = ask->hidden;
    l->form = form_of(&s->req);
    l->page.path = ask->path; /* the stream's: used only while there is one */
    listing_page_order(s->req.query, &l->page.sort, &l->page.descending);
    if (ask->welcome && ask->path.n == 1) {
        l->is_welcome = true;
        fill_welcome(s, &l->welcome);
        l->page.welcome = &l->welcome;
    }
    if (l->root && l->rel)
        return l;
    listing_free(l);
    return NULL;
}

void listing_start(struct stream *s, const struct listing_ask *ask)
{
    if (!slice_eq(s->req.method, SLICE("GET")) && !slice_eq(s->req.method, SLICE("HEAD"))) {
        stream_answer_allow(s, SLICE("GET, HEAD, OPTIONS"));
        return;
    }
    struct listing *l = listing_new(s, ask);
    if (!l) {
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    stream_discard_body(s);
    stream_handle(s, &listing_handler, l);
}
