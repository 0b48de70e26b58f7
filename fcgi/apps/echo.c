/*
 * fcgi/apps/echo.c - sends the request's body back while it comes in: full duplex.
 *
 * Each piece is written and flushed before the next is waited for, so a client that sends a
 * little and waits for it gets it.  With ?report=1 the sums go to STDERR at the end.
 */
#include "app.h"

#include <stdio.h>

enum { PIECE = 32 * 1024 };

/* What has arrived, at least one byte; 0 at the end.  FCGX_GetStr alone would wait until the
 * buffer is full: one character fills the stream's own buffer, and the rest is what that has.
 */
static int read_some(FCGX_Stream *in, char *buf, int size)
{
    int c = FCGX_GetChar(in);

    if (c == EOF)
        return 0;
    buf[0] = (char)c;
    long have = in->stop - in->rdNext;
    if (have > size - 1)
        have = size - 1;
    return have > 0 ? 1 + FCGX_GetStr(buf + 1, (int)have, in) : 1;
}

static void echo(FCGX_Request *req)
{
    const char *type = app_param(req, "CONTENT_TYPE");
    const char *length = app_param(req, "CONTENT_LENGTH");
    int64_t n_bytes = 0;
    long n_pieces = 0;
    char buf[PIECE];
    int n;

    FCGX_FPrintF(req->out, "Content-Type: %s\r\n", *type ? type : "application/octet-stream");
    if (*length)
        FCGX_FPrintF(req->out, "Content-Length: %s\r\n", length);
    FCGX_FPrintF(req->out, "\r\n");
    while ((n = read_some(req->in, buf, sizeof(buf))) > 0) {
        if (FCGX_PutStr(buf, n, req->out) < 0 || FCGX_FFlush(req->out) < 0)
            return;
        n_bytes += n;
        n_pieces++;
    }
    if (app_query_number(req, "report", 0)) {
        int len = snprintf(buf, sizeof(buf), "echo: %lld bytes in %ld pieces\n",
                           (long long)n_bytes, n_pieces);
        FCGX_PutStr(buf, len, req->err);
    }
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, echo);
}
