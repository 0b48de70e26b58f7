/* A date that is one is the same when it is written and read again. */
#include <stdlib.h>

#include "../../gateway/httpdate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t now = 1795392000; /* November 2026 */
    int64_t t = httpdate_parse(slice_of(data, size), now);
    char text[HTTPDATE_LEN + 1];

    if (t < 0)
        return 0;
    struct slice again = httpdate_format(text, t);
    if (again.n != HTTPDATE_LEN || httpdate_parse(again, now) != t)
        abort();
    /* RFC 850's years have two digits: not more than 50 years ahead (RFC 9110 5.6.7). */
    if (slice_find(slice_of(data, size), '-') >= 0 && t > now + INT64_C(51) * 366 * 86400)
        abort();
    return 0;
}
