#include "auth.h"

#include <stdlib.h>
#include <sys/random.h>

#include "auth_cache.h"
#include "auth_guess.h"
#include "auth_verify.h"
#include "base64.h"
#include "counters.h"
#include "htpasswd.h"
#include "router.h"
#include "worker.h"

/* A file of the configuration, of users or groups. */
struct file {
    const char *path;
    enum auth_table_kind kind;
    struct verify_lane lane; /* lane.file is the file, also of groups, which have no queue */
};

struct auth {
    struct siphash_key key;    /* I  random */
    struct file *files;        /* I  sorted */
    size_t n_files;            /* I */
    struct verifier *verifier; /*    its own lock */
    struct guesses *guesses;   /*    atomics */
    struct auth_cache cache;   /*    its own lock */
};

/* One check that waits.  The stream's worker only. */
struct check {
    struct verify_wait wait;
    struct timer timer; /* a refusal that is answered later */
    struct auth *auth;
    struct stream *s; /* NULL once the stream is over */
    const struct conf_auth *conf;
    struct file *file;
    auth_done_fn *done;
    void *arg;
    struct guess guess;
    struct slice user, password; /* in s's arena */
    bool was_known;
    bool verifying; /* else it is the timer that runs */
};

/* ---- the files of the configuration ---- */

static int file_order(const void *pa, const void *pb)
{
    const struct file *a = pa, *b = pb;
    int order = strcmp(a->path, b->path);

    return order ? order : (a->kind > b->kind) - (a->kind < b->kind);
}

static struct file *file_of(const struct auth *a, const char *path, enum auth_table_kind kind)
{
    struct file like = {.path = path ? path : "", .kind = kind};

    return bsearch(&like, a->files, a->n_files, sizeof(like), file_order);
}

/* Those of one route, at files[n] if there is an array at all; the new n. */
static size_t add_files(struct file *files, size_t n, const struct conf_auth *conf)
{
    if (conf->basic <= 0 || !conf->file)
        return n;
    if (files)
        files[n] = (struct file){.path = conf->file, .kind = AUTH_TABLE_USERS};
    n++;
    if (!conf->n_groups || !conf->group_file)
        return n;
    if (files)
        files[n] = (struct file){.path = conf->group_file, .kind = AUTH_TABLE_GROUPS};
    return n + 1;
}

static size_t all_files(struct file *files, const struct conf *conf)
{
    size_t n = 0;

    for (unsigned i = 0; i < conf->n_sites; i++) {
        for (unsigned k = 0; k < conf->sites[i].n_routes; k++)
            n = add_files(files, n, &conf->sites[i].routes[k].auth);
    }
    return n;
}

/* Each once, and read: what is wrong with them is told at the start. */
static bool make_files(struct auth *a, const struct conf *conf)
{
    size_t n = all_files(NULL, conf);

    a->files = calloc(n + 1, sizeof(*a->files));
    if (!a->files)
        return false;
    all_files(a->files, conf);
    qsort(a->files, n, sizeof(*a->files), file_order);
    for (size_t i = 0; i < n; i++) {
        if (a->n_files && file_order(&a->files[a->n_files - 1], &a->files[i]) == 0)
            continue;
        struct file *f = &a->files[a->n_files];
        *f = a->files[i];
        f->lane.file = auth_file_new(f->path, f->kind, &a->key);
        if (!f->lane.file)
            return false;
        a->n_files++;
        auth_file_refresh(f->lane.file);
    }
    return true;
}

struct auth *auth_new(const struct conf *conf)
{
    struct auth *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    auth_cache_init(&a->cache);
    if (getrandom(&a->key, sizeof(a->key), 0) == (ssize_t)sizeof(a->key) &&
        make_files(a, conf)) {
        a->verifier = verifier_new(&a->key);
        a->guesses = guesses_new(&conf->gateway);
    }
    if (a->verifier && a->guesses)
        return a;
    auth_free(a);
    return NULL;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    verifier_free(a->verifier);
    guesses_free(a->guesses);
    for (size_t i = 0; i < a->n_files; i++)
        auth_file_free(a->files[i].lane.file);
    free(a->files);
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

/* False when memory is out.  The user has no colon: no two inputs run into one. */
static bool auth_tag(const struct auth *a, const struct file *f, uint64_t generation,
                     struct slice user, struct slice password, struct siphash_tag *ret_tag)
{
    uintptr_t id = (uintptr_t)f;
    size_t n = sizeof(id) + sizeof(generation) + user.n + 1 + password.n;
    char *p = malloc(n);

