/*
 * conf/conf.c, load.c and derive.c: what a configuration becomes, from text and from files.
 */
#include "conf_text.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void assert_slice(struct slice s, const char *want)
{
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p, want, s.n);
}

/* ---- what it becomes -------------------------------------------------------------------- */

static void test_minimal(void **state)
{
    struct conf *conf = good(MINIMAL);
    const struct conf_gateway *g = &conf->gateway;

    (void)state;
    assert_string_equal(conf->path, "x");
    assert_int_equal(conf->n_listens, 1);
    assert_string_equal(conf->listens[0].name, "a");
    assert_string_equal(conf->listens[0].addresses[0], "*:80");
    assert_false(conf->listens[0].tls);
    assert_int_equal(conf->n_sites, 1);
    assert_int_equal(conf->default_site, 0);
    assert_int_equal(conf->n_pools, 0);

    const struct conf_site *site = &conf->sites[0];
    assert_string_equal(site->name, "s");
    assert_string_equal(site->file, "x");
    assert_int_equal(site->line, 3);
    assert_int_equal(site->n_index, 1);
    assert_slice(site->index[0], "index.html");
    assert_true(site->body_limit == 1 << 30);
    assert_int_equal(site->request_body, CONF_BODY_AUTO);
    assert_int_equal(site->response_body, CONF_BODY_SPOOL);
    assert_true(site->response_spool_limit == 16 << 20);
    assert_int_equal(site->links, CONF_LINKS_INSIDE);

    const struct conf_route *route = &site->routes[0];
    assert_int_equal(site->n_routes, 1);
    assert_slice(route->pattern, "/");
    assert_slice(route->prefix, "/");
    assert_int_equal(route->suffix.n, 0);
    assert_int_equal(route->pool, -1);
    assert_int_equal(route->script_check, CONF_UNSET);
    assert_true(route->body_limit == -1);
    assert_int_equal(route->request_body, -1);
    assert_int_equal(route->response_body, -1);
    assert_true(route->response_spool_limit == -1);
    assert_int_equal(route->links, -1);
    assert_string_equal(route->auth.realm, "restricted");

    assert_null(g->user);
    assert_int_equal(g->workers, 0);
    assert_int_equal(g->writers, 64);
    assert_true(g->spool_memory == 64 << 10 && g->spool_limit == 4LL << 30);
    assert_int_equal(g->max_connections, 10000);
    assert_string_equal(g->access_log, "off");
    assert_string_equal(g->error_log, "stderr");
    assert_int_equal(g->error_level, CONF_LOG_NOTICE);
    assert_true(g->handshake_timeout_ms == 10000 && g->write_timeout_ms == 60000);
    assert_true(g->head_limit == 65536 && g->h2_stream_window == 65536);
    assert_true(g->h2_connection_window == 256 << 20);
    conf_free(conf);
}

static void test_folders(void **state)
{
    char want[64];
    struct conf *conf;

    (void)state;
    conf = good("[gateway]\nruntime_dir = /a/\n" MINIMAL);
    assert_string_equal(conf->gateway.runtime_dir, "/a");
    assert_string_equal(conf->gateway.pid_file, "/a/h2cgi.pid");
    assert_string_equal(conf->gateway.spool_dir, geteuid() ? "/a/spool" : "/var/spool/h2cgi");
    conf_free(conf);

    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    conf = good(MINIMAL);
    assert_string_equal(conf->gateway.runtime_dir,
                        geteuid() ? "/run/user/7/h2cgi" : "/run/h2cgi");
    conf_free(conf);

    unsetenv("XDG_RUNTIME_DIR");
    snprintf(want, sizeof(want), "/tmp/h2cgi-%ld", (long)geteuid());
    conf = good(MINIMAL);
    assert_string_equal(conf->gateway.runtime_dir, geteuid() ? want : "/run/h2cgi");
    conf_free(conf);
}

