/*
 * tests/unit/router_world.h - a router with a tree of files and a configuration.  The streams,
 * files, passwords and pools around it are played here.
 */
#ifndef TESTS_ROUTER_WORLD_H
#define TESTS_ROUTER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../conf/vars.h"
#include "../../gateway/auth.h"
#include "../../gateway/authorizer.h"
#include "../../gateway/filter.h"
#include "../../gateway/limits.h"
#include "../../gateway/listing.h"
#include "../../gateway/router.h"
#include "../../gateway/websocket.h"
#include "../../gateway/worker.h"

/* ---- what the router did with the stream ---- */

struct pool {
    int unused;
};

static struct {
    char what[16]; /* "pool", "files", "error", "answer", "auth" */
    int status;
    struct pool *pool;
    struct route_match *m;
    char location[256], allow[128], challenge[128];
    unsigned n_auth, n_authorizer, n_admits[2];
    bool refuses_user;
    int auth_err;
    struct listing_ask listed;
    struct pool *authorizer;
    char asked_file[256];
    bool refuses;
    authorizer_done_fn *authorizer_done; /* while it is being asked */
    void *authorizer_arg;
} did;

static inline void note(const char *what, int status, const struct field *fields, size_t n)
{
    assert_string_equal(did.what, ""); /* exactly once */
    snprintf(did.what, sizeof(did.what), "%s", what);
    did.status = status;
    for (size_t i = 0; i < n; i++) {
        char *to = slice_ieq(fields[i].name, SLICE("Location"))           ? did.location
                   : slice_ieq(fields[i].name, SLICE("Allow"))            ? did.allow
                   : slice_ieq(fields[i].name, SLICE("WWW-Authenticate")) ? did.challenge
                                                                          : NULL;
        if (to)
            snprintf(to, 128, "%.*s", SLICE_FMT(fields[i].value));
    }
}

struct slice stream_request_id(struct stream *s)
{
    (void)s;
    return SLICE("id");
}

void stream_error(struct stream *s, int err)
{
    s->err = err;
    note("error", gw_err_status(err), NULL, 0);
}

void stream_error_fields(struct stream *s, int err, const struct field *fields, size_t n)
{
    s->err = err;
    note("error", gw_err_status(err), fields, n);
}

void stream_answer(struct stream *s, const struct response *r, struct slice body)
{
    (void)s;
    (void)body;
    note("answer", r->status, r->fields, r->n_fields);
}

void stream_answer_allow(struct stream *s, struct slice allow)
{
    const struct field field = {SLICE("Allow"), allow};

    if (slice_eq(s->req.method, SLICE("OPTIONS")))
        note("answer", 204, &field, 1);
    else
        stream_error_fields(s, GW_EREQ_METHOD, &field, 1);
}

void stream_discard_body(struct stream *s)
{
    s->in_discard = true;
}

void forward_start(struct stream *s, struct pool *pool, struct route_match *m)
{
    (void)s;
    did.pool = pool;
    did.m = m;
    assert_null(m->open);
    note("pool", 0, NULL, 0);
}

