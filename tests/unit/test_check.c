/*
 * conf/check.c and conf/machine.c, and all that is said of a wrong configuration.
 */
#include "conf_text.h"

#include <unistd.h>

static void assert_errors(const char *text, bool syntax_only, const char *want)
{
    char *errors = NULL;
    struct conf *conf = read_text(text, syntax_only, &errors);

    assert_string_equal(errors, want);
    assert_int_equal(conf == NULL, want[0] != '\0');
    conf_free(conf);
    free(errors);
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
     "x:7: links = folow: must be inside, follow, owner or never; did you mean \"follow\"?\n"
     "x:8: neither \"key = value\", nor a [section], nor a comment\n"
     "x:10: unknown key \"queue\" in [site]; it belongs in [pool]\n"
     "x:11: unknown key \"qqq\" in [site]\n"},
    {false, "root = /a\n", "x:5: \"root\" is given twice, first at x:4\n"},
    {false, "[pool p]\ncgi = on\nenv.A = 1\nenv.B = 2\nenv.A = 3\n",
     "x:9: env.A = 3: given twice\n"},
    {false, "[pool p]\ncgi = on\nevn.A = 1\n",
     "x:7: unknown key \"evn.A\" in [pool]; did you mean \"env.A\"?\n"},
    {false, "[listen l]\naddress = *:1\nenv.A = 1\n",
     "x:7: unknown key \"env.A\" in [listen]; it belongs in [site]\n"},
    {false, "[gateway]\ninclude = /etc/*.conf\n",
     "x:6: include = /etc/*.conf: only a file can include others\n"},
    /* limits */
    {false, "rate = 10/s\nrate = 1/m brst 2\nrate = off\nrequests_at_once = many\n",
     "x:6: rate = 1/m brst 2: only burst NUMBER and by WHOM, each once, may follow the rate\n"
     "x:7: rate = off: off stands alone\n"
     "x:8: requests_at_once = many: not a number of requests from 1 to 1000000, nor off; only "
     "by WHOM may follow\n"},
    {false,
     "rate = 10/s by user\n[route s /a/]\nrate = off\nrate = 1/s\n[route s /b/]\n"
     "rate = 5/s by user\n",
     "x:8: rate = 1/s: off stands alone\n"
     "x:10: rate = 5/s by user: no user is known without auth or authorizer\n"},
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
     "x:7: \"env.NAME\" has no meaning in a route without a pool, filter or authorizer\n"},
    {false,
     "authorizer = c\n[route s /a]\nfilter = c\n[route s /b]\nauthorizer = q\n"
     "[pool c]\ncgi = on\n[pool p]\nconnect = h:1\n",
     "x:5: authorizer = c: the pool runs CGI programs, which cannot be one\n"
     "x:7: filter = c: the pool runs CGI programs, which cannot be one\n"
     "x:9: there is no [pool q]; did you mean \"c\"?\n"},
    {false,
     "[route s /a]\nfilter_cache = on\nresponse_body = spool\n[route s /b]\nredirect = /c\n"
     "filter = p\n[route s /d]\nfilter = p\npool = p\n[pool p]\nconnect = h:1\n",
     "x:6: \"filter_cache\" has no meaning in a route without a pool or filter\n"
     "x:7: \"response_body\" has no meaning in a route without a pool or filter\n"
     "x:10: \"filter\" has no meaning in a route with a redirect\n"
     "x:12: \"filter\" has no meaning in a route to a pool\n"},
    {false,
     "[route s /a]\npool = p\nsendfile_root = /x y\naccel_redirect = z\n[route s /b]\n"
     "sendfile_root = /x\naccel_redirect = /x\ninternal = on\n[pool p]\nconnect = h:1\n",
     "x:7: sendfile_root = y: must begin with a slash\n"
     "x:8: accel_redirect = z: must begin with a slash\n"
     "x:10: \"sendfile_root\" has no meaning in a route without a pool\n"
     "x:11: \"accel_redirect\" has no meaning in a route without a pool\n"},
    {false,
     "[route s /a]\nauthorizer = p\nfilter = p\nfilter_cache = on\n[pool p]\nconnect = h:1\n",
     "x:8: filter_cache = on keeps nothing where clients have to be let in (authorizer)\n"},
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
    {false,
     "[route s /a]\nauth = basic\nauth_file = /f\nauth_groups = g\nauth_users = * u\n"
     "satisfy = any\n[route s /b]\nauth = basic\nauth_file = /f\nauth_users = *\n"
     "deny = 10.0.0.1\nsatisfy = any\n[route s /c]\nauth_users = u\n"
     "[site t]\nhost = t\nroot = /t\nauth = basic\n[route t /a]\nauth = off\nauth_realm = r\n"
     "[site u]\nhost = u\nroot = /u\nauth_realm = u\n[site v]\nhost = v\nroot = /v\n"
     "auth_file = /f\n[route v /a]\nauth = basic\nallow = 10.0.0.1\nsatisfy = any\n",
     "x:8: auth_groups needs auth_group_file\n"
     "x:9: auth_users = *: everybody of auth_file stands alone\n"
     "x:10: satisfy = any needs two of allow, auth = basic and authorizer to choose from\n"
     "x:16: satisfy = any needs two of allow, auth = basic and authorizer to choose from\n"
     "x:18: auth_users without auth = basic\n"
     "x:22: auth = basic needs auth_file\n"
     "x:25: auth_realm without auth = basic\n"
     "x:29: auth_realm without auth = basic\n"},
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
    {false, "[pool p]\nspawn = /x\nlisten = self\n",
     "x:7: listen = self needs connect with the one address that the program binds\n"},
    {false, "[pool p]\nspawn = /x\nlisten = self\nconnect = h:1 h:2\n",
     "x:7: listen = self needs connect with the one address that the program binds\n"},
    {false, "[pool p]\nspawn = /x\nconnect = h:1\n",
     "x:5: [pool p] needs only one of connect, spawn or cgi = on\n"},
    {false, "[pool p]\nspawn = /x\nlisten = self\nconnect = unix:/a\nprocesses = 0-2\n",
     "x:9: 2 processes cannot all bind unix:/a; {slot} in it stands for the number of each\n"},
    {false, "[pool p]\nconnect = h:1\nkeepalive = 0\nmultiplex = auto\n",
     "x:8: multiplex = auto with keepalive = 0, which closes a connection behind each "
     "request\n"},
    {false, "[pool p]\nconnect = h:1\nmultiplex_requests = 4\n",
     "x:7: multiplex_requests without multiplex = auto\n"},
    {false, "[pool p]\ncgi = on\nmultiplex = auto\n",
     "x:7: \"multiplex\" has no meaning in a pool with cgi = on\n"},
    {false, "[pool p]\ncgi = on\nstop_signal = INT\nlisten = self\ndirectory = /\n",
     "x:7: \"stop_signal\" has no meaning in a pool with cgi = on\n"
     "x:8: \"listen\" has no meaning in a pool with cgi = on\n"
     "x:9: \"directory\" has no meaning in a pool with cgi = on\n"},
    {false, "[pool p]\nconnect = h:1,max=17 h:2,backup h:1\n",
     "x:6: h:1: max=17 is over max_requests = 16\n"
     "x:6: h:1 is given twice\n"},
    {false, "[pool p]\nconnect = h:1,backup h:2,backup\nbalance_key = field X\n",
     "x:6: every server is a backup; one at least must not be\n"
     "x:7: balance_key without balance = hash\n"},
    {false, "[pool p]\nconnect = h:1\nbalance = hash\nbalance_key = fields X\n",
     "x:8: balance_key = fields X: must be address or field NAME\n"},
    {false, "[pool p]\nconnect = h:1\nbalance = hash\nbalance_key = field X Y\n",
     "x:8: balance_key = field X Y: must be address or field NAME\n"},
    {false, "[pool p]\ncgi = on\nbalance = hash\n",
     "x:7: \"balance\" has no meaning in a pool with cgi = on\n"},
    {false, "[pool p]\nconnect = h:1\nhealth_path = /a\nhealth_timeout = 1s\n",
     "x:7: health_path without health_interval\n"
     "x:8: health_timeout without health_interval\n"},
    {false, "[pool p]\nconnect = h:1\nhealth_interval = 1s\nhealth_script = /a\n",
     "x:8: health_script without health_path\n"},
    {false, "[pool p]\nconnect = h:1\nhealth_interval = 1s\nhealth_path = ping\n",
     "x:8: health_path = ping: must be a path as in a URL, from its first slash\n"},
    {false, "[pool p]\nconnect = h:1\nhealth_interval = 1s\nhealth_path = /a b\n",
     "x:8: health_path = /a b: must be a path as in a URL, from its first slash\n"},
    {false, "[pool p]\nspawn = /x\nhealth_interval = 1s\n",
     "x:7: \"health_interval\" has no meaning in a pool with spawn\n"},
    {false, "[pool p]\nconnect = 1.2.3.4:5 [::1]:2 unix:/a\nresolve_interval = 5s\n",
     "x:7: resolve_interval without a name in connect\n"},
    {false, "[pool p]\nspawn = /x\nlisten = self\nconnect = srv:x\n",
     "x:8: listen = self needs an address that a program can bind, not srv:\n"},
    {false, "[pool p]\nconnect = h:1 [::1]:2\npeer_user = root\n",
     "x:7: peer_user without a unix: address in connect\n"},
    {false, "[pool p]\nspawn = /x\nlisten = self\nconnect = h:1\npeer_user = root\n",
     "x:9: peer_user without a unix: address in connect\n"},
    {false, "[pool p]\nspawn = /x\npeer_user = root\n",
     "x:7: peer_user without listen = self: the sockets are h2cgi's own\n"},
    {false, "[pool p]\ncgi = on\npeer_user = root\n",
     "x:7: \"peer_user\" has no meaning in a pool with cgi = on\n"},
    {false, "[pool p]\nspawn = /x\nlisten = self\nconnect = h:1,max=2\n",
     "x:8: the address of listen = self has no options\n"},
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
                         "[pool u]\nspawn = /bin/sh\ndirectory = /nowhere\n",
                  false,
                  "x:4: root = /nowhere: No such file or directory\n"
                  "x:6: root = /etc/passwd: not a folder\n"
                  "x:9: script = /etc/passwd: not executable\n"
                  "x:13: auth_file = /nowhere/f: No such file or directory\n"
                  "x:19: root = /nowhere: No such file or directory\n"
                  "x:22: user = nobody-of-that-name: no such user\n"
                  "x:26: spawn = /etc/passwd: not executable\n"
                  "x:28: spawn = /: not a file\n"
                  "x:31: directory = /nowhere: No such file or directory\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_socket_path),
        cmocka_unit_test(test_machine),     cmocka_unit_test(test_user),
        cmocka_unit_test(test_many_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