static const struct pattern_row {
    const char *text, *pattern, *prefix, *suffix;
    bool exact;
} pattern_rows[] = {
    {"/", "/", "/", "", false},
    {"/x", "/x", "/x/", "", false},
    {"/x/", "/x/", "/x/", "", false},
    {"/x y/z", "/x y/z", "/x y/z/", "", false},
    {"*.php", "*.php", "/", ".php", false},
    {"/*.php", "/*.php", "/", ".php", false},
    {"/shop/*.php", "/shop/*.php", "/shop/", ".php", false},
    {"= /x", "/x", "/x", "", true},
    {"=/x/", "/x/", "/x/", "", true},
    {"= /*", "/*", "/*", "", true},
};

static void test_patterns(void **state)
{
    char text[256];

    (void)state;
    for (size_t i = 0; i < ROWS(pattern_rows); i++) {
        const struct pattern_row *r = &pattern_rows[i];
        snprintf(text, sizeof(text), MINIMAL "[route s %s]\n", r->text);
        struct conf *conf = good(text);
        const struct conf_route *route = &conf->sites[0].routes[0];
        /* The files of root come last, unless the pattern is theirs. */
        assert_int_equal(conf->sites[0].n_routes, strcmp(r->text, "/") == 0 ? 1 : 2);
        assert_slice(route->pattern, r->pattern);
        assert_slice(route->prefix, r->prefix);
        assert_slice(route->suffix, r->suffix);
        assert_int_equal(route->exact, r->exact);
        assert_int_equal(route->line, 5);
        conf_free(conf);
    }
}

static const struct pool_row {
    const char *keys;
    unsigned processes, max_requests, keepalive;
    int64_t timeout_ms;
} pool_rows[] = {
    {"connect = unix:/x", 0, 16, 16, 3600000},
    {"connect = unix:/x\nmax_requests = 4", 0, 4, 4, 3600000},
    {"connect = unix:/x\nkeepalive = 0\ntimeout = 5m", 0, 16, 0, 300000},
    {"spawn = /x", 1, 1, 1, 3600000},
    {"spawn = /x\nprocesses = 4", 4, 4, 4, 3600000},
    {"spawn = /x\nprocesses = 4\nrequests_per_process = 8", 4, 32, 32, 3600000},
    {"spawn = /x\nprocesses = 4\nmax_requests = 2\nkeepalive = 1", 4, 2, 1, 3600000},
    {"spawn = /x\nprocesses = 4096\nrequests_per_process = 4096", 4096, 65535, 65535, 3600000},
    {"cgi = on", 16, 16, 16, 60000},
    {"cgi = on\nmax_requests = 3", 3, 3, 3, 60000},
    {"cgi = on\nprocesses = 5", 5, 5, 5, 60000},
    {"cgi = on\nprocesses = 5\nmax_requests = 4\ntimeout = 2h", 5, 4, 4, 7200000},
};

/* min_processes and slots. */
static const struct slots_row {
    const char *keys;
    unsigned min, max, slots, max_requests;
} slots_rows[] = {
    {"connect = unix:/x", 0, 0, 0, 16},
    {"spawn = /x\nprocesses = 4", 4, 4, 4, 4},
    {"spawn = /x\nprocesses = 0-8", 0, 8, 8, 8},
    {"spawn = /x\nmax_age = 1h", 1, 1, 2, 1},
    {"spawn = /x\nprocesses = 2-5\nmax_memory = 64M\nrequests_per_process = 2", 2, 5, 7, 10},
    {"cgi = on\nprocesses = 0-4\nmax_requests_per_process = 9", 0, 4, 5, 4},
    {"spawn = /x\nlisten = self\nconnect = h:1\nmax_age = 1h", 1, 1, 1, 1},
    {"spawn = /x\nlisten = self\nconnect = unix:/a{slot}\nprocesses = 4\nmax_age = 1h", 4, 4, 5,
     4},
};

