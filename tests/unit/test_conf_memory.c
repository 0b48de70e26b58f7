/*
 * A configuration is read with the 1st, 2nd, ... nth allocation failing: no crash, no leak, no
 * configuration, and "out of memory" among what is said.  The arena is one of our own, with a
 * malloc for each piece, so that a sanitizer sees a step out of any of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../conf/conf.h"

struct arena_block {
    struct arena_block *next;
    _Alignas(16) char data[];
};

static unsigned fail_at, n_allocated; /* fail_at 0: none fails */

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (++n_allocated == fail_at)
        return NULL;
    struct arena_block *b = malloc(sizeof(*b) + n);
    assert_non_null(b);
    b->next = a->blocks;
    a->blocks = b;
    return b->data;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

struct slice arena_dup(struct arena *a, struct slice src)
{
    char *p = arena_alloc(a, src.n + 1);

    if (!p)
        return slice_of(NULL, 0);
    if (src.n)
        memcpy(p, src.p, src.n);
    p[src.n] = '\0';
    return slice_of(p, src.n);
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && n < (int)sizeof(text));
    return arena_dup(a, slice_of(text, (size_t)n));
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    size_t more = *cap ? *cap * 2 : 2;
    void *p = arena_alloc(a, more * size);
    if (p && n)
        memcpy(p, array, n * size);
    if (p)
        *cap = more;
    return p;
}

/* Read text; what is said is in errors. */
static struct conf *read_text(const char *text, char errors[4096])
{
    struct conf_source source = {"x", slice_str(text), true};
    FILE *out = fmemopen(errors, 4096, "w");

    assert_non_null(out);
    errors[0] = '\0';
    n_allocated = 0;
    struct conf *conf = conf_read(&source, out);
    fclose(out);
    return conf;
}

static void each_fails(const char *text, bool is_good)
{
    char errors[4096];

    fail_at = 0;
    struct conf *conf = read_text(text, errors);
    assert_int_equal(conf != NULL, is_good);
    conf_free(conf);
    unsigned n = n_allocated;
    for (fail_at = 1; fail_at <= n; fail_at++) {
        conf = read_text(text, errors);
        /* Where nothing but a suggestion was lost, it is still said what is wrong. */
        if (is_good || !errors[0])
            assert_non_null(strstr(errors, "out of memory"));
        assert_null(conf);
    }
}

static void test_good(void **state)
{
    (void)state;
    each_fails("[gateway]\nruntime_dir = /x\n[listen a]\naddress = *:80 [::1]:80\n"
               "[site s]\nhost = a b\nindex = a \"b\" c d e\nroot = /\n"
               "[site t]\nhost = c\nroot = /\n"
               "[route s /a]\npool = p\nscript = /x\nenv.A = b\n"
               "[route s *.x]\npool = q\nauth = basic\nauth_file = /f\nauth_match = a\n"
               "[route s = /r]\nredirect = 301 /x\n"
               "[pool p]\ncgi = on\nenv.A = b\n[pool q]\nspawn = /x y z\n"
               "[pool r]\nconnect = unix:/x h:1\n",
               true);
}

static void test_bad(void **state)
{
    (void)state;
    each_fails("[gatway]\n[gateway]\nwokers = 1\nwriters = x\nwriter = a\nwriters = 0\n"
               "include = a\n[listen a]\naddress = 80\n[site s]\nhost = a a a:1\nroot = x\n"
               "[route s /a]\npool = x\nenv.- = a\nlinks = on\n[route s /a/]\n[route t /]\n"
               "[route s /c]\nredirect = /d\n[route s /c]\nroot = /x\n"
               "[pool p]\ncgi = on\nspawn = x\n[pool p]\n[pool ?]\n",
               false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
