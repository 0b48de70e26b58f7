/*
 * The TTL of a DNS message is one of the numbers in it; one that is cut has none, or all answers
 * are in what is left.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../fcgi/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_in(const uint8_t *data, size_t size, unsigned ttl)
{
    for (size_t i = 0; i + 4 <= size; i++) {
        unsigned n = (unsigned)data[i] << 24 | (unsigned)data[i + 1] << 16 |
                     (unsigned)data[i + 2] << 8 | data[i + 3];
        if (n == ttl)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned whole = dns_message_ttl(data, size);

    if (whole && !is_in(data, size, whole))
        abort();
    for (size_t cut = size > 64 ? size - 64 : 0; cut < size; cut++) {
        uint8_t *part = malloc(cut + 1); /* so that a byte too far is seen */
        if (!part)
            return 0;
        memcpy(part + 1, data, cut);
        unsigned ttl = dns_message_ttl(part + 1, cut);
        free(part);
        if (ttl && ttl != whole)
            abort();
    }
    return 0;
}