static void test_slots(void **state)
{
    char text[256];

    (void)state;
    for (size_t i = 0; i < ROWS(slots_rows); i++) {
        const struct slots_row *r = &slots_rows[i];
        snprintf(text, sizeof(text), MINIMAL "[pool p]\n%s\n", r->keys);
        struct conf *conf = good(text);
        const struct conf_pool *pool = &conf->pools[0];
        assert_int_equal(pool->min_processes, r->min);
        assert_int_equal(pool->processes, r->max);
        assert_int_equal(pool->slots, r->slots);
        assert_int_equal(pool->max_requests, r->max_requests);
        assert_int_equal(pool->n_connect != 0, pool->processes == 0);
        conf_free(conf);
    }
}

static void test_pools(void **state)
{
    char text[256];

    (void)state;
    for (size_t i = 0; i < ROWS(pool_rows); i++) {
        const struct pool_row *r = &pool_rows[i];
        snprintf(text, sizeof(text), MINIMAL "[pool p]\n%s\n", r->keys);
        struct conf *conf = good(text);
        const struct conf_pool *pool = &conf->pools[0];
        assert_string_equal(pool->name, "p");
        assert_int_equal(pool->processes, r->processes);
        assert_int_equal(pool->max_requests, r->max_requests);
        assert_int_equal(pool->keepalive, r->keepalive);
        assert_true(pool->timeout_ms == r->timeout_ms);
        assert_int_equal(pool->queue, 128);
        assert_true(pool->abort_timeout_ms == 5000 && pool->queue_timeout_ms == 10000);
        conf_free(conf);
    }
}

/* Routes come before their site, pools and sites in any order; indices are right. */
static void test_references(void **state)
{
    struct conf *conf = good("[route b /1]\npool = q\n"
                             "[route a /2]\npool = p\nscript_check = on\n"
                             "[pool p]\nconnect = h:1\n"
                             "[site a]\nhost = a\n"
                             "[route b /3]\npool = p\nenv.A = x\nenv.B =\n"
                             "[pool q]\nconnect = unix:/q\n"
                             "[site b]\nhost = b *\n"
                             "[site c]\nhost = c\nroot = /c\nindex = i j\nindex = k\n" LISTEN);
    const struct conf_site *b = &conf->sites[1];

    (void)state;
    assert_int_equal(conf->n_sites, 3);
    assert_int_equal(conf->default_site, 1);
    assert_string_equal(b->name, "b");
    assert_int_equal(b->n_routes, 2);
    assert_slice(b->routes[0].prefix, "/1/");
    assert_string_equal(conf->pools[b->routes[0].pool].name, "q");
    assert_int_equal(b->routes[0].script_check, CONF_ON);
    assert_slice(b->routes[1].prefix, "/3/");
    assert_int_equal(b->routes[1].script_check, CONF_OFF);
    assert_int_equal(b->routes[1].n_env, 2);
    assert_slice(b->routes[1].env[1].name, "B");
    assert_int_equal(conf->sites[0].routes[0].script_check, CONF_ON);
    assert_int_equal(conf->sites[2].n_index, 3);
    assert_slice(conf->sites[2].index[2], "k");
    conf_free(conf);
}

/* What a site says of a family is what its routes say of it, where they do not. */
static void test_families(void **state)
{
    struct conf *conf = good("[site a]\nroot = /a\nenv.A = site\nenv.B = site\n"
                             "[route a /1]\npool = p\nenv.C = route\nenv.A = route\n"
                             "[pool p]\nconnect = h:1\n" LISTEN);
    const struct conf_route *routes = conf->sites[0].routes;
    static const char *const want[][2] = {{"B", "site"}, {"C", "route"}, {"A", "route"}};

    (void)state;
    assert_int_equal(routes[0].n_env, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_slice(routes[0].env[i].name, want[i][0]);
        assert_slice(routes[0].env[i].value, want[i][1]);
    }
    assert_int_equal(routes[1].n_env, 2); /* what no route takes */
    assert_slice(routes[1].env[0].value, "site");
    conf_free(conf);
}

