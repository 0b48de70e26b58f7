/* The links cut off a Link field lie in it one behind the other, and each is the same when cut
 * again. */
#include <stdlib.h>

#include "../../gateway/hints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice list = slice_of(data, size), link;
    const char *at = list.p;

    while (hints_link_next(&list, &link)) {
        struct slice alone = link, again;
        check(link.n >= 2 && link.p >= at && link.p[0] == '<');
        at = link.p + link.n;
        check(at <= list.p);
        bool early = hints_link_is_early(link), push = hints_link_is_push(link);
        struct slice target = hints_link_target(link);
        check(!push || early);
        check(target.p == link.p + 1 && link.p[1 + target.n] == '>');
        check(hints_link_next(&alone, &again) && slice_eq(link, again));
        check(hints_link_is_early(again) == early);
    }
    return 0;
}
