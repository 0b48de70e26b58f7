/*
 * fcgi/apps/sink.c - reads the whole body, then answers "LENGTH SHA256" of it.
 */
#include "app.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { PIECE = 64 * 1024 };

static void answer_sum(FCGX_Request *req, EVP_MD_CTX *ctx)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned sum_len = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "", text[256], buf[PIECE];
    long long total = 0;
    int n;

    while ((n = FCGX_GetStr(buf, sizeof(buf), req->in)) > 0) {
        if (!EVP_DigestUpdate(ctx, buf, (size_t)n))
            return;
        total += n;
    }
    if (!EVP_DigestFinal_ex(ctx, sum, &sum_len))
        return;
    for (unsigned i = 0; i < sum_len; i++)
        (void)snprintf(hex + (size_t)2 * i, 3, "%02x", sum[i]);
    n = snprintf(text, sizeof(text), "Content-Type: text/plain\r\n\r\n%lld %s\n", total, hex);
    FCGX_PutStr(text, n, req->out);
}

static void sink(FCGX_Request *req)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        answer_sum(req, ctx);
    EVP_MD_CTX_free(ctx);
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, sink);
}