/* Key by key the site's, but users and groups together; what no route takes too. */
static void test_auth(void **state)
{
    struct conf *conf =
        good("[site a]\nroot = /a\nauth = basic\nauth_file = /f\nauth_realm = hall\n"
             "auth_users = x y\nauth_group_file = /g\nsatisfy = any\n"
             "[route a /1]\nauth = off\n[route a /2]\nauth_file = /h\nsatisfy = all\n"
             "[route a /3]\nauth_groups = z\n[route a /4]\nauth_users = *\nauth_realm = own\n"
             "[site b]\nhost = b\nroot = /b\n" LISTEN);
    const struct conf_route *a = conf->sites[0].routes, *b = conf->sites[1].routes;

    (void)state;
    assert_int_equal(conf->sites[0].n_routes, 5);
    assert_int_equal(a[0].auth.basic, 0);
    assert_int_equal(a[1].auth.basic, 1);
    assert_string_equal(a[1].auth.file, "/h");
    assert_string_equal(a[1].auth.realm, "hall");
    assert_int_equal(a[1].auth.n_users, 2);
    assert_int_equal(a[1].auth.satisfy, CONF_SATISFY_ALL);
    assert_int_equal(a[2].auth.n_users, 0);
    assert_int_equal(a[2].auth.n_groups, 1);
    assert_string_equal(a[2].auth.group_file, "/g");
    assert_int_equal(a[2].auth.satisfy, CONF_SATISFY_ANY);
    assert_int_equal(a[3].auth.n_users, 0);
    assert_int_equal(a[3].auth.n_groups, 0);
    assert_string_equal(a[3].auth.realm, "own");
    assert_int_equal(a[4].auth.basic, 1); /* the rest of the site */
    assert_slice(a[4].auth.users[1], "y");
    assert_int_equal(b[0].auth.basic, 0);
    assert_string_equal(b[0].auth.realm, "restricted");
    assert_int_equal(b[0].auth.satisfy, CONF_SATISFY_ALL);
    assert_int_equal(conf->gateway.auth_failures.n, 10);
    conf_free(conf);
}

/* A route's authorizer is its site's unless it says otherwise; what no route takes too. */
static void test_roles(void **state)
{
    struct conf *conf = good("[site a]\nauthorizer = p\nroot = /a\n"
                             "[route a /1]\n[route a /2]\nauthorizer = off\nfilter = p\n"
                             "filter_cache = on\n[route a /3]\nauthorizer = q\nfilter = q\n"
                             "[pool p]\nconnect = h:1\n[pool q]\nconnect = h:1\n"
                             "[site b]\nhost = b\nroot = /b\n"
                             "[route b /1]\nauthorizer = q\nenv.A = x\n" LISTEN);
    const struct conf_route *a = conf->sites[0].routes, *b = conf->sites[1].routes;
    const struct conf_pool *p = &conf->pools[0], *q = &conf->pools[1];

    (void)state;
    assert_int_equal(conf->sites[0].n_routes, 4);
    assert_ptr_equal(a[0].authorizer, p);
    assert_null(a[0].filter);
    assert_false(a[0].filter_cache);
    assert_null(a[1].authorizer);
    assert_ptr_equal(a[2].authorizer, q);
    assert_ptr_equal(a[2].filter, q);
    assert_ptr_equal(a[1].filter, p);
    assert_true(a[1].filter_cache && !a[2].filter_cache);
    assert_ptr_equal(a[3].authorizer, p);
    assert_ptr_equal(b[0].authorizer, q);
    assert_null(b[1].authorizer);
    assert_int_equal(conf->gateway.filter_cache_size, 16 * 1024 * 1024);
    assert_int_equal(conf->gateway.filter_cache_entry, 1024 * 1024);
    conf_free(conf);
}

