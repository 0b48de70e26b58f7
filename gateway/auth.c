#include "auth.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "auth_cache.h"
#include "base64.h"
#include "htpasswd.h"
#include "router.h"
#include "worker.h"

/* Requests that may wait to be verified, over all workers; those beyond are refused with 503.
 */
enum { AUTH_WAITING_MAX = 1024, AUTH_RUNNING_MAX = 8 };

/* One verification.  Field keys: I constant   o the worker of its stream   m under auth->mu */
struct auth_req {
    struct job job;
    struct auth *auth;               /* I */
    struct writers *writers;         /* I */
    struct stream *s;                /* o  NULL once the stream is over */
    auth_done_fn *done;              /* I */
    void *arg;                       /* I */
    const char *path;                /* I  the configuration's */
    struct auth_req *prev, *next;    /* m  waiting */
    bool waiting;                    /* m */
    struct htpasswd_version version; /* the job's, then o */
    int result;                      /* the job's, then o: htpasswd_check */
    int result_errno;
    size_t user_len, password_len; /* I */
    char text[];                   /* I  user NUL password NUL */
};

struct auth {
    struct siphash_key key;        /* I  random */
    unsigned max_running;          /* I */
    struct auth_cache cache;       /*    its own lock */
    struct lock mu;                /*    leaf */
    struct auth_req *head, *tail;  /* m  waiting, oldest first */
    unsigned n_waiting, n_running; /* m */
};

struct auth *auth_new(void)
{
    struct auth *a = calloc(1, sizeof(*a));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (!a)
        return NULL;
    if (getrandom(&a->key, sizeof(a->key), 0) != (ssize_t)sizeof(a->key)) {
        free(a);
        return NULL;
    }
    a->max_running = cores < 1                  ? 1
                     : cores > AUTH_RUNNING_MAX ? AUTH_RUNNING_MAX
                                                : (unsigned)cores;
    auth_cache_init(&a->cache);
    lock_init(&a->mu);
    return a;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    lock_fini(&a->mu);
    auth_cache_fini(&a->cache);
    explicit_bzero(&a->key, sizeof(a->key));
    free(a);
}

/* ---- what goes over the wire ---- */

struct slice auth_challenge(struct arena *a, const char *realm)
{
    static const char head[] = "Basic realm=\"", tail[] = "\", charset=\"UTF-8\"";
    struct slice r = slice_str(realm ? realm : "restricted");
    char *p = arena_alloc(a, sizeof(head) + sizeof(tail) + r.n * 2);
    size_t n = sizeof(head) - 1;

    if (!p)
        return slice_of(NULL, 0);
    memcpy(p, head, n);
    for (size_t i = 0; i < r.n; i++) { /* quoted-string, RFC 9110 5.6.4 */
        if (r.p[i] == '"' || r.p[i] == '\\')
            p[n++] = '\\';
        p[n++] = r.p[i];
    }
    memcpy(p + n, tail, sizeof(tail) - 1);
    return slice_of(p, n + sizeof(tail) - 1);
}

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

bool auth_parse_basic(struct arena *a, struct slice value, struct slice *ret_user,
                      struct slice *ret_password)
{
    ssize_t space = slice_find(value, ' ');

    if (space < 0 || !slice_ieq(slice_of(value.p, (size_t)space), SLICE("Basic")))
        return false;
    struct slice token = slice_trim(slice_from(value, (size_t)space));
    char *text = arena_alloc(a, token.n + 1);
    ssize_t n = text ? base64_decode(token, text) : -1;
    struct slice all = slice_of(text, n < 0 ? 0 : (size_t)n);
    ssize_t colon = slice_find(all, ':');
    if (n < 0 || colon < 0 || has_control(all)) /* RFC 7617 2 */
        return false;
    text[colon] = '\0';
    text[n] = '\0';
    *ret_user = slice_of(text, (size_t)colon);
    *ret_password = slice_from(all, (size_t)colon + 1);
    return true;
}

