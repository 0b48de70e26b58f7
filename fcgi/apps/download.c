/*
 * fcgi/apps/download.c - ?bytes=N bytes (1 MiB unless told) of a repeating pattern, written 64
 * KiB at a time.  Byte i of the body is (i mod 65536) mod 251, so that a reader can check any
 * part.
 */
#include "app.h"

#include <stdio.h>

enum { BLOCK = 64 * 1024, PATTERN = 251 };

static char block[BLOCK]; /* filled before threads start */

static void download(FCGX_Request *req)
{
    int64_t left = app_query_number(req, "bytes", (int64_t)1 << 20);
    char head[128];

    /* FCGX_FPrintF knows no 64-bit numbers */
    int n = snprintf(head, sizeof(head),
                     "Content-Type: application/octet-stream\r\nContent-Length: %lld\r\n\r\n",
                     (long long)left);
    if (FCGX_PutStr(head, n, req->out) < 0)
        return;
    while (left > 0) {
        n = left < BLOCK ? (int)left : BLOCK;
        if (FCGX_PutStr(block, n, req->out) < 0)
            return; /* the client went away */
        left -= n;
    }
}

int main(int argc, char **argv)
{
    for (int i = 0; i < BLOCK; i++)
        block[i] = (char)(i % PATTERN);
    return app_run(argc, argv, download);
}
