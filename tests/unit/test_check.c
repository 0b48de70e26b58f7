/*
 * conf_load and conf_load_text as a whole: what a configuration becomes, and what is said of a
 * wrong one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../conf/conf.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* What every configuration needs, in one line; what follows begins at line 2. */
#define LISTEN "[listen a]\naddress = *:80\n"
#define MINIMAL LISTEN "[site s]\nroot = /srv\n"

/* ---- help ------------------------------------------------------------------------------- */

static struct conf *read_text(const char *text, bool syntax_only, char **ret_errors)
{
    size_t len = 0;
    FILE *out = open_memstream(ret_errors, &len);
    struct conf_source source = {"x", slice_str(text), syntax_only};

    assert_non_null(out);
    struct conf *conf = conf_read(&source, out);
    fclose(out);
    return conf;
}

/* A configuration without errors; the machine is not asked. */
static struct conf *good(const char *text)
{
    char *errors = NULL;
    struct conf *conf = read_text(text, true, &errors);

    if (!conf)
        fail_msg("%s", errors);
    assert_string_equal(errors, "");
    free(errors);
    return conf;
}

static void assert_errors(const char *text, bool syntax_only, const char *want)
{
    char *errors = NULL;
    struct conf *conf = read_text(text, syntax_only, &errors);

    assert_string_equal(errors, want);
    assert_int_equal(conf == NULL, want[0] != '\0');
    conf_free(conf);
    free(errors);
}

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
    assert_int_equal(route->links, -1);
    assert_string_equal(route->auth_realm, "restricted");

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
    assert_true(g->h2_connection_window == 1 << 20);
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
        assert_int_equal(conf->sites[0].n_routes, 1);
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

/* ---- what is said ----------------------------------------------------------------------- */

