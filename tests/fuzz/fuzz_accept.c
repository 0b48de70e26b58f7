/* Every weight is none or one of 0 to 1000, and what is picked is the offer with the greatest. */
#include <stdlib.h>

#include "../../gateway/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice offers[] = {
        {"text/html", 9}, {"application/json", 16}, {"text/plain", 10}};
    const struct field field = {SLICE("Accept"), slice_of(data, size)};
    int best_q = 0;
    bool any = true;

    int picked = accept_pick(&field, 1, offers, 3);
    for (int i = 0; i < 3; i++) {
        int q = accept_weight(field.value, offers[i]);
        check(q >= -1 && q <= ACCEPT_Q_MOST);
        any &= q >= 0;
        if (q > best_q)
            best_q = q;
    }
    if (!any)
        check(picked == 0);
    else if (picked < 0)
        check(best_q == 0);
    else
        check(best_q > 0 && accept_weight(field.value, offers[picked]) == best_q);
    return 0;
}
