#include "filter.h"

#include <fastcgi.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "file_read.h"
#include "answer_cache.h"
#include "filter_keep.h"
#include "filter_kept.h"
#include "forward.h"
#include "worker.h"

enum {
    /* Handed over at a time: more than the backend takes at once, so that one that takes all
     * there is does not keep the worker from its other streams. */
    DATA_STEP = 128 * 1024,
    SETTLED_NS = 1000000000,
};

struct filter {
    struct forward *f; /* NULL until it began */
    struct file_read *file;
    struct stat st;
    struct chain next; /* read, and not yet taken by the backend */
    bool data_ended;
    struct loop_task more; /* the backend takes all there is: go on in the next turn */
    bool keeps;            /* the answer may be kept */
    struct slice key;
    struct kept_answer *kept; /* being made; NULL: not to be kept */
    int64_t kept_length;      /* what its Content-Length says; -1: nothing */
};

static struct answer_cache *cache_of(const struct stream *s)
{
    return router_filter_cache(worker_of(s)->router);
}

/* ---- the file as DATA ---- */

static int data_read(struct filter *fl)
{
    while (fl->next.n < DATA_STEP && file_read_left(fl->file) > 0) {
        int err;
        struct chunk *k = file_read_next(fl->file, &err);
        if (!k)
            return err;
        chain_append_chunk(&fl->next, k);
    }
    return 0;
}

static void filter_data(struct forward *f)
{
    struct filter *fl = f->role_state;
    size_t taken = 0;

    if (fl->data_ended)
        return;
    int err = data_read(fl);
    if (err) {
        forward_fail(f, err);
        return;
    }
    if (fl->next.n)
        taken = fcgi_request_data(f->req, &fl->next);
    if (fl->next.n)
        return; /* until there is room */
    if (file_read_left(fl->file) == 0) {
        fl->data_ended = true;
        fcgi_request_data_end(f->req);
    } else if (taken) {
        loop_defer(f->s->loop, &fl->more);
    }
}

/* More of the file is there. */
static void more_fn(void *arg)
{
    struct filter *fl = arg;
    struct forward *f = fl->f;

    if (f && f->req && f->granted_ms && (!f->body || f->body_ended)) /* STDIN is through */
        filter_data(f);
}

static void more_task(struct loop *l, struct loop_task *task)
{
    (void)l;
    more_fn((char *)task - offsetof(struct filter, more));
}

/* ---- keeping the answer ---- */

static void keep_drop(struct filter *fl, struct stream *s)
{
    answer_cache_drop(cache_of(s), fl->kept);
    fl->kept = NULL;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Every change from now on gives it other times than those in st, also where a file system
 * counts in whole seconds. */
static bool is_settled(const struct stat *st)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return false;
    return ns_of(now) - ns_of(st->st_mtim) > SETTLED_NS &&
           ns_of(now) - ns_of(st->st_ctim) > SETTLED_NS;
}

static void keep_begin(struct filter *fl, const struct response *r)
{
    struct stream *s = fl->f->s;
    int64_t for_s = filter_keep_response(r, (int64_t)time(NULL));
    struct file_state file = file_state_of(&fl->st);

    if (!slice_eq(s->req.method, SLICE("GET")) || for_s == FILTER_KEEP_NEVER ||
        !is_settled(&fl->st))
        return;
    fl->kept_length = r->content_length;
    fl->kept =
        answer_cache_make(cache_of(s), fl->key, &file, r->fields, r->n_fields,
                          r->content_length, loop_now_ms(s->loop), (uint64_t)for_s * 1000);
}

static void keep_end(struct filter *fl, bool well)
{
    struct stream *s = fl->f->s;
    struct file_state before = file_state_of(&fl->st), after;
    struct stat st;

    if (!fl->kept)
        return;
    well = well && (fl->kept_length < 0 || (uint64_t)fl->kept_length == fl->kept->n_body);
    if (well && fstat(file_read_of(fl->file)->fd, &st) == 0) {
        after = file_state_of(&st);
        if (file_state_same(&before, &after)) {
            answer_cache_put(cache_of(s), fl->kept);
            fl->kept = NULL;
        }
    }
    keep_drop(fl, s);
}

/* ---- the role ---- */