    if (!p)
        return false;
    char *at = mempcpy(p, &id, sizeof(id));
    at = mempcpy(at, &generation, sizeof(generation));
    at = mempcpy(at, user.p, user.n);
    *at++ = ':';
    memcpy(at, password.p, password.n);
    *ret_tag = siphash(a->key, p, n);
    explicit_bzero(p, n);
    free(p);
    return true;
}

/* Is the password of c one that was right, by what its file was last? */
static enum auth_cached cached(const struct check *c)
{
    struct auth *a = c->auth;
    struct siphash_tag tag;
    uint64_t generation;
    struct auth_table *t = auth_file_hold(c->file->lane.file, &generation);

    auth_table_unref(t);
    if (!t || !auth_tag(a, c->file, generation, c->user, c->password, &tag))
        return AUTH_CACHED_NOT;
    return auth_cache_has(&a->cache, tag, loop_now_ms(c->s->loop));
}

/* ---- who of the file may come in ---- */

static bool is_in_groups(const struct auth_table *t, const struct conf_auth *conf,
                         struct slice user)
{
    for (unsigned i = 0; i < conf->n_groups; i++) {
        if (auth_table_in_group(t, conf->groups[i], user))
            return true;
    }
    return false;
}

static int authorize(const struct auth *a, const struct conf_auth *conf, struct slice user)
{
    if (!conf->n_users && !conf->n_groups)
        return 0;
    for (unsigned i = 0; i < conf->n_users; i++) {
        if (slice_eq(conf->users[i], user))
            return 0;
    }
    if (!conf->n_groups)
        return GW_EUNAUTHORIZED;
    struct file *f = file_of(a, conf->group_file, AUTH_TABLE_GROUPS);
    struct auth_table *t = f ? auth_file_hold(f->lane.file, NULL) : NULL;
    if (!t)
        return GW_EAUTH_FILE;
    bool in = is_in_groups(t, conf, user);
    auth_table_unref(t);
    return in ? 0 : GW_EUNAUTHORIZED;
}

/* The password was right. */
static struct auth_result right(const struct check *c)
{
    struct stream *s = c->s;
    struct auth_result res = {.err = authorize(c->auth, c->conf, c->user), .user = c->user};

