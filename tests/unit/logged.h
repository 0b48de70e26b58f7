/*
 * tests/unit/logged.h - log_line() that keeps what it is told: "LEVEL text", a line each.
 */
#ifndef TESTS_LOGGED_H
#define TESTS_LOGGED_H

#include <stdio.h>
#include <string.h>

static char logged[1024];

void log_line(int level, const char *fmt, ...)
{
    size_t n = strlen(logged);
    va_list args;

    n += (size_t)snprintf(logged + n, sizeof(logged) - n, "%d ", level);
    va_start(args, fmt);
    n += (size_t)vsnprintf(logged + n, sizeof(logged) - n, fmt, args);
    va_end(args);
    assert_true(n + 2 < sizeof(logged));
    memcpy(logged + n, "\n", 2);
}

/* All that was logged since the last time. */
static inline void expect_logged(const char *text)
{
    assert_string_equal(logged, text);
    logged[0] = '\0';
}

#endif