static void filter_ask(struct forward *f, struct metavars_ask *ask)
{
    const struct filter *fl = f->role_state;

    ask->data_length = (int64_t)fl->st.st_size;
    ask->data_last_mod = (int64_t)fl->st.st_mtim.tv_sec;
}

static void filter_begin(struct forward *f)
{
    struct filter *fl = f->role_state;

    if (fl->f) { /* another try */
        chain_fini(&fl->next);
        file_read_restart(fl->file);
        fl->data_ended = false;
    }
    fl->f = f;
}

static bool filter_head(struct forward *f, struct response *r)
{
    struct filter *fl = f->role_state;

    if (fl->keeps && f->parser.head.kind != RESPONSE_LOCAL_REDIRECT)
        keep_begin(fl, r);
    return false;
}

static void filter_body(struct forward *f, const uint8_t *p, size_t n)
{
    struct filter *fl = f->role_state;

    if (fl->kept && !answer_cache_add(cache_of(f->s), fl->kept, p, n))
        fl->kept = NULL;
}

static bool filter_end(struct forward *f, uint32_t app_status)
{
    keep_end(f->role_state, app_status == 0);
    return false;
}

static void filter_release(struct forward *f)
{
    struct filter *fl = f->role_state;

    keep_drop(fl, f->s);
    loop_undefer(f->s->loop, &fl->more);
    chain_fini(&fl->next);
    file_read_free(fl->file);
    fl->file = NULL;
    fl->f = NULL;
}

static const struct forward_role filter_role = {
    .role = FCGI_FILTER,
    .ask = filter_ask,
    .begin = filter_begin,
    .data = filter_data,
    .head = filter_head,
    .body = filter_body,
    .end = filter_end,
    .release = filter_release,
};

/* ---- the beginning ---- */

static bool method_is_ours(struct slice method)
{
    return slice_eq(method, SLICE("GET")) || slice_eq(method, SLICE("HEAD")) ||
           slice_eq(method, SLICE("POST"));
}

/* May the answer be given to others: did nobody have to let this client in? */
static bool is_for_all(const struct stream *s)
{
    return s->route->filter_cache && !s->route->authorizer && !s->remote_user.n &&
           filter_keep_request(&s->req);
}

/* Whatever a filter may make links from; not the file, whose state is looked at apart. */
static struct slice key_of(struct stream *s)
{
    return arena_printf(&s->arena, "%p %.*s://%.*s%.*s", (const void *)s->route,
                        SLICE_FMT(s->req.scheme), SLICE_FMT(s->req.authority),
                        SLICE_FMT(s->req.target));
}

/* The kept answer goes out.  false: there is none. */
static bool answer_kept(struct stream *s, const struct filter *fl)
{
    struct file_state file = file_state_of(&fl->st);
    const struct kept_answer *kept =
        answer_cache_get(cache_of(s), fl->key, &file, loop_now_ms(s->loop));

    if (kept)
        filter_kept_answer(s, cache_of(s), kept);
    return kept != NULL;
}

/* Takes f. */
static void start(struct stream *s, struct pool *pool, struct route_match *m,
                  struct open_file *f)
{
    struct filter *fl = arena_zalloc(&s->arena, sizeof(*fl));

    if (!fl) {
        open_file_unref(f);
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    fl->st = f->st;
    fl->keeps = is_for_all(s);
    if (fl->keeps) {
        fl->key = key_of(s);
        if (!fl->key.p) {
            fl->keeps = false;
        } else if (answer_kept(s, fl)) {
            open_file_unref(f);
            return;
        }
    }
    fl->more.fn = more_task;
    fl->file = file_read_new(s->loop, worker_of(s)->writers, f, 0, (int64_t)fl->st.st_size,
                             more_fn, fl);
    if (fl->file)
        forward_start_role(s, pool, m, &filter_role, fl);
    else
        stream_error(s, GW_ENO_MEMORY);
}

void filter_start(struct stream *s, struct pool *pool, struct route_match *m)
{
    struct open_file *f = m->open;

    m->open = NULL; /* taken over */
    if (method_is_ours(s->req.method)) {
        start(s, pool, m, f);
        return;
    }
    open_file_unref(f);
    stream_answer_allow(s, SLICE("GET, HEAD, POST, OPTIONS"));
}
