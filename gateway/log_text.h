/*
 * gateway/log_text.h - what log.c (error log, files) and log_access.c (access log) share.
 *
 * Threads  any
 */
#ifndef GATEWAY_LOG_TEXT_H
#define GATEWAY_LOG_TEXT_H

#include <stdbool.h>

#include "slice.h"

/* What a field between quotes shows as itself: printable ASCII but '"' and '\', as Apache and
 * nginx have it, so that every log reader can parse it. */
static inline bool log_plain_quoted(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* \xHH: four bytes.  Both return where to go on. */
char *log_put_hex(char *at, unsigned char c);

/* Worst case: four bytes of output for each of input. */
char *log_put_quoted(char *at, struct slice s);

/* A log that cannot be written (disk full, reader gone) loses lines; the server goes on. */
void log_write(int fd, const char *p, size_t n);

#endif