void files_start(struct stream *s, struct route_match *m)
{
    struct stat st;

    (void)s;
    did.m = m;
    assert_int_equal(fstat(m->open->fd, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    open_file_unref(m->open);
    note("files", 0, NULL, 0);
}

void listing_start(struct stream *s, const struct listing_ask *ask)
{
    (void)s;
    did.listed = *ask;
    note("listing", 0, NULL, 0);
}

void filter_start(struct stream *s, struct pool *pool, struct route_match *m)
{
    (void)s;
    did.pool = pool;
    did.m = m;
    assert_non_null(m->open);
    open_file_unref(m->open);
    note("filter", 0, NULL, 0);
}

void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
{
    (void)s;
    (void)level;
    (void)err;
    (void)fmt;
}

bool websocket_is_asked(const struct stream *s)
{
    return s->req.protocol.n > 0;
}

struct limits *limits_new(const struct conf *conf)
{
    (void)conf;
    return (struct limits *)malloc(1);
}

void limits_free(struct limits *ls)
{
    free(ls);
}

bool limits_admit(struct limits *ls, struct stream *s, enum limits_when when)
{
    (void)ls;
    assert_non_null(s->route);
    did.n_admits[when]++;
    if (did.refuses_user && when == LIMITS_USER_KNOWN)
        note("limit", 429, NULL, 0);
    return !(did.refuses_user && when == LIMITS_USER_KNOWN);
}

struct auth *auth_new(const struct conf *conf)
{
    (void)conf;
    return (struct auth *)malloc(1);
}

void auth_free(struct auth *a)
{
    free(a);
}

struct slice auth_challenge(struct arena *a, const char *realm)
{
    return arena_printf(a, "Basic %s", realm ? realm : "-");
}

void auth_check(struct stream *s, const struct conf_auth *conf, auth_done_fn *done, void *arg)
{
    assert_int_equal(conf->basic, 1);
    did.n_auth++;
    done(s, arg, &(struct auth_result){.err = did.auth_err, .user = SLICE("alice")});
}

void authorizer_start(struct stream *s, struct pool *pool, struct route_match *m,
                      authorizer_done_fn *done, void *arg)
{
    (void)s;
    assert_string_equal(did.what, ""); /* nothing is told before */
    did.n_authorizer++;
    did.authorizer = pool;
    snprintf(did.asked_file, sizeof(did.asked_file), "%.*s", SLICE_FMT(m->file));
    if (did.refuses) {
        open_file_unref(m->open);
        note("refused", 403, NULL, 0);
        return;
    }
    did.authorizer_done = done;
    did.authorizer_arg = arg;
}

static inline void authorizer_allows(struct stream *s)
{
    authorizer_done_fn *done = did.authorizer_done;

    assert_non_null(done);
    did.authorizer_done = NULL;
    done(s, did.authorizer_arg);
}

/* ---- the tree ---- */

static char dir[64];
static char site_root[128], cgi_root[128], shop_root[128], closed_root[128], program[128];

static inline void put(const char *name, mode_t mode)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (S_ISDIR(mode)) {
        assert_int_equal(mkdir(path, 0755), 0);
        return;
    }
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_int_equal(chmod(path, mode & 0777), 0);
}

static inline void put_link(const char *name, const char *target)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(symlink(target, path), 0);
}

static const char *const folders[] = {
    "site",         "site/sub",   "site/sub/bare", "site/php",      "site/folder.php",
    "site/sub dir", "cgi",        "cgi/deep",      "cgi/deep/down", "cgi/indexed",
    "shop",         "shop/admin", "closed",        "outside",       "site/hidden.php",
    "site/x.d",
};
static const struct {
    const char *name;
    mode_t mode;
} files[] = {
    {"site/index.html", 0644},
    {"site/a.txt", 0644},
    {"site/app.php", 0644},
    {"site/php/index.php", 0644},
    {"site/sub/index.html", 0644},
    {"site/x.d/in.php", 0644},
    {"site/sub dir/a b.txt", 0644},
    {"site/folder.php/index.html", 0644},
    {"site/hidden.php/y.php", 0644},
    {"site/read.txt", 0644},
    {"cgi/hello", 0755},
    {"cgi/notexec", 0644},
    {"cgi/deep/prog", 0700},
    {"cgi/indexed/index.cgi", 0755},
    {"cgi/run.sh", 0755},
    {"shop/cart.php", 0644},
    {"shop/admin/index.php", 0644},
    {"closed/prog", 0755},
    {"outside/secret", 0755},
    {"program", 0755},
};

