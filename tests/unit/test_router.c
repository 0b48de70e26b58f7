/* The streams, files, passwords and pools around the router are played by this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/auth.h"
#include "../../gateway/authorizer.h"
#include "../../gateway/filter.h"
#include "../../gateway/router.h"

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
    unsigned n_auth, n_authorizer;
    int auth_err;
    struct pool *authorizer;
    char asked_file[256];
    bool refuses;
    authorizer_done_fn *authorizer_done; /* while it is being asked */
    void *authorizer_arg;
} did;

static void note(const char *what, int status, const struct field *fields, size_t n)
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

void stream_discard_body(struct stream *s)
{
    s->in_discard = true;
}

void forward_start(struct stream *s, struct pool *pool, struct route_match *m)
{
    (void)s;
    did.pool = pool;
    did.m = m;
    assert_int_equal(m->file_fd, -1);
    note("pool", 0, NULL, 0);
}

void files_start(struct stream *s, struct route_match *m)
{
    struct stat st;

    (void)s;
    did.m = m;
    assert_int_equal(fstat(m->file_fd, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    close(m->file_fd);
    note("files", 0, NULL, 0);
}

void filter_start(struct stream *s, struct pool *pool, struct route_match *m)
{
    (void)s;
    did.pool = pool;
    did.m = m;
    assert_true(m->file_fd >= 0);
    close(m->file_fd);
    note("filter", 0, NULL, 0);
}

struct auth *auth_new(void)
{
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

void auth_check(struct stream *s, const struct conf_route *route, auth_done_fn *done, void *arg)
{
    (void)route;
    did.n_auth++;
    done(s, arg, &(struct auth_result){did.auth_err, SLICE("alice")});
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
        if (m->file_fd >= 0)
            close(m->file_fd);
        note("refused", 403, NULL, 0);
        return;
    }
    did.authorizer_done = done;
    did.authorizer_arg = arg;
}

static void authorizer_allows(struct stream *s)
{
    authorizer_done_fn *done = did.authorizer_done;

    assert_non_null(done);
    did.authorizer_done = NULL;
    done(s, did.authorizer_arg);
}

/* ---- the tree ---- */

static char dir[64];
static char site_root[128], cgi_root[128], shop_root[128], closed_root[128], program[128];

static void put(const char *name, mode_t mode)
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

static void put_link(const char *name, const char *target)
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

static int make_tree(void **state)
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

static int remove_tree(void **state)
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
     .auth_basic = true,
     .auth_realm = "realm",
     INHERIT},
    {.pattern = S("/push/"),
     .prefix = S("/push/"),
     .pool = POOL_APP,
     .auth_basic = true,
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
     .auth_basic = true,
     INHERIT},
    {.pattern = S("/old/"),
     .prefix = S("/old/"),
     .pool = -1,
     .redirect_status = 302,
     .redirect = "/new",
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

static struct slice authority = S("example.org:80");

static void run_with(struct router *r, struct stream *s, const char *method, const char *target,
                     int auth_err, int64_t content_length)
{
    ssize_t q;

    memset(&did, 0, sizeof(did));
    did.auth_err = auth_err;
    *s = (struct stream){0};
    arena_init(&s->arena);
    s->req.method = slice_str(method);
    s->req.authority = authority;
    s->req.target = slice_str(target);
    q = slice_find(s->req.target, '?');
    s->req.has_query = q >= 0;
    s->req.path = q < 0 ? s->req.target : slice_of(target, (size_t)q);
    s->req.query = q < 0 ? SLICE("") : slice_from(s->req.target, (size_t)q + 1);
    s->req.content_length = content_length;
    router_handle(r, s);
}

struct row {
    const char *target;
    const char *what;    /* "pool", "files", "error", "answer" */
    const char *pattern; /* of the route; NULL: not looked at */
    int status;
    const char *script_name, *path_info; /* pool */
    const char *file;                    /* below the tree, or absolute with a slash */
};

static const struct row rows[] = {
    /* files */
    {"/", "files", "/", 0, NULL, NULL, "site/index.html"},
    {"//", "files", "/", 0, NULL, NULL, "site/index.html"},
    {"/index.html", "files", "/", 0, NULL, NULL, "site/index.html"},
    {"/read.txt", "files", "/", 0, NULL, NULL, "site/read.txt"},
    {"/read.txt?x", "files", "/", 0, NULL, NULL, "site/read.txt"},
    {"/./sub/../read.txt", "files", "/", 0, NULL, NULL, "site/read.txt"},
    {"//sub//index.html", "files", "/", 0, NULL, NULL, "site/sub/index.html"},
    {"/sub/", "files", "/", 0, NULL, NULL, "site/sub/index.html"},
    {"/sub%20dir/a%20b.txt", "files", "/", 0, NULL, NULL, "site/sub dir/a b.txt"},
    {"/inside.txt", "files", "/", 0, NULL, NULL, "site/inside.txt"},
    {"/read.txt/", "error", "/", 404, NULL, NULL, NULL},
    {"/read.txt/x", "error", "/", 404, NULL, NULL, NULL},
    {"/nothing", "error", "/", 404, NULL, NULL, NULL},
    {"/sub/bare/", "error", "/", 403, NULL, NULL, NULL},
    {"/fifo", "error", "/", 403, NULL, NULL, NULL},
    {"/filtered/read.txt", "filter", "/filtered/", 0, NULL, NULL, "site/read.txt"},
    {"/filtered/sub/", "filter", "/filtered/", 0, NULL, NULL, "site/sub/index.html"},
    {"/filtered/sub", "answer", "/filtered/", 301, NULL, NULL, NULL},
    {"/filtered/nothing", "error", "/filtered/", 404, NULL, NULL, NULL},
    {"/filtered/up.txt", "error", "/filtered/", 403, NULL, NULL, NULL},
    /* nothing outside */
    {"/abs.txt", "error", "/", 403, NULL, NULL, NULL},
    {"/up.txt", "error", "/", 403, NULL, NULL, NULL},
    {"/updir/secret", "error", "/", 403, NULL, NULL, NULL},
    {"/updir/", "error", "/", 403, NULL, NULL, NULL},
    {"/loop", "error", "/", 403, NULL, NULL, NULL},
    {"/dangling", "error", "/", 404, NULL, NULL, NULL},
    {"/../outside/secret", "error", NULL, 400, NULL, NULL, NULL},
    {"/%2e%2e/outside/secret", "error", NULL, 400, NULL, NULL, NULL},
    {"/..%2foutside%2fsecret", "error", NULL, 400, NULL, NULL, NULL},
    {"/read.txt%00", "error", NULL, 400, NULL, NULL, NULL},
    {"/%c0%ae%c0%ae/outside/secret", "error", "/", 404, NULL, NULL, NULL},
    {"/linked/up.txt", "files", "/linked/", 0, NULL, NULL, "site/up.txt"},
    {"/linked/read.txt", "files", "/linked/", 0, NULL, NULL, "site/read.txt"},
    /* *.php below the site's root */
    {"/app.php", "pool", "*.php", 0, "/app.php", "", "site/app.php"},
    {"/app.php/", "pool", "*.php", 0, "/app.php", "/", "site/app.php"},
    {"/app.php/a/b", "pool", "*.php", 0, "/app.php", "/a/b", "site/app.php"},
    {"/app.php/b.php", "pool", "*.php", 0, "/app.php", "/b.php", "site/app.php"},
    {"/app.php//a%20b", "pool", "*.php", 0, "/app.php", "//a b", "site/app.php"},
    {"//app.php/x", "pool", "*.php", 0, "//app.php", "/x", "site/app.php"},
    {"/php/", "pool", "*.php", 0, "/php/index.php", "", "site/php/index.php"},
    {"/none.php", "error", "*.php", 404, NULL, NULL, NULL},
    {"/read.txt/x.php", "error", "*.php", 404, NULL, NULL, NULL},
    {"/app.phpx", "error", "/", 404, NULL, NULL, NULL},
    {"/app.php.txt", "error", "/", 404, NULL, NULL, NULL},
    {"/up.txt/x.php", "error", "*.php", 403, NULL, NULL, NULL},
    /* a folder that is called so */
    {"/folder.php/", "files", "/", 0, NULL, NULL, "site/folder.php/index.html"},
    {"/folder.php", "answer", "/", 301, NULL, NULL, NULL},
    {"/hidden.php/y.php/z", "pool", "*.php", 0, "/hidden.php/y.php", "/z",
     "site/hidden.php/y.php"},
    {"/hidden.php/n.php", "error", "*.php", 404, NULL, NULL, NULL},
    /* /shop/ with a root of its own */
    {"/shop/cart.php/7", "pool", "/shop/*.php", 0, "/shop/cart.php", "/7", "shop/cart.php"},
    {"/shop/", "error", "/shop/", 403, NULL, NULL, NULL},
    {"/shop/admin/", "pool", "/shop/*.php", 0, "/shop/admin/index.php", "",
     "shop/admin/index.php"},
    {"/shop", "answer", "/shop/", 301, NULL, NULL, NULL},
    {"/shopping/cart.php", "error", "*.php", 404, NULL, NULL, NULL},
    {"/shop/app.php", "error", "/shop/*.php", 404, NULL, NULL, NULL},
    /* a folder of programs */
    {"/cgi-bin/hello", "pool", "/cgi-bin/", 0, "/cgi-bin/hello", "", "cgi/hello"},
    {"/cgi-bin/hello/World", "pool", "/cgi-bin/", 0, "/cgi-bin/hello", "/World", "cgi/hello"},
    {"/cgi-bin/hello/a%20b/c%2Bd", "pool", "/cgi-bin/", 0, "/cgi-bin/hello", "/a b/c+d",
     "cgi/hello"},
    {"/cgi-bin//hello//x", "pool", "/cgi-bin/", 0, "/cgi-bin//hello", "//x", "cgi/hello"},
    {"//cgi-bin/hello", "pool", "/cgi-bin/", 0, "//cgi-bin/hello", "", "cgi/hello"},
    {"/cgi-bin/deep/prog/x", "pool", "/cgi-bin/", 0, "/cgi-bin/deep/prog", "/x",
     "cgi/deep/prog"},
    {"/cgi-bin/run.sh", "pool", "/cgi-bin/", 0, "/cgi-bin/run.sh", "", "cgi/run.sh"},
    {"/cgi-bin/notexec", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin/notexec/x", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin/missing", "error", "/cgi-bin/", 404, NULL, NULL, NULL},
    {"/cgi-bin/deep/missing/x", "error", "/cgi-bin/", 404, NULL, NULL, NULL},
    {"/cgi-bin/evil", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin/evildir/secret", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin/", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin/deep/", "error", "/cgi-bin/", 403, NULL, NULL, NULL},
    {"/cgi-bin/deep", "answer", "/cgi-bin/", 301, NULL, NULL, NULL},
    {"/cgi-bin/indexed/", "pool", "/cgi-bin/", 0, "/cgi-bin/indexed/index.cgi", "",
     "cgi/indexed/index.cgi"},
    {"/cgi-bin/x/../hello", "pool", "/cgi-bin/", 0, "/cgi-bin/hello", "", "cgi/hello"},
    {"/cgi-bin/../read.txt", "files", "/", 0, NULL, NULL, "site/read.txt"},
    {"/cgi-binx", "error", "/", 404, NULL, NULL, NULL},
    {"/one/hello", "pool", "/one", 0, "/one/hello", "", "cgi/hello"},
    {"/one/hello/x", "error", "/", 404, NULL, NULL, NULL},
    /* applications that are everything below the pattern */
    {"/app", "pool", "/app/", 0, "/app", "", ""},
    {"/app/", "pool", "/app/", 0, "/app", "/", ""},
    {"/app/x/y", "pool", "/app/", 0, "/app", "/x/y", ""},
    {"/app//x", "pool", "/app/", 0, "/app", "//x", ""},
    {"//app/x", "pool", "/app/", 0, "//app", "/x", ""},
    {"/app/deep", "pool", "/app/deep/", 0, "/app/deep", "", ""},
    {"/app/deep/er", "pool", "/app/deep/", 0, "/app/deep", "/er", ""},
    {"/app/deeper", "pool", "/app/", 0, "/app", "/deeper", ""},
    {"/app/none.php", "pool", "/app/", 0, "/app", "/none.php", ""},
    {"/application", "error", "/", 404, NULL, NULL, NULL},
    {"/status", "pool", "/status", 0, "/status", "", ""},
    {"/status/", "error", "/", 404, NULL, NULL, NULL},
    {"//status", "pool", "/status", 0, "//status", "", ""},
    {"/a.txt", "pool", "/a.txt", 0, "/a.txt", "", ""},
    {"/app/x%2Fy", "pool", "/app/", 0, "/app", "/x/y", ""},
    {"/app/..%2f..%2f..%2fetc", "error", NULL, 400, NULL, NULL, NULL},
    {"/app/..%2fread.txt", "error", "/", 400, NULL, NULL, NULL},
    {"/sub%2findex.html", "error", "/", 400, NULL, NULL, NULL},
    {"/cgi-bin/hello/a%2Fb", "pool", "/cgi-bin/", 0, "/cgi-bin/hello", "/a/b", "cgi/hello"},
    {"/cgi-bin/..%2f..%2foutside%2fsecret", "error", NULL, 400, NULL, NULL, NULL},
    /* one program for everything */
    {"/git/repo.git/info/refs?service=x", "pool", "/git/", 0, "/git", "/repo.git/info/refs",
     "program"},
    {"/git", "pool", "/git/", 0, "/git", "", "program"},
    {"/gone/x", "error", "/gone/", 404, NULL, NULL, NULL},
    {"/plain/x", "error", "/plain/", 403, NULL, NULL, NULL},
    /* another machine's files */
    {"/remote/deep/x.php/y", "pool", "/remote/*.php", 0, "/remote/deep/x.php", "/y",
     "/srv/elsewhere/deep/x.php"},
    {"/remote/", "pool", "/remote/*.php", 0, "/remote/index.php", "",
     "/srv/elsewhere/index.php"},
    {"/remote/prog/y", "pool", "/remote/", 0, "/remote/prog", "/y", "/srv/elsewhere/prog"},
    /* redirects */
    {"/old/x", "answer", "/old/", 308, NULL, NULL, NULL},
    {"/old", "answer", "/old/", 308, NULL, NULL, NULL},
};

static void check_file(const struct row *row, struct slice file)
{
    char want[256];

    if (row->file[0] == '\0' || row->file[0] == '/')
        snprintf(want, sizeof(want), "%s", row->file);
    else
        snprintf(want, sizeof(want), "%s/%s", dir, row->file);
    if (!slice_eq(file, slice_str(want)))
        fail_msg("%s: file %.*s", row->target, SLICE_FMT(file));
}

static void check_row(struct router *r, const struct row *row)
{
    struct stream s;

    run_with(r, &s, "GET", row->target, 0, -1);
    if (strcmp(did.what, row->what) != 0 || did.status != row->status)
        fail_msg("%s: %s %d", row->target, did.what, did.status);
    if (row->pattern && (!s.route || !slice_eq(s.route->pattern, slice_str(row->pattern))))
        fail_msg("%s: another route", row->target);
    if (row->script_name && (!slice_eq(did.m->script_name, slice_str(row->script_name)) ||
                             !slice_eq(did.m->path_info, slice_str(row->path_info))))
        fail_msg("%s: SCRIPT_NAME=%.*s PATH_INFO=%.*s", row->target,
                 SLICE_FMT(did.m->script_name), SLICE_FMT(did.m->path_info));
    if (did.m) {
        check_file(row, did.m->file);
        assert_ptr_equal(did.m->route, s.route);
    }
    if (did.pool)
        assert_ptr_equal(did.pool, s.route->filter ? pools[s.route->filter - conf_pools]
                                                   : pools[s.route->pool]);
    arena_fini(&s.arena);
}

static struct router *new_router(void)
{
    struct router *r = router_new(&conf, pools, stderr);

    assert_non_null(r);
    return r;
}

static void route_table(void **state)
{
    struct router *r = new_router();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(r, &rows[i]);
    router_free(r);
}

static void locations(void **state)
{
    static const struct {
        const char *target, *location;
    } table[] = {
        {"/sub", "/sub/"},
        {"/sub?a=b&c=%20d", "/sub/?a=b&c=%20d"},
        {"/sub?", "/sub/?"},
        {"/sub%20dir", "/sub%20dir/"},
        {"//sub", "/sub/"}, /* not the host "sub" */
        {"///sub//bare", "/sub/bare/"},
        {"/x/../sub", "/sub/"},
        {"/old/path?q", "https://new.example/"},
    };
    struct router *r = new_router();
    struct stream s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        run_with(r, &s, "GET", table[i].target, 0, -1);
        assert_string_equal(did.what, "answer");
        assert_string_equal(did.location, table[i].location);
        arena_fini(&s.arena);
    }
    router_free(r);
}

static void translated_paths(void **state)
{
    struct router *r = new_router();
    struct stream s;
    char want[256];

    (void)state;
    run_with(r, &s, "GET", "/cgi-bin/hello/a%20b", 0, -1);
    snprintf(want, sizeof(want), "%s/a b", site_root);
    assert_true(slice_eq(did.m->path_translated, slice_str(want)));
    snprintf(want, sizeof(want), "%s/cgi", dir);
    assert_true(slice_eq(did.m->document_root, slice_str(want)));
    arena_fini(&s.arena);

    run_with(r, &s, "GET", "/app.php", 0, -1);
    assert_int_equal(did.m->path_translated.n, 0);
    assert_true(slice_eq(did.m->document_root, slice_str(site_root)));
    arena_fini(&s.arena);
    router_free(r);
}

static void unsearchable_folder_is_left_to_the_runner(void **state)
{
    struct router *r = new_router();
    struct row row = {"/closed/prog/x", "pool", "/closed/",   0,
                      "/closed/prog",   "/x",   "closed/prog"};

    (void)state;
    if (geteuid() == 0) { /* root may search anything */
        assert_int_equal(seteuid(65534), 0);
        check_row(r, &row);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(chmod(closed_root, 0700), 0);
        assert_int_equal(seteuid(65534), 0);
        check_row(r, &row);
        assert_int_equal(seteuid(0), 0);
    } else {
        assert_int_equal(chmod(closed_root, 0), 0);
        check_row(r, &row);
        assert_int_equal(chmod(closed_root, 0755), 0);
    }
    router_free(r);
}

static void methods(void **state)
{
    struct router *r = new_router();
    struct stream s;

    (void)state;
    run_with(r, &s, "TRACE", "/app/", 0, -1);
    assert_int_equal(did.status, 405);
    assert_true(strlen(did.allow) > 0);
    arena_fini(&s.arena);
    run_with(r, &s, "CONNECT", "example.org:443", 0, -1);
    assert_int_equal(did.status, 405);
    arena_fini(&s.arena);
    run_with(r, &s, "OPTIONS", "*", 0, -1);
    assert_int_equal(did.status, 204);
    assert_true(strlen(did.allow) > 0);
    arena_fini(&s.arena);
    run_with(r, &s, "GET", "*", 0, -1);
    assert_int_equal(did.status, 400);
    arena_fini(&s.arena);
    run_with(r, &s, "PROPFIND", "/app/", 0, -1);
    assert_string_equal(did.what, "pool");
    arena_fini(&s.arena);
    router_free(r);
}

static void passwords(void **state)
{
    static const struct {
        const char *target;
        bool asked;
    } table[] = {
        {"/secret/", true},
        {"/secret", true},
        {"//secret//x", true},
        {"/%73ecret/", true},
        {"/x/../secret/", true},
        {"/push/repo/info/refs", false},
        {"/push/repo/info/refs?service=git-upload-pack", false},
        {"/push/repo/info/refs?service=git-receive-pack", true},
        {"/push/repo/info/refs?service=git%2Dreceive-pack", true},
        {"/push/repo/info/refs?service=git-receive-pac%6b&x", true},
        {"/push/repo/git-receive-pack", true},
        {"/push/repo//git-receive-pack", true},
        {"/push/repo/git%2dreceive-pack", true},
        {"/push/repo%2fgit-receive-pack", true},
        {"/x%2f..%2fsecret%2f", true},
        {"/app/", false},
    };
    struct router *r = new_router();
    struct stream s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        run_with(r, &s, "GET", table[i].target, 0, -1);
        if (did.n_auth != table[i].asked)
            fail_msg("%s: asked %u times", table[i].target, did.n_auth);
        assert_string_equal(did.what, "pool");
        assert_true(slice_eq(s.remote_user, table[i].asked ? SLICE("alice") : SLICE("")));
        assert_true(slice_eq(s.auth_type, table[i].asked ? SLICE("Basic") : SLICE("")));
        /* a second run, as after a local redirect, does not inherit the user */
        s.req.target = s.req.path = SLICE("/app/");
        memset(&did, 0, sizeof(did));
        router_handle(r, &s);
        assert_int_equal(s.remote_user.n, 0);
        arena_fini(&s.arena);
    }
    run_with(r, &s, "GET", "/secret/", GW_EUNAUTHORIZED, -1);
    assert_int_equal(did.status, 401);
    assert_string_equal(did.challenge, "Basic realm");
    arena_fini(&s.arena);
    run_with(r, &s, "GET", "/secret/", GW_EAUTH_FILE, -1);
    assert_int_equal(did.status, 500);
    assert_string_equal(did.challenge, "");
    arena_fini(&s.arena);
    router_free(r);
}

static void body_limits(void **state)
{
    static const struct {
        const char *target;
        int64_t length;
        int status;
    } table[] = {
        {"/small/", 10, 0},   {"/small/", 11, 413}, {"/app/", 1000, 0},
        {"/app/", 1001, 413}, {"/small/", -1, 0},   {"/read.txt", 1001, 413},
    };
    struct router *r = new_router();
    struct stream s;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        run_with(r, &s, "POST", table[i].target, 0, table[i].length);
        assert_int_equal(did.status, table[i].status);
        arena_fini(&s.arena);
    }
    router_free(r);
}

