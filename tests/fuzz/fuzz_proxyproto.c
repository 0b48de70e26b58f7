/*
 * A header is the same whatever comes behind it; in pieces it needs more until it is whole, and
 * what is none is so from the first byte that makes it so.
 */
#include <stdlib.h>
#include <string.h>

#include "../../gateway/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, again;
    const char *why = NULL, *other = NULL;
    ssize_t n = proxy_header_parse(data, size, &whole, &why);

    check(n <= (ssize_t)size && n <= PROXY_MAX && (n >= 0 || why));
    check(n != 0 || size < PROXY_MAX);
    if (n > 0) {
        check(!whole.known || !whole.local);
        check(proxy_header_parse(data, (size_t)n, &again, &other) == n);
        check(memcmp(&whole, &again, sizeof(whole)) == 0);
    }
    bool failed = false;
    for (size_t k = 0; k < size && k < PROXY_MAX + 1; k++) {
        ssize_t part = proxy_header_parse(data, k, &again, &other);
        if (n >= 0) /* nothing that can still be one is refused or taken early */
            check(part == 0 || (n > 0 && k >= (size_t)n && part == n));
        else
            check(part <= 0 && (!failed || part < 0));
        failed |= part < 0;
    }
    return 0;
}