/* ---- what was right a moment ago ---- */

/* False when memory is out.  The user has no colon, the path no NUL: no two inputs run into
 * one. */
static bool auth_tag(const struct auth *a, const char *path, const struct htpasswd_version *v,
                     struct slice user, struct slice password, struct siphash_tag *ret_tag)
{
    size_t path_n = strlen(path) + 1, n = path_n + sizeof(*v) + user.n + 1 + password.n;
    char *p = malloc(n);

    if (!p)
        return false;
    char *at = mempcpy(p, path, path_n);
    at = mempcpy(at, v, sizeof(*v)); /* 64-bit fields only: no padding */
    at = mempcpy(at, user.p, user.n);
    *at++ = ':';
    memcpy(at, password.p, password.n);
    *ret_tag = siphash(a->key, p, n);
    explicit_bzero(p, n);
    free(p);
    return true;
}

/* ---- one verification ---- */

static struct slice req_user(const struct auth_req *r)
{
    return slice_of(r->text, r->user_len);
}

static struct slice req_password(const struct auth_req *r)
{
    return slice_of(r->text + r->user_len + 1, r->password_len);
}

static void req_free(struct auth_req *r)
{
    explicit_bzero(r->text, r->user_len + r->password_len + 2);
    free(r);
}

/* Writer thread. */
static void req_run(struct job *job)
{
    struct auth_req *r = (struct auth_req *)job;

    r->result = htpasswd_check(r->path, req_user(r).p, req_password(r).p, &r->version);
    r->result_errno = errno;
}

static void waiting_unlink_locked(struct auth *a, struct auth_req *r) REQUIRES(a->mu)
{
    lock_assert_held(&a->mu);
    if (r->prev)
        r->prev->next = r->next;
    else
        a->head = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        a->tail = r->prev;
    r->prev = r->next = NULL;
    r->waiting = false;
    a->n_waiting--;
}

static void waiting_append_locked(struct auth *a, struct auth_req *r) REQUIRES(a->mu)
{
    lock_assert_held(&a->mu);
    r->prev = a->tail;
    if (a->tail)
        a->tail->next = r;
    else
        a->head = r;
    a->tail = r;
    r->waiting = true;
    a->n_waiting++;
}

/* One verification ended: the next may be another worker's, whose job->loop brings it back
 * there. */
static void auth_next(struct auth *a)
{
    lock_take(&a->mu);
    struct auth_req *r = a->head;
    if (r)
        waiting_unlink_locked(a, r);
    else
        a->n_running--;
    lock_drop(&a->mu);
    if (r)
        writers_job(r->writers, &r->job);
}

static void log_file(const char *path, int err)
{
    char text[128];

    log_line(CONF_LOG_ERROR, "auth_file %s: %s", path, strerror_r(err, text, sizeof(text)));
}

/* What the verification of r means; a success is remembered. */
static struct auth_result req_result(const struct auth_req *r, struct stream *s)
{
    struct siphash_tag tag;
    struct slice user = slice_of("", 0);

    if (r->result < 0) {
        log_file(r->path, r->result_errno);
        return (struct auth_result){GW_EAUTH_FILE, user};
    }
    if (r->result == 0)
        return (struct auth_result){GW_EUNAUTHORIZED, user};
    if (auth_tag(r->auth, r->path, &r->version, req_user(r), req_password(r), &tag))
        auth_cache_put(&r->auth->cache, tag, loop_now_ms(s->loop));
    user = arena_dup(&s->arena, req_user(r));
    return (struct auth_result){user.p ? 0 : GW_ENO_MEMORY, user};
}

/* Worker, as a message. */
static void req_done(struct loop *l, struct job *job)
{
    struct auth_req *r = (struct auth_req *)job;
    struct stream *s = r->s;

    (void)l;
    auth_next(r->auth);
    if (s) {
        struct auth_result res = req_result(r, s);
        s->handler = NULL;
        s->handler_state = NULL;
        r->done(s, r->arg, &res);
    }
    req_free(r);
}