/* Whatever a path leads to, nobody hears of it before the route's authorizer agreed. */
static void authorizers(void **state)
{
    static const struct {
        const char *target, *file; /* what the authorizer hears of, below the tree */
        unsigned pool, asked;      /* who, how often until it is answered */
        const char *what;
        int status;
    } table[] = {
        {"/read.txt", "site/read.txt", POOL_APP, 1, "files", 0},
        {"/nothing", "", POOL_APP, 1, "error", 404},
        {"/up.txt", "", POOL_APP, 1, "error", 403},
        {"/read.txt%2f", "", POOL_APP, 1, "error", 400},
        {"/sub", "", POOL_APP, 1, "answer", 301},
        {"/sub/", "", POOL_APP, 1, "files", 0}, /* once for both */
        {"/old/x", "", POOL_APP, 1, "answer", 302},
        {"/app.php/x", "site/app.php", POOL_TCP, 1, "pool", 0},
        {"/php/", "", POOL_APP, 2, "pool", 0}, /* its index has another */
        {"/x.d/in.php", "site/x.d/in.php", POOL_TCP, 1, "pool", 0},
        {"/open/x", "", POOL_APP, 0, "pool", 0},
        {"/folder.php/", "", POOL_APP, 1, "files", 0}, /* not the .php route, after all */
    };
    struct router *r = new_router();
    struct stream s;
    char file[256];

    (void)state;
    authority = SLICE("guarded.example");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        run_with(r, &s, "GET", table[i].target, 0, -1);
        for (unsigned k = 0; k < table[i].asked; k++) {
            assert_string_equal(did.what, "");
            snprintf(file, sizeof(file), "%s%s%s", table[i].file[0] ? dir : "",
                     table[i].file[0] ? "/" : "", table[i].file);
            if (k == 0) {
                assert_string_equal(did.asked_file, file);
                assert_ptr_equal(did.authorizer, pools[table[i].pool]);
            }
            authorizer_allows(&s);
        }
        if (strcmp(did.what, table[i].what) != 0 || did.status != table[i].status)
            fail_msg("%s: %s %d", table[i].target, did.what, did.status);
        assert_int_equal(did.n_authorizer, table[i].asked);
        arena_fini(&s.arena);
    }
    authority = SLICE("example.org:80");
    router_free(r);
}

static void bad_expression(void **state)
{
    struct conf_route bad = routes[0];
    struct conf_site site = sites[0];
    struct conf c = {.sites = &site, .n_sites = 1};
    char *text = NULL;
    size_t n = 0;

    (void)state;
    bad.auth_basic = true;
    bad.auth_match = "(";
    bad.file = "x.ini";
    bad.line = 7;
    site.routes = &bad;
    site.n_routes = 1;
    FILE *to = open_memstream(&text, &n);
    assert_null(router_new(&c, pools, to));
    fclose(to);
    assert_non_null(strstr(text, "x.ini:7: auth_match: "));
    free(text);
}

static void no_descriptor_is_left(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    route_table(NULL);
    body_limits(NULL);
    int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(again, fd + 1);
    close(again);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_table),
        cmocka_unit_test(locations),
        cmocka_unit_test(translated_paths),
        cmocka_unit_test(unsearchable_folder_is_left_to_the_runner),
        cmocka_unit_test(methods),
        cmocka_unit_test(passwords),
        cmocka_unit_test(body_limits),
        cmocka_unit_test(authorizers),
        cmocka_unit_test(bad_expression),
        cmocka_unit_test(no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