    if (res.err == GW_EUNAUTHORIZED)
        s->err_why = arena_printf(&s->arena, "not in auth_users or auth_groups: user=\"%.*s\"",
                                  SLICE_FMT(c->user));
    return res;
}

/* ---- one check ---- */

static void check_free(struct check *c)
{
    guesses_undo(c->auth->guesses, &c->guess);
    timer_clear(&c->timer);
    worker_job_ended(loop_user(c->wait.loop));
    free(c);
}

/* c is through, and so is its handler. */
static void check_end(struct check *c, const struct auth_result *res)
{
    struct stream *s = c->s;
    auth_done_fn *done = c->done;
    void *arg = c->arg;

    s->handler = NULL;
    s->handler_state = NULL;
    check_free(c);
    done(s, arg, res);
}

static void check_late(struct loop *l, struct timer *t)
{
    struct check *c = (struct check *)(void *)((char *)t - offsetof(struct check, timer));

    (void)l;
    check_end(c, &(struct auth_result){.err = GW_EUNAUTHORIZED});
}

static void check_wrong(struct check *c, struct loop *l)
{
    uint64_t ms = guesses_wrong(c->auth->guesses, c->s, &c->guess, c->user, c->conf->realm);

    c->timer.fn = check_late;
    if (ms)
        timer_set(l, &c->timer, ms);
    else
        check_late(l, &c->timer);
}

static void check_right(struct check *c)
{
    struct siphash_tag tag;

    if (auth_tag(c->auth, c->file, c->wait.generation, c->user, c->password, &tag))
        auth_cache_put(&c->auth->cache, tag, loop_now_ms(c->s->loop));
    if (!c->was_known)
        guesses_right(&c->guess);
    struct auth_result res = right(c);
    check_end(c, &res);
}

/* Verified, on c's worker. */
static void check_verified(struct loop *l, struct verify_wait *wait)
{
    struct check *c = (struct check *)wait;

    c->verifying = false;
    if (!c->s)
        check_free(c);
    else if (wait->err == 0)
        check_right(c);
    else if (wait->err == GW_EUNAUTHORIZED)
        check_wrong(c, l);
    else
        check_end(c, &(struct auth_result){.err = wait->err});
}

static void auth_closed(struct stream *s, int err)
{
    struct check *c = s->handler_state;

    (void)err;
    s->handler_state = NULL;
    c->s = NULL;
    if (!c->verifying || verifier_leave(c->auth->verifier, &c->wait))
        check_free(c);
}

/* Verify c's password: begun, or an error and *ret_retry_s.  Known ones are not guesses. */
static int check_begin(struct check *c, unsigned *ret_retry_s)
{
    struct auth *a = c->auth;
    struct file *groups =
        c->conf->n_groups ? file_of(a, c->conf->group_file, AUTH_TABLE_GROUPS) : NULL;
    struct verify_what what = {&c->file->lane, groups ? groups->lane.file : NULL, c->user,
                               c->password};
    int err = 0;

    if (verifier_join(a->verifier, &what, &c->wait)) {
        if (!c->was_known)
            guesses_join(a->guesses, c->s, c->file, &c->guess);
        return 0;
    }
    if (!c->was_known)
        err = guesses_begin(a->guesses, c->s, c->file, &c->guess, ret_retry_s);
    if (err == 0)
        err =
            verifier_start(a->verifier, worker_of(c->s)->writers, &what, &c->wait, ret_retry_s);
    if (err == GW_EAUTH_BUSY)
        counter_add(COUNTER_AUTH_BUSY);
    return err;
}

static void auth_start(struct stream *s)
{
    struct check *c = s->handler_state;
    struct auth_result res = {0};

    c->verifying = true;
    res.err = check_begin(c, &res.retry_s);
    if (res.err)
        check_end(c, &res);
}

static const struct handler auth_handler = {
    .name = "auth",
    .start = auth_start,
    .closed = auth_closed,
};

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

/* Were the files that conf needs read as they are now? */
static bool is_fresh(const struct check *c)
{
    uint64_t now_ms = loop_now_ms(c->s->loop);
    struct file *groups = NULL;

    if (c->conf->n_groups)
        groups = file_of(c->auth, c->conf->group_file, AUTH_TABLE_GROUPS);
    bool fresh = auth_file_is_fresh(c->file->lane.file, now_ms);
    if (groups) /* looked at in any case, so that the one is read with the other */
        fresh &= auth_file_is_fresh(groups->lane.file, now_ms);
    return fresh;
}

/* Verify later what like has. */
static int auth_wait(const struct check *like)
{
    struct stream *s = like->s;
    struct check *c = malloc(sizeof(*c));

    if (!c)
        return GW_ENO_MEMORY;
    *c = *like;
    c->wait.loop = s->loop;
    c->wait.done = check_verified;
    worker_job_began(worker_of(s));
    stream_handle(s, &auth_handler, c);
    return 0;
}

void auth_check(struct stream *s, const struct conf_auth *conf, auth_done_fn *done, void *arg)
{
    struct auth *a = router_auth(worker_of(s)->router);
    struct auth_result res = {.err = GW_EUNAUTHORIZED};
    struct check c = {.auth = a, .s = s, .conf = conf, .done = done, .arg = arg};

    if (!credentials(s, &c.user, &c.password)) {
        done(s, arg, &res);
        return;
    }
    c.file = file_of(a, conf->file, AUTH_TABLE_USERS);
    if (!c.file) {
        res.err = GW_EAUTH_FILE;
        done(s, arg, &res);
        return;
    }
    bool fresh = is_fresh(&c);
    enum auth_cached was = cached(&c);
    c.was_known = was != AUTH_CACHED_NOT;
    if (fresh && was == AUTH_CACHED_RIGHT) {
        res = right(&c);
        done(s, arg, &res);
        return;
    }
    res.err = auth_wait(&c);
    if (res.err)
        done(s, arg, &res);
}
