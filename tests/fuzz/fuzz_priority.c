/* A Priority field is taken or leaves everything as it was, says nothing out of range, and means
 * the same behind members that nobody knows. */
#include <stdlib.h>

#include "../../gateway/buf.h"
#include "../../gateway/priority.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool same(struct priority_said a, struct priority_said b)
{
    return a.urgency == b.urgency && a.incremental == b.incremental &&
           a.p.urgency == b.p.urgency && a.p.incremental == b.p.incremental;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct priority_said said = {{6, true}, true, false}, longer = said;
    struct buf b = {0};
    int rc = priority_parse(slice_of(data, size), &said);

    check(said.p.urgency < URGENCY_LEVELS && (rc == 0 || same(said, longer)));
    check(buf_puts(&b, SLICE("x=(1 ?0);y, other=\"a,b\", ")) == 0);
    check(buf_append(&b, data, size) == 0);
    int rc_longer = priority_parse(buf_slice(&b), &longer);
    if (rc == 0 && slice_trim(slice_of(data, size)).n)
        check(rc_longer == 0 && same(said, longer));
    buf_fini(&b);
    return 0;
}
