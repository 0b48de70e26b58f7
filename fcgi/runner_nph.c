#include "runner_nph.h"

#include <stdbool.h>
#include <string.h>

/* '9' stands for any digit. */
static const char long_form[] = "HTTP/9.9 ";
static const char short_form[] = "HTTP/9 ";
static const char status[] = "Status:";

/* How many bytes of p match pattern, up to the shorter of the two. */
static size_t matches(const uint8_t *p, size_t n, const char *pattern)
{
    size_t i = 0;

    while (i < n && pattern[i]) {
        bool digit = pattern[i] == '9' && p[i] >= '0' && p[i] <= '9';
        if (!digit && p[i] != (uint8_t)pattern[i])
            break;
        i++;
    }
    return i;
}

ssize_t runner_nph_rewrite(uint8_t *p, size_t n)
{
    size_t as_long = matches(p, n, long_form), as_short = matches(p, n, short_form);

    if (as_long == sizeof(long_form) - 1) {
        memcpy(p + 1, status, sizeof(status) - 1); /* the space stays */
        return 1;
    }
    if (as_short == sizeof(short_form) - 1) {
        memcpy(p, status, sizeof(status) - 1);
        return 0;
    }
    return as_long == n || as_short == n ? -1 : 0;
}