/* Of each configuration all the errors.  A row's text follows MINIMAL unless it is whole. */
static const struct error_row {
    bool whole;
    const char *text, *errors;
} error_rows[] = {
    {true, "",
     "x:1: there is no [listen], so nothing to listen on\n"
     "x:1: there is no [site], so nothing to serve\n"},
    {true, LISTEN "[site s]\n", "x:3: [site s] has neither a root nor a [route]\n"},
    {true, "a = b\n" MINIMAL, "x:1: \"a\" is above the first [section]\n"},
    {true, "[site s]\nroot = /srv\n[listen a]\ntls = off\n", "x:3: [listen a] needs address\n"},
    /* sections */
    {false, "[poool x]\na = b\n", "x:5: unknown section [poool]; did you mean \"pool\"?\n"},
    {false, "[pool]\ncgi = on\n", "x:5: [pool ] needs a name\n"},
    {false, "[pool a b]\ncgi = on\n",
     "x:5: [pool a b] has a name with other bytes than letters, digits, _ - and .\n"},
    {false, "[pool ../x]\ncgi = on\n",
     "x:5: [pool ../x] has a name with other bytes than letters, digits, _ - and .\n"},
    {false, "[pool p]\ncgi = on\n[pool p]\ncgi = of\n",
     "x:7: [pool p] is given twice, first at x:5\n"
     "x:8: cgi = of: must be on or off; did you mean \"off\"?\n"},
    {false, "[gateway x]\n[gateway]\n",
     "x:5: [gateway] has no name\nx:6: [gateway] is given twice, first at x:5\n"},
    {false, "[pool\nroot = /x\n", "x:5: section without ']' at the end of the line\n"},
    /* keys */
    {false, "rot = /\nhsot = a\nlinks = folow\nword\n more\nqueue = 1\nqqq = 1\n",
     "x:5: unknown key \"rot\" in [site]; did you mean \"root\"?\n"
     "x:6: unknown key \"hsot\" in [site]; did you mean \"host\"?\n"
     "x:7: links = folow: must be inside or follow; did you mean \"follow\"?\n"
     "x:8: neither \"key = value\", nor a [section], nor a comment\n"
     "x:10: unknown key \"queue\" in [site]; it belongs in [pool]\n"
     "x:11: unknown key \"qqq\" in [site]\n"},
    {false, "root = /a\n", "x:5: \"root\" is given twice, first at x:4\n"},
    {false, "[pool p]\ncgi = on\nenv.A = 1\nenv.B = 2\nenv.A = 3\n",
     "x:9: env.A = 3: given twice\n"},
    {false, "[gateway]\ninclude = /etc/*.conf\n",
     "x:6: include = /etc/*.conf: only a file can include others\n"},
    /* listeners, hosts, certificates */
    {false, "[listen b]\naddress = *:80\n", "x:6: address = *:80 is listened on already\n"},
    {false, "[listen b]\naddress = *:443\ntls = on\n",
     "x:7: tls = on, but no [site] has a certificate and certificate_key\n"},
    {false, "host = a A\n[site t]\nroot = /\nhost = b a\n",
     "x:5: host = a is in [site s] already, at x:5\n"
     "x:8: host = a is in [site s] already, at x:5\n"},
    {false, "[site t]\nroot = /\n", "x:5: [site t] has no host, so no request can reach it\n"},
    {false, "certificate = /c\n", "x:5: certificate without certificate_key\n"},
    {false, "certificate_key = /c\n", "x:5: certificate_key without certificate\n"},
    /* routes */
    {false, "[route s]\n", "x:5: [route s]: a route is [route SITE PATTERN]\n"},
    {false, "[route s x]\n",
     "x:5: [route s x]: a pattern begins with a slash, with *. or with = and a space\n"},
    {false, "[route s = x]\n", "x:5: [route s = x]: an exact pattern is \"= /path\"\n"},
    {false, "[route s /a*.php]\n",
     "x:5: [route s /a*.php]: a star follows a slash, as in /shop/*.php\n"},
    {false, "[route s /a/*]\n",
     "x:5: [route s /a/*]: a star is followed by an ending, as in *.php; a prefix needs "
     "none\n"},
    {false, "[route s *.php/*]\n",
     "x:5: [route s *.php/*]: nothing but the ending of a file name follows a star, as in "
     "*.php\n"},
    {false, "[route s /a/../b]\n",
     "x:5: [route s /a/../b]: no request has a . or .. in its path\n"},
    {false, "[route sit /a]\n[route t /b]\n",
     "x:5: there is no [site sit]\nx:6: there is no [site t]; did you mean \"s\"?\n"},
    {false, "[route s /a]\npool = ap\n[pool app]\ncgi = on\n",
     "x:6: there is no [pool ap]; did you mean \"app\"?\n"},
    {false, "[route s /a]\n[route s /a/]\n[route s = /a]\n[route s = /a]\n[route s /a/*.x]\n",
     "x:6: [route s /a/] is given twice, first at x:5\n"
     "x:8: [route s = /a] is given twice, first at x:7\n"},
    {false, "[route s /a]\nredirect = /b\npool = p\n[pool p]\ncgi = on\n",
     "x:5: [route s /a] needs root or script, since pool \"p\" runs CGI programs\n"
     "x:6: a route has a pool or a redirect\n"},
    {false, "[route s /a]\nredirect = /b\nroot = /c\nscript = /d\n",
     "x:7: \"root\" has no meaning in a route with a redirect\n"
     "x:8: \"script\" has no meaning in a route with a redirect\n"},
    {false, "[route s /a]\nscript = /d\nenv.A = b\n",
     "x:6: \"script\" has no meaning in a route without a pool\n"
     "x:7: \"env.NAME\" has no meaning in a route without a pool\n"},
    {false, "[route s *.cgi]\npool = p\n[route s /b]\npool = p\n[pool p]\ncgi = on\n",
     "x:7: [route s /b] needs root or script, since pool \"p\" runs CGI programs\n"},
    {true,
     LISTEN "[site s]\n[route s *.php]\npool = p\n[route s /b]\n[pool p]\nconnect = h:1\n",
     "x:4: [route s *.php] looks for files, but neither it nor its site has a root\n"
     "x:6: [route s /b] has neither a pool, a redirect nor a root, and its site no root\n"},
    {false, "[route s /a]\nauth = basic\n[route s /b]\nauth_file = /f\nauth_match = (\n",
     "x:6: auth = basic needs auth_file\n"
     "x:8: auth_file without auth = basic\n"
     "x:9: auth_match without auth = basic\n"
     "x:9: auth_match = (: Unmatched ( or \\(\n"},
    /* pools */
    {false, "[pool p]\n[pool q]\ncgi = on\nspawn = /x\n[pool r]\ncgi = off\n",
     "x:5: [pool p] needs one of connect, spawn or cgi = on\n"
     "x:6: [pool q] needs only one of connect, spawn or cgi = on\n"
     "x:9: [pool r] needs one of connect, spawn or cgi = on\n"},
    {false, "[pool p]\nconnect = h:1\nprocesses = 1\nuser = root\nenv.A = b\n",
     "x:7: \"processes\" has no meaning in a pool with connect\n"
     "x:8: \"user\" has no meaning in a pool with connect\n"
     "x:9: \"env.NAME\" has no meaning in a pool with connect\n"},
    {false, "[pool p]\ncgi = on\nrequests_per_process = 2\n",
     "x:7: \"requests_per_process\" has no meaning in a pool with cgi = on\n"},
    {false, "[pool p]\nspawn = /x\nprocesses = 2\nmax_requests = 3\nkeepalive = 4\n",
     "x:8: max_requests = 3, but 2 processes take 1 at once each\n"
     "x:9: keepalive = 4 is over max_requests = 3\n"},
};

