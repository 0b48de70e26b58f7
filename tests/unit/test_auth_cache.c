/* gateway/auth_cache.h: what is kept, for how long, and what makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../gateway/auth_cache.h"

static void cache_sets(void **state)
{
    struct auth_cache *c = calloc(1, sizeof(*c));

    (void)state;
    auth_cache_init(c);
    for (uint64_t i = 0; i < AUTH_CACHE_WAYS + 1; i++) {
        struct siphash_tag tag = {{7, i}};
        assert_int_equal(auth_cache_has(c, tag, 100), AUTH_CACHED_NOT);
        auth_cache_put(c, tag, 100 + i);
        assert_int_equal(auth_cache_has(c, tag, 100 + i), AUTH_CACHED_RIGHT);
    }
    /* the oldest made room */
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{7, 0}}, 105), AUTH_CACHED_NOT);
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 105), AUTH_CACHED_RIGHT);
    /* again: the same entry */
    auth_cache_put(c, (struct siphash_tag){{7, 1}}, 200);
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{7, 2}}, 105), AUTH_CACHED_RIGHT);
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 200 + AUTH_CACHE_MS - 1),
                     AUTH_CACHED_RIGHT);
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 200 + AUTH_CACHE_MS),
                     AUTH_CACHED_KNOWN);
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{7, 1}}, 200 + AUTH_CACHE_KNOWN_MS),
                     AUTH_CACHED_NOT);
    assert_int_equal(auth_cache_has(c, (struct siphash_tag){{8, 1}}, 105), AUTH_CACHED_NOT);
    auth_cache_fini(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