/* ---- the handler while one waits ---- */

static void auth_start(struct stream *s)
{
    struct auth_req *r = s->handler_state;
    struct auth *a = r->auth;
    bool run = false, refuse = false;

    lock_take(&a->mu);
    if (a->n_running < a->max_running) {
        a->n_running++;
        run = true;
    } else if (a->n_waiting < AUTH_WAITING_MAX) {
        waiting_append_locked(a, r);
    } else {
        refuse = true;
    }
    lock_drop(&a->mu);
    if (run)
        writers_job(r->writers, &r->job);
    if (refuse) {
        s->handler = NULL;
        s->handler_state = NULL;
        r->done(s, r->arg, &(struct auth_result){GW_EPOOL_FULL, slice_of("", 0)});
        req_free(r);
    }
}

static void auth_closed(struct stream *s, int err)
{
    struct auth_req *r = s->handler_state;
    struct auth *a = r->auth;

    (void)err;
    s->handler_state = NULL;
    r->s = NULL; /* a job under way finds nobody and frees r */
    lock_take(&a->mu);
    bool waiting = r->waiting;
    if (waiting)
        waiting_unlink_locked(a, r);
    lock_drop(&a->mu);
    if (waiting)
        req_free(r);
}

static const struct handler auth_handler = {
    .name = "auth",
    .start = auth_start,
    .closed = auth_closed,
};

static struct auth_req *req_new(struct stream *s, const char *path, struct slice user,
                                struct slice password)
{
    struct auth_req *r = calloc(1, sizeof(*r) + user.n + password.n + 2);

    if (!r)
        return NULL;
    r->job = (struct job){.run = req_run, .loop = s->loop, .done = req_done};
    r->auth = router_auth(worker_of(s)->router);
    r->writers = worker_of(s)->writers;
    r->s = s;
    r->path = path;
    r->user_len = user.n;
    r->password_len = password.n;
    memcpy(r->text, user.p, user.n);
    memcpy(r->text + user.n + 1, password.p, password.n);
    return r;
}

/* The credentials in s's head.  Two Authorization fields are none (RFC 9110 5.3). */
static bool credentials(struct stream *s, struct slice *ret_user, struct slice *ret_password)
{
    const struct request *req = &s->req;
    const struct field *f = fields_find(req->fields, req->n_fields, SLICE("Authorization"));

    if (!f)
        return false;
    size_t behind = (size_t)(f - req->fields) + 1;
    if (fields_find(req->fields + behind, req->n_fields - behind, f->name))
        return false;
    return auth_parse_basic(&s->arena, f->value, ret_user, ret_password) && ret_user->n > 0 &&
           ret_password->n <= HTPASSWD_PASSWORD_MAX;
}

void auth_check(struct stream *s, const struct conf_route *route, auth_done_fn *done, void *arg)
{
    struct auth *a = router_auth(worker_of(s)->router);
    struct auth_result res = {GW_EUNAUTHORIZED, slice_of("", 0)};
    struct htpasswd_version version;
    struct siphash_tag tag;
    struct slice user, password;

    if (!credentials(s, &user, &password)) {
        done(s, arg, &res);
        return;
    }
    const char *path = route->auth_file ? route->auth_file : "";
    if (!htpasswd_stat(path, &version)) {
        log_file(path, errno);
        res.err = GW_EAUTH_FILE;
    } else if (!auth_tag(a, path, &version, user, password, &tag)) {
        res.err = GW_ENO_MEMORY;
    } else if (auth_cache_has(&a->cache, tag, loop_now_ms(s->loop))) {
        res = (struct auth_result){0, user};
    } else {
        struct auth_req *r = req_new(s, path, user, password);
        if (r) {
            r->done = done;
            r->arg = arg;
            stream_handle(s, &auth_handler, r);
            return;
        }
        res.err = GW_ENO_MEMORY;
    }
    done(s, arg, &res);
}
