/*
 * What a path is settled to stays below the root, also joined to it, and settling it again changes
 * nothing.  Text of a query is decoded to no more than there was, without a NUL.
 */
#include <stdlib.h>

#include "../../gateway/path.h"
#include "../../gateway/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_query(struct arena *a, struct slice query)
{
    struct slice text = path_decode_query(a, query);

    check(text.n <= query.n);
    check(memchr(query.p, '\0', query.n) || !memchr(text.p, '\0', text.n));
}

static void check_joined(struct arena *a, struct slice path)
{
    struct slice root = SLICE("/srv/a"), file = path_join(a, SLICE("/srv/a/"), path);

    check(slice_starts(file, SLICE("/srv/a/")) && file.n <= root.n + 1 + path.n);
    check(strlen(file.p) == file.n && !strstr(file.p, "//"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice raw = slice_of(data, size), path, again, component;
    struct arena a;
    size_t at = 0;

    arena_init(&a);
    check_query(&a, raw);
    (void)path_has_encoded_slash(raw);
    if (router_settle_path(&a, raw, &path) == 0) {
        check(path.n > 0 && path.n <= raw.n && path.p[0] == '/');
        check(!memchr(path.p, '\0', path.n));
        while (path_next(path, &at, &component))
            check(!slice_eq(component, SLICE(".")) && !slice_eq(component, SLICE("..")));
        check(router_settle_path(&a, path_encode(&a, path), &again) == 0);
        check(slice_eq(path, again));
        check_joined(&a, path);
        check(!memmem(path_merge_slashes(&a, path).p, path_merge_slashes(&a, path).n, "//", 2));
    }
    arena_fini(&a);
    return 0;
}
