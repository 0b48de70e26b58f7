#include "runner_nph.h"

#include <string.h>
#include <sys/types.h>

/* '9' stands for any digit. */
static const char long_form[] = "HTTP/9.9 ";
static const char short_form[] = "HTTP/9 ";
static const char status[] = "X-Accel-Buffering: no\r\nStatus:";

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

/* p[0..n) is the beginning of the output.  How many bytes of it are the version in a status line;
 * 0: it is none; -1: it takes more bytes to tell. */
static ssize_t version_len(const uint8_t *p, size_t n)
{
    size_t as_long = matches(p, n, long_form), as_short = matches(p, n, short_form);

    if (as_long == sizeof(long_form) - 1)
        return (ssize_t)as_long - 1; /* the space stays */
    if (as_short == sizeof(short_form) - 1)
        return (ssize_t)as_short - 1;
    return as_long == n || as_short == n ? -1 : 0;
}

size_t runner_nph_take(struct runner_nph *f, uint8_t *p)
{
    size_t n = f->n_held;

    memcpy(p, f->held, n);
    f->n_held = 0;
    return n;
}

size_t runner_nph_filter(struct runner_nph *f, uint8_t *p, size_t n)
{
    if (f->done)
        return n;
    ssize_t version = version_len(p, n);
    if (version < 0) {
        memcpy(f->held, p, n);
        f->n_held = n;
        return 0;
    }
    f->done = true;
    if (version == 0)
        return n;
    size_t rest = n - (size_t)version;
    memmove(p + sizeof(status) - 1, p + version, rest);
    memcpy(p, status, sizeof(status) - 1);
    return sizeof(status) - 1 + rest;
}
