#include "runner_nph.h"

#include <string.h>
#include <sys/types.h>

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

/* p[0..n) is the beginning of the output.  How many bytes to leave out at its front (0 or 1),
 * the status line being rewritten behind them; -1 if it takes more bytes to tell. */
static ssize_t rewrite(uint8_t *p, size_t n)
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
    ssize_t drop = rewrite(p, n);
    if (drop < 0) {
        memcpy(f->held, p, n);
        f->n_held = n;
        return 0;
    }
    f->done = true;
    if (drop)
        memmove(p, p + drop, n - (size_t)drop);
    return n - (size_t)drop;
}
