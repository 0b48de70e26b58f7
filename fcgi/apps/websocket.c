/*
 * fcgi/apps/websocket.c - an echo over WebSocket, which makes and reads the frames itself.
 *
 * Behind its "Status: 101" STDIN is what the client sends and STDOUT what it is sent (websocket =
 * on).  Sec-WebSocket-Accept is left to the gateway.  Data frames come back as they were, piece by
 * piece, however long; a ping gets its pong, and Close ends it.  Asked for anything else it says
 * what it is for.
 *
 * Source   RFC 6455 5
 */
#include "app.h"

#include <stdbool.h>
#include <string.h>

enum { PIECE = 32 * 1024, CONTROL_MAX = 125 };
enum { OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct frame {
    uint8_t first; /* FIN and opcode */
    uint64_t n;
    uint8_t mask[4];
};

static bool read_all(FCGX_Request *req, uint8_t *p, size_t n)
{
    return FCGX_GetStr((char *)p, (int)n, req->in) == (int)n;
}

static uint64_t number(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* false: the client has ended, or breaks RFC 6455 5.1: what it sends is masked. */
static bool read_head(FCGX_Request *req, struct frame *f)
{
    uint8_t head[2], more[8];

    if (!read_all(req, head, 2) || !(head[1] & 0x80))
        return false;
    f->first = head[0];
    f->n = head[1] & 0x7f;
    size_t len = f->n == 126 ? 2 : f->n == 127 ? 8 : 0;
    if (len && !read_all(req, more, len))
        return false;
    if (len)
        f->n = number(more, len);
    return read_all(req, f->mask, 4);
}

static void write_head(FCGX_Request *req, uint8_t first, uint64_t n)
{
    uint8_t head[10] = {first};
    size_t len = n < 126 ? 0 : n < 65536 ? 2 : 8;

    head[1] = (uint8_t)(len == 0 ? n : len == 2 ? 126 : 127);
    for (size_t i = 0; i < len; i++)
        head[2 + i] = (uint8_t)(n >> 8 * (len - 1 - i));
    FCGX_PutStr((const char *)head, (int)(2 + len), req->out);
}

/* Its payload, unmasked, as it comes. */
static bool copy_payload(FCGX_Request *req, const struct frame *f)
{
    static __thread uint8_t piece[PIECE];

    for (uint64_t at = 0; at < f->n;) {
        size_t n = f->n - at < PIECE ? (size_t)(f->n - at) : PIECE;
        if (!read_all(req, piece, n))
            return false;
        for (size_t i = 0; i < n; i++)
            piece[i] ^= f->mask[(at + i) % 4];
        if (FCGX_PutStr((const char *)piece, (int)n, req->out) < 0 || FCGX_FFlush(req->out) < 0)
            return false;
        at += n;
    }
    return FCGX_FFlush(req->out) == 0;
}

static void talk(FCGX_Request *req)
{
    struct frame f;

    FCGX_FPrintF(req->out, "Status: 101\r\nUpgrade: websocket\r\n\r\n");
    FCGX_FFlush(req->out);
    while (read_head(req, &f)) {
        unsigned op = f.first & 15;
        if (op >= OP_CLOSE && f.n > CONTROL_MAX) /* RFC 6455 5.5 */
            return;
        uint8_t first = op == OP_PING ? 0x80 | OP_PONG : f.first;
        write_head(req, first, f.n);
        if (f.n > PIECE)
            FCGX_FFlush(req->out);
        if (!copy_payload(req, &f) || op == OP_CLOSE)
            return;
    }
}

static void answer(FCGX_Request *req)
{
    if (strcmp(app_param(req, "HTTP_UPGRADE"), "websocket") == 0)
        talk(req);
    else
        FCGX_FPrintF(req->out, "Content-Type: text/plain\r\n\r\nan echo over WebSocket\n");
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, answer);
}