/* ---- files ------------------------------------------------------------------------------ */

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* Read dir/main.ini; its errors without the folder's name. */
static struct conf *read_dir(const char *dir, char errors[4096])
{
    char path[256], *said = NULL;
    size_t len = 0, n = 0;
    FILE *out = open_memstream(&said, &len);

    assert_non_null(out);
    snprintf(path, sizeof(path), "%s/main.ini", dir);
    struct conf_source source = {.name = path, .syntax_only = true};
    struct conf *conf = conf_read(&source, out);
    fclose(out);
    for (const char *at = said; *at;) {
        assert_true(n < 4095);
        if (strncmp(at, dir, strlen(dir)) == 0 && at[strlen(dir)] == '/')
            at += strlen(dir) + 1;
        else
            errors[n++] = *at++;
    }
    errors[n] = '\0';
    free(said);
    return conf;
}

static const struct include_row {
    const char *main, *one, *two; /* main.ini, conf.d/1.ini, conf.d/2.ini */
    const char *errors;
    const char *sites; /* names, in order */
} include_rows[] = {
    /* sorted, and after the file that includes them, wherever the key is */
    {"[gateway]\ninclude = conf.d/*.ini\n" MINIMAL "host = s\n",
     "[site t]\nhost = t\nroot = /t\n", "[site u]\nhost = u\nroot = /u\n", "", "stu"},
    {"[gateway]\ninclude = conf.d/2.ini conf.d/1.ini\n" MINIMAL "host = s\n",
     "[site t]\nhost = t\nroot = /t\n", "[site u]\nhost = u\nroot = /u\n", "", "sut"},
    /* an included file includes relative to itself, and has other keys of [gateway] */
    {"[gateway]\nworkers = 1\ninclude = conf.d/1.ini\n" MINIMAL "host = s\n",
     "[gateway]\nwriters = 2\ninclude = 2.ini\n", "[site u]\nhost = u\nroot = /u\n", "", "su"},
    {"[gateway]\nworkers = 1\ninclude = conf.d/*.ini\n" MINIMAL, "[gateway]\nworkers = 2\n",
     "[site s]\n",
     "conf.d/1.ini:2: \"workers\" is given twice, first at main.ini:2\n"
     "conf.d/2.ini:1: [site s] is given twice, first at main.ini:6\n",
     NULL},
    {"[gateway]\ninclude = conf.d/*.ini\n" MINIMAL, "[gateway]\ninclude = 1.ini ../main.ini\n",
     "x\n",
     "conf.d/1.ini:2: conf.d/1.ini is read already: includes may not loop or overlap\n"
     "conf.d/1.ini:2: conf.d/../main.ini is read already: includes may not loop or overlap\n"
     "conf.d/2.ini:1: neither \"key = value\", nor a [section], nor a comment\n",
     NULL},
    {"[gateway]\ninclude = no.ini no*.ini\n" MINIMAL, "", "",
     "main.ini:2: include = no.ini: no such file\n", NULL},
    {"[gateway]\ninclude = conf.d\n" MINIMAL, "", "",
     "conf.d:1: cannot be read: Is a directory\n", NULL},
    /* a section ends with its file */
    {"[gateway]\ninclude = conf.d/1.ini\n" MINIMAL, "root = /x\n", "",
     "conf.d/1.ini:1: \"root\" is above the first [section]\n", NULL},
};

