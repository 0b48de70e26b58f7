#include "backoff.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* first_ms doubled n times, at most max_ms. */
static unsigned doubled(unsigned n, unsigned max_ms)
{
    unsigned ms = BACKOFF_FIRST_MS;

    while (n-- > 0 && ms < max_ms)
        ms *= 2;
    return ms < max_ms ? ms : max_ms;
}

static unsigned after_clean(struct backoff *b, uint64_t ran_ms)
{
    b->n_fails = 0;
    if (ran_ms >= BACKOFF_QUICK_MS)
        b->n_quick = 0;
    else
        b->n_quick++;
    if (b->n_quick <= BACKOFF_QUICK_FREE)
        return 0;
    return doubled(b->n_quick - BACKOFF_QUICK_FREE - 1, BACKOFF_CLEAN_MAX_MS);
}

unsigned backoff_next(struct backoff *b, bool clean, uint64_t ran_ms, unsigned max_ms)
{
    if (clean)
        return after_clean(b, ran_ms);
    b->n_quick = 0;
    if (ran_ms >= BACKOFF_GOOD_MS) {
        b->n_fails = 0;
        return 0;
    }
    return doubled(b->n_fails++, max_ms);
}

const char *backoff_reason(int wait_status, char *text, size_t cap)
{
    if (WIFSIGNALED(wait_status)) {
        int sig = WTERMSIG(wait_status);
        const char *name = sigabbrev_np(sig); /* NULL for real-time signals */
        (void)snprintf(text, cap, "signal %d%s%s%s%s", sig, name ? " (SIG" : "",
                       name ? name : "", name ? ")" : "",
                       WCOREDUMP(wait_status) ? ", core dumped" : "");
    } else {
        (void)snprintf(text, cap, "exit status %d", WEXITSTATUS(wait_status));
    }
    return text;
}