static inline int make_tree(void **state)
{
    (void)state;
    umask(022);
    snprintf(dir, sizeof(dir), "/tmp/test_router.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        put(folders[i], S_IFDIR);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        put(files[i].name, S_IFREG | files[i].mode);
    put_link("site/inside.txt", "sub/../a.txt");
    put_link("site/abs.txt", "/etc/passwd");
    put_link("site/up.txt", "../outside/secret");
    put_link("site/updir", "../outside");
    put_link("site/loop", "loop");
    put_link("site/dangling", "nowhere");
    put_link("cgi/evil", "../outside/secret");
    put_link("cgi/evildir", "../outside");
    char fifo[128];
    snprintf(fifo, sizeof(fifo), "%s/site/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0644), 0);
    snprintf(site_root, sizeof(site_root), "%s/site", dir);
    snprintf(cgi_root, sizeof(cgi_root), "%s/cgi/", dir);
    snprintf(shop_root, sizeof(shop_root), "%s/shop", dir);
    snprintf(closed_root, sizeof(closed_root), "%s/closed", dir);
    snprintf(program, sizeof(program), "%s/program", dir);
    return 0;
}

static inline int remove_tree(void **state)
{
    char cmd[128];

    (void)state;
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd);
}

/* ---- the configuration ---- */

enum { POOL_PHP, POOL_CGI, POOL_TCP, POOL_APP };

static struct conf_address unix_address[] = {{.text = "unix:/run/php.sock"}};
static struct conf_address tcp_address[] = {{.text = "10.0.0.7:9000"}};
static struct conf_pool conf_pools[] = {
    [POOL_PHP] = {.name = "php", .connect = unix_address, .n_connect = 1},
    [POOL_CGI] = {.name = "cgi", .cgi = true},
    [POOL_TCP] = {.name = "tcp", .connect = tcp_address, .n_connect = 1},
    [POOL_APP] = {.name = "app"},
};
static struct pool pool_objects[4];
static struct pool *const pools[] = {&pool_objects[0], &pool_objects[1], &pool_objects[2],
                                     &pool_objects[3]};

#define S(literal)                                                                             \
    {                                                                                          \
        literal, sizeof(literal) - 1                                                           \
    }
#define INHERIT                                                                                \
    .body_limit = -1, .request_body = -1, .response_body = -1, .links = -1,                    \
    .script_check = CONF_UNSET

static struct slice index_cgi[] = {S("index.cgi")};
static struct slice index_php[] = {S("index.php")};
static struct slice site_index[] = {S("index.html"), S("index.php")};

static struct conf_route routes[] = {
    {.pattern = S("/"), .prefix = S("/"), .pool = -1, INHERIT},
    {.pattern = S("*.php"), .prefix = S("/"), .suffix = S(".php"), .pool = POOL_PHP, INHERIT},
    {.pattern = S("/cgi-bin/"),
     .prefix = S("/cgi-bin/"),
     .pool = POOL_CGI,
     .root = cgi_root,
     .index = index_cgi,
     .n_index = 1,
     INHERIT},
    {.pattern = S("/shop/"),
     .prefix = S("/shop/"),
     .pool = -1,
     .root = shop_root,
     .index = index_php,
     .n_index = 1,
     INHERIT},
    {.pattern = S("/shop/*.php"),
     .prefix = S("/shop/"),
     .suffix = S(".php"),
     .pool = POOL_PHP,
     .root = shop_root,
     INHERIT},
    {.pattern = S("/app/"), .prefix = S("/app/"), .pool = POOL_APP, INHERIT},
    {.pattern = S("/app/deep/"), .prefix = S("/app/deep/"), .pool = POOL_TCP, INHERIT},
    {.pattern = S("/git/"), .prefix = S("/git/"), .pool = POOL_CGI, .script = program, INHERIT},
    {.pattern = S("/gone/"),
     .prefix = S("/gone/"),
     .pool = POOL_CGI,
     .script = "/nonexistent/program",
     INHERIT},
    {.pattern = S("/plain/"),
     .prefix = S("/plain/"),
     .pool = POOL_CGI,
     .script = "/etc/passwd",
     INHERIT},
    {.pattern = S("/status"), .prefix = S("/status"), .exact = true, .pool = POOL_APP, INHERIT},
    {.pattern = S("/a.txt"), .prefix = S("/a.txt"), .exact = true, .pool = POOL_APP, INHERIT},
    {.pattern = S("/one"),
     .prefix = S("/one/hello"),
     .exact = true,
     .pool = POOL_CGI,
     .root = cgi_root,
     INHERIT},
    {.pattern = S("/old/"),
     .prefix = S("/old/"),
     .pool = -1,
     .redirect_status = 308,
     .redirect = "https://new.example/",
     .redirect_to =
         &(const struct vars){.constant = true, .literal = {"https://new.example/", 20}},
     INHERIT},
    {.pattern = S("/remote/"),
     .prefix = S("/remote/"),
     .pool = POOL_TCP,
     .root = "/srv/elsewhere",
     .index = index_php,
     .n_index = 1,
     INHERIT},
    {.pattern = S("/remote/*.php"),
     .prefix = S("/remote/"),
     .suffix = S(".php"),
     .pool = POOL_TCP,
     .root = "/srv/elsewhere",
     INHERIT},
    {.pattern = S("/closed/"),
     .prefix = S("/closed/"),
     .pool = POOL_CGI,
     .root = closed_root,
     INHERIT},
    {.pattern = S("/secret/"),
     .prefix = S("/secret/"),
     .pool = POOL_APP,
     .auth.basic = 1,
     .auth.realm = "realm",
     INHERIT},
    {.pattern = S("/push/"),
     .prefix = S("/push/"),
     .pool = POOL_APP,
     .auth.basic = 1,
     .auth_match = "(service=|/)git-receive-pack",
     INHERIT},
    {.pattern = S("/small/"),
     .prefix = S("/small/"),
     .pool = POOL_APP,
     .body_limit = 10,
     .request_body = -1,
     .response_body = -1,
     .links = -1,
     .script_check = CONF_UNSET},
    {.pattern = S("/linked/"),
     .prefix = S("/linked/"),
     .pool = -1,
     .root = site_root,
     .body_limit = -1,
     .request_body = -1,
     .response_body = -1,
     .links = CONF_LINKS_FOLLOW,
     .script_check = CONF_UNSET},
    {.pattern = S("/filtered/"),
     .prefix = S("/filtered/"),
     .pool = -1,
     .root = site_root,
     .filter = &conf_pools[POOL_APP],
     INHERIT},
};
static struct conf_route guarded_routes[] = {
    {.pattern = S("/"),
     .prefix = S("/"),
     .pool = -1,
     .authorizer = &conf_pools[POOL_APP],
     INHERIT},
    {.pattern = S("*.php"),
     .prefix = S("/"),
     .suffix = S(".php"),
     .pool = POOL_PHP,
     .authorizer = &conf_pools[POOL_TCP],
     .auth.basic = 1,
     INHERIT},
    {.pattern = S("/old/"),
     .prefix = S("/old/"),
     .pool = -1,
     .redirect_status = 302,
     .redirect = "/new",
     .redirect_to = &(const struct vars){.constant = true, .literal = {"/new", 4}},
     .authorizer = &conf_pools[POOL_APP],
     INHERIT},
    {.pattern = S("/open/"), .prefix = S("/open/"), .pool = POOL_APP, INHERIT},
};
static struct slice guarded_hosts[] = {S("guarded.example")};
static struct slice site_hosts[] = {S("example.org")};
static struct conf_site sites[] = {
    {.name = "example",
     .hosts = site_hosts,
     .n_hosts = 1,
     .root = site_root,
     .index = site_index,
     .n_index = 2,
     .body_limit = 1000,
     .links = CONF_LINKS_INSIDE,
     .routes = routes,
     .n_routes = sizeof(routes) / sizeof(routes[0])},
    {.name = "guarded",
     .hosts = guarded_hosts,
     .n_hosts = 1,
     .root = site_root,
     .index = site_index,
     .n_index = 2,
     .links = CONF_LINKS_INSIDE,
     .routes = guarded_routes,
     .n_routes = sizeof(guarded_routes) / sizeof(guarded_routes[0])},
};
static struct conf conf = {.sites = sites, .n_sites = 2, .pools = conf_pools, .n_pools = 4};

/* ---- running one request ---- */

static struct worker router_worker; /* which keeps no file open */
static struct conn router_conn = {.worker = &router_worker};
static struct slice authority = S("example.org:80");

static inline void run_with(struct router *r, struct stream *s, const char *method,
                            const char *target, int auth_err, int64_t content_length)
{
    ssize_t q;

    memset(&did, 0, sizeof(did));
    did.auth_err = auth_err;
    *s = (struct stream){.conn = &router_conn};
    arena_init(&s->arena);
    s->req.method = slice_str(method);
    s->req.authority = authority;
    s->req.target = slice_str(target);
    q = slice_find(s->req.target, '?');
    s->req.has_query = q >= 0;
    s->req.path = q < 0 ? s->req.target : slice_of(target, (size_t)q);
    s->req.query = q < 0 ? SLICE("") : slice_from(s->req.target, (size_t)q + 1);
    s->req.content_length = content_length;
    router_worker.router = r;
    router_handle(r, s);
}

static inline struct router *new_router(void)
{
    struct router *r = router_new(&conf, pools, stderr);

    assert_non_null(r);
    return r;
}

#endif
