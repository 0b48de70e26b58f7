/*
 * fcgi/apps/authorizer.c - a FastCGI Authorizer: name and password (RFC 7617) against the pairs
 * in the process's USERS, "alice:secret bob:hunter2".
 *
 *     known       200: REMOTE_USER, AUTH_TYPE and GREETING become variables of the request
 *     unknown     401 with a challenge; with LOGIN set to a URL, 302 to that
 *     banned      403, for the user BANNED
 */
#include "app.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { CODED_MAX = 1024 };

/* "name:password" of the request's Authorization field; false without one. */
static bool credentials(const FCGX_Request *req, char pair[CODED_MAX])
{
    static const char scheme[] = "Basic ";
    const char *coded = app_param(req, "HTTP_AUTHORIZATION");
    size_t n = strlen(coded);

    if (n >= CODED_MAX || strncmp(coded, scheme, sizeof(scheme) - 1) != 0)
        return false;
    coded += sizeof(scheme) - 1;
    int len = EVP_DecodeBlock((unsigned char *)pair, (const unsigned char *)coded,
                              (int)strlen(coded));
    if (len < 0)
        return false;
    pair[len] = '\0'; /* the padding came out as NULs in front of it */
    return strchr(pair, ':') != NULL;
}

static bool is_known(const char *pair)
{
    const char *at = getenv("USERS");
    size_t n = strlen(pair);
    bool known = false;

    for (at = at ? at : ""; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        known |= len == n && CRYPTO_memcmp(at, pair, n) == 0;
        at += len;
    }
    return known;
}

static void refuse(FCGX_Request *req)
{
    const char *login = getenv("LOGIN");

    if (login)
        FCGX_FPrintF(req->out, "Status: 302 Found\r\nLocation: %s\r\n\r\n", login);
    else
        FCGX_PutS("Status: 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"hall\"\r\n"
                  "Content-Type: text/plain\r\nVariable-REASON: unknown\r\n\r\n"
                  "Who are you?\n",
                  req->out);
}

static void authorize(FCGX_Request *req)
{
    const char *banned = getenv("BANNED");
    char pair[CODED_MAX];

    if (!credentials(req, pair) || !is_known(pair)) {
        refuse(req);
        return;
    }
    pair[strcspn(pair, ":")] = '\0';
    if (banned && strcmp(pair, banned) == 0) {
        FCGX_FPrintF(req->out,
                     "Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n%s is banned\n",
                     pair);
        return;
    }
    FCGX_FPrintF(req->out,
                 "Status: 200 OK\r\nVariable-REMOTE_USER: %s\r\nVariable-AUTH_TYPE: Basic\r\n"
                 "Variable-GREETING: welcome, %s\r\nSet-Cookie: seen=1\r\n\r\n",
                 pair, pair);
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, authorize);
}