static void test_includes(void **state)
{
    char dir[] = "/tmp/h2cgi-test-XXXXXX", sub[64], errors[4096];
    static const char *const files[] = {"main.ini", "conf.d/1.ini", "conf.d/2.ini", "conf.d",
                                        ""};

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/conf.d", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    for (size_t i = 0; i < ROWS(include_rows); i++) {
        const struct include_row *r = &include_rows[i];
        write_file(dir, "main.ini", r->main);
        write_file(sub, "1.ini", r->one);
        write_file(sub, "2.ini", r->two);
        struct conf *conf = read_dir(dir, errors);
        assert_string_equal(errors, r->errors);
        assert_int_equal(conf != NULL, r->sites != NULL);
        for (size_t k = 0; conf && r->sites[k]; k++)
            assert_int_equal(conf->sites[k].name[0], r->sites[k]);
        conf_free(conf);
    }
    for (size_t i = 0; i < ROWS(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void test_no_file(void **state)
{
    char *errors = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&errors, &len);

    (void)state;
    assert_non_null(out);
    assert_null(conf_load("/nowhere/h2cgi.ini", out));
    fclose(out);
    assert_string_equal(errors, "/nowhere/h2cgi.ini:1: cannot be read: No such file or "
                                "directory\n");
    free(errors);
}

/* The files that users begin with; also the reference with every key in use. */
static void test_own_files(void **state)
{
    static const char *const names[] = {"conf/h2cgi.ini",
                                        "conf/examples/php-fpm.ini",
                                        "conf/examples/cgi-bin.ini",
                                        "conf/examples/git-http.ini",
                                        "conf/examples/sites-tls.ini",
                                        "conf/examples/websocket.ini"};

    (void)state;
    for (size_t i = 0; i < ROWS(names); i++) {
        struct conf_source source = {.name = names[i], .syntax_only = true};
        struct conf *conf = conf_read(&source, stderr);
        assert_non_null(conf);
        conf_free(conf);
    }
}

static void test_reference_in_use(void **state)
{
    FILE *in = fopen("conf/h2cgi.ini", "r");
    char *text = NULL, line[256];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_true(in && out);
    while (fgets(line, sizeof(line), in)) {
        bool key = line[0] == ';' && (line[1] == '[' || (line[1] >= 'a' && line[1] <= 'z'));
        /* There is no folder for it to be relative to. */
        if (strncmp(line, ";include", 8) != 0)
            fputs(line + key, out);
    }
    fclose(in);
    fclose(out);
    struct conf *conf = good(text);
    assert_int_equal(conf->n_pools, 6);
    assert_int_equal(conf->sites[0].n_routes, 8);
    conf_free(conf);
    free(text);
}

/* ---- size ------------------------------------------------------------------------------- */

static void test_many_sites(void **state)
{
    enum { SITES = 2000 };
    char *text = NULL, name[32];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct timespec a, b;

    (void)state;
    assert_non_null(out);
    fprintf(out, LISTEN "[pool p]\nconnect = unix:/run/p.sock\n");
    for (int i = 0; i < SITES; i++)
        fprintf(out,
                "[site s%d]\nhost = s%d.example.org www.s%d.example.org\nroot = /srv/s%d\n"
                "index = index.html index.php\n[route s%d *.php]\npool = p\nenv.SITE = %d\n"
                "[route s%d /files/]\nroot = /srv/files/%d\n",
                i, i, i, i, i, i, i, i);
    fclose(out);
    clock_gettime(CLOCK_MONOTONIC, &a);
    struct conf *conf = good(text);
    clock_gettime(CLOCK_MONOTONIC, &b);
    print_message("%d sites, %zu bytes: %.1f ms\n", SITES, len,
                  (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
    assert_int_equal(conf->n_sites, SITES);
    for (unsigned i = 0; i < SITES; i++) {
        const struct conf_site *site = &conf->sites[i];
        snprintf(name, sizeof(name), "s%u", i);
        assert_string_equal(site->name, name);
        assert_int_equal(site->n_hosts, 2);
        assert_int_equal(site->n_routes, 3);
        assert_int_equal(site->routes[0].pool, 0);
        assert_int_equal(site->routes[1].pool, -1);
        assert_slice(site->routes[0].env[0].value, name + 1);
    }
    conf_free(conf);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimal),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_includes),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_own_files),
        cmocka_unit_test(test_reference_in_use),
        cmocka_unit_test(test_many_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
