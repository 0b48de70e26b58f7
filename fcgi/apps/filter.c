/*
 * fcgi/apps/filter.c - a FastCGI Filter: a file of plain text as an HTML page.
 *
 *     # Heading                 <h1>; two to six # for smaller ones
 *     - an item                 <li>
 *     a line, another line      <p>, until an empty line
 *
 * A request's body comes first and is quoted above the text.  Last-Modified is the file's, and
 * If-Modified-Since with the same date is answered with 304: the page changes with its file only.
 * With ?fail=1 it ends with status 1.
 */
#include "app.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 64 * 1024, DATE = 64 };

/* ---- text ---- */

static void put_text(FCGX_Stream *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (p[i]) {
        case '&':
            FCGX_PutS("&amp;", out);
            break;
        case '<':
            FCGX_PutS("&lt;", out);
            break;
        case '>':
            FCGX_PutS("&gt;", out);
            break;
        default:
            FCGX_PutChar((unsigned char)p[i], out);
        }
    }
}

/* The block that lines are in: the elements that are open. */
enum block { BLOCK_NONE, BLOCK_PARAGRAPH, BLOCK_LIST };

static void enter(FCGX_Stream *out, enum block *at, enum block to)
{
    static const char *const begin[] = {"", "<p>", "<ul>\n"};
    static const char *const end[] = {"", "</p>\n", "</ul>\n"};

    if (*at == to)
        return;
    FCGX_PutS(end[*at], out);
    FCGX_PutS(begin[to], out);
    *at = to;
}

static void put_line(FCGX_Stream *out, const char *p, size_t n, enum block *at)
{
    size_t level = 0;

    while (level < n && level < 6 && p[level] == '#')
        level++;
    if (level && level < n && p[level] == ' ') {
        enter(out, at, BLOCK_NONE);
        FCGX_FPrintF(out, "<h%d>", (int)level);
        put_text(out, p + level + 1, n - level - 1);
        FCGX_FPrintF(out, "</h%d>\n", (int)level);
    } else if (n >= 2 && p[0] == '-' && p[1] == ' ') {
        enter(out, at, BLOCK_LIST);
        FCGX_PutS("<li>", out);
        put_text(out, p + 2, n - 2);
        FCGX_PutS("</li>\n", out);
    } else if (n == 0) {
        enter(out, at, BLOCK_NONE);
    } else {
        enter(out, at, BLOCK_PARAGRAPH);
        put_text(out, p, n);
        FCGX_PutChar('\n', out);
    }
}

/* Longer lines are cut in pieces, each a line. */
static void put_page(FCGX_Stream *in, FCGX_Stream *out)
{
    enum block at = BLOCK_NONE;
    char *line = malloc(LINE);
    size_t n = 0;
    int c;

    while (line && (c = FCGX_GetChar(in)) != EOF) {
        if (c == '\n' || n == LINE) {
            put_line(out, line, n, &at);
            n = 0;
        }
        if (c != '\n')
            line[n++] = (char)c;
    }
    if (n)
        put_line(out, line, n, &at);
    enter(out, &at, BLOCK_NONE);
    free(line);
}

/* ---- the request ---- */

/* All of STDIN, which has to be read before the file. */
static void put_quote(FCGX_Stream *in, FCGX_Stream *out)
{
    bool any = false;
    int c;

    while ((c = FCGX_GetChar(in)) != EOF) {
        char byte = (char)c;
        if (!any)
            FCGX_PutS("<blockquote>", out);
        any = true;
        put_text(out, &byte, 1);
    }
    if (any)
        FCGX_PutS("</blockquote>\n", out);
}

/* FCGI_DATA_LAST_MOD as HTTP writes it; empty without one. */
static void date_of(const FCGX_Request *req, char date[DATE])
{
    const char *text = app_param(req, "FCGI_DATA_LAST_MOD");
    time_t at = (time_t)strtoll(text, NULL, 10);
    struct tm tm;

    if (!*text || !gmtime_r(&at, &tm) ||
        strftime(date, DATE, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        date[0] = '\0';
}

static void filter(FCGX_Request *req)
{
    char date[DATE];

    date_of(req, date);
    if (app_query_number(req, "fail", 0))
        FCGX_SetExitStatus(1, req->out);
    if (date[0] && strcmp(app_param(req, "HTTP_IF_MODIFIED_SINCE"), date) == 0) {
        FCGX_FPrintF(req->out, "Status: 304\r\nLast-Modified: %s\r\n\r\n", date);
        return;
    }
    FCGX_PutS("Content-Type: text/html; charset=utf-8\r\n", req->out);
    if (date[0])
        FCGX_FPrintF(req->out, "Last-Modified: %s\r\n", date);
    FCGX_PutS("\r\n<!DOCTYPE html>\n", req->out);
    put_quote(req->in, req->out);
    if (FCGX_StartFilterData(req->in) == 0)
        put_page(req->in, req->out);
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, filter);
}