static void test_errors(void **state)
{
    char text[1024];

    (void)state;
    for (size_t i = 0; i < ROWS(error_rows); i++) {
        const struct error_row *r = &error_rows[i];
        snprintf(text, sizeof(text), "%s%s", r->whole ? "" : MINIMAL, r->text);
        assert_errors(text, true, r->errors);
    }
}

static void test_socket_path(void **state)
{
    char dir[128], text[512], want[512];

    (void)state;
    memset(dir, 'd', sizeof(dir));
    dir[0] = '/';
    /* DIR/p.15.sock is 107 bytes with a DIR of 97 */
    dir[97] = '\0';
    snprintf(text, sizeof(text), "[gateway]\nruntime_dir = %s\n" MINIMAL "[pool p]\ncgi = on\n",
             dir);
    assert_errors(text, true, "");
    dir[97] = 'd';
    dir[98] = '\0';
    snprintf(text, sizeof(text), "[gateway]\nruntime_dir = %s\n" MINIMAL "[pool p]\ncgi = on\n",
             dir);
    snprintf(want, sizeof(want),
             "x:7: [pool p]: its sockets in %s have names of over 107 bytes; choose a shorter "
             "runtime_dir\n",
             dir);
    assert_errors(text, true, want);
}

static void test_machine(void **state)
{
    (void)state;
    assert_errors(LISTEN "[site s]\nroot = /nowhere\n"
                         "[route s /a]\nroot = /etc/passwd\n"
                         "[route s /b]\npool = p\nscript = /etc/passwd\n"
                         "[route s /c]\nroot = /\nauth = basic\nauth_file = /nowhere/f\n"
                         "[route s /d]\npool = q\nroot = /on/another/machine\n"
                         "[route s /e]\npool = r\nroot = /nowhere\n"
                         "[pool p]\ncgi = on\nuser = nobody-of-that-name\n"
                         "[pool q]\nconnect = h:1\n"
                         "[pool r]\nspawn = /etc/passwd\n"
                         "[pool t]\nspawn = /\n"
                         "[pool u]\nspawn = /bin/sh\n",
                  false,
                  "x:4: root = /nowhere: No such file or directory\n"
                  "x:6: root = /etc/passwd: not a folder\n"
                  "x:9: script = /etc/passwd: not executable\n"
                  "x:13: auth_file = /nowhere/f: No such file or directory\n"
                  "x:19: root = /nowhere: No such file or directory\n"
                  "x:22: user = nobody-of-that-name: no such user\n"
                  "x:26: spawn = /etc/passwd: not executable\n"
                  "x:28: spawn = /: not a file\n");
}

/* Another user is for root only; oneself, by name or number, is always right. */
static void test_user(void **state)
{
    char text[256];

    (void)state;
    snprintf(text, sizeof(text), "[gateway]\nuser = %ld\n" LISTEN "[site s]\nroot = /\n",
             (long)geteuid());
    assert_errors(text, false, "");
    snprintf(text, sizeof(text), "[gateway]\nuser = %s\n" LISTEN "[site s]\nroot = /\n",
             geteuid() ? "root" : "daemon");
    assert_errors(
        text, false,
        geteuid() ? "x:2: user = root: only root can start processes of another user\n" : "");
}

static void test_many_errors(void **state)
{
    char *errors = NULL, *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    for (int i = 0; i < 1500; i++)
        fprintf(out, "word\n");
    fprintf(out, MINIMAL);
    fclose(out);
    assert_null(read_text(text, true, &errors));
    assert_non_null(strstr(errors, "x:1000: neither"));
    assert_null(strstr(errors, "x:1001: "));
    assert_non_null(strstr(errors, "\nx: and 500 more\n"));
    free(errors);
    free(text);
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
    static const char *const names[] = {
        "conf/h2cgi.ini", "conf/examples/php-fpm.ini", "conf/examples/cgi-bin.ini",
        "conf/examples/git-http.ini", "conf/examples/sites-tls.ini"};

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
    assert_int_equal(conf->n_pools, 3);
    assert_int_equal(conf->sites[0].n_routes, 4);
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
        assert_int_equal(site->n_routes, 2);
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
        cmocka_unit_test(test_minimal),     cmocka_unit_test(test_folders),
        cmocka_unit_test(test_patterns),    cmocka_unit_test(test_pools),
        cmocka_unit_test(test_references),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_socket_path), cmocka_unit_test(test_machine),
        cmocka_unit_test(test_user),        cmocka_unit_test(test_many_errors),
        cmocka_unit_test(test_includes),    cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_own_files),   cmocka_unit_test(test_reference_in_use),
        cmocka_unit_test(test_many_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
