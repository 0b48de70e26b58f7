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
        bool early = hints_link_is_early(link);
        check(hints_link_next(&alone, &again) && slice_eq(link, again));
        check(hints_link_is_early(again) == early);
    }
    return 0;
}
