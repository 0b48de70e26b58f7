/* Who may ask, how, and with how much. */
#include "router_world.h"

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
    bad.auth.basic = 1;
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

static void refusals_leave_no_descriptor(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    body_limits(NULL);
    int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(again, fd + 1);
    close(again);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods),        cmocka_unit_test(passwords),
        cmocka_unit_test(body_limits),    cmocka_unit_test(authorizers),
        cmocka_unit_test(bad_expression), cmocka_unit_test(refusals_leave_no_descriptor),
    };

    return cmocka_run_group_tests_name("router access", tests, make_tree, remove_tree);
}
