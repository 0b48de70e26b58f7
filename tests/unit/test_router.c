/* What answers a path. */
#include "router_world.h"

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

static void no_descriptor_is_left(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    route_table(NULL);
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
        cmocka_unit_test(no_descriptor_is_left),
    };

    return cmocka_run_group_tests_name("router", tests, make_tree, remove_tree);
}
