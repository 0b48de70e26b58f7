/* What a path is settled to stays below the root, and settling it again changes nothing. */
#include <stdlib.h>

#include "../../gateway/path.h"
#include "../../gateway/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice raw = slice_of(data, size), path, again, component;
    struct arena a;
    size_t at = 0;

    arena_init(&a);
    if (router_settle_path(&a, raw, &path) == 0) {
        check(path.n > 0 && path.n <= raw.n && path.p[0] == '/');
        check(!memchr(path.p, '\0', path.n));
        while (path_next(path, &at, &component))
            check(!slice_eq(component, SLICE(".")) && !slice_eq(component, SLICE("..")));
        check(router_settle_path(&a, path_encode(&a, path), &again) == 0);
        check(slice_eq(path, again));
        check(!memmem(path_merge_slashes(&a, path).p, path_merge_slashes(&a, path).n, "//", 2));
    }
    arena_fini(&a);
    return 0;
}
