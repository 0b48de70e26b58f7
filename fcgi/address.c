#include "address.h"

#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static int address_unix(const char *path, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(un.sun_path))
        return -1;
    memcpy(un.sun_path, path, n + 1);
    memcpy(ret_addr, &un, sizeof(un));
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return 0;
}

int address_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *res;

    if (strncmp(text, "unix:", 5) == 0)
        return address_unix(text + 5, ret_addr, ret_len);
    if (!colon || colon == text)
        return -1;
    size_t n = (size_t)(colon - text);
    if (text[0] == '[' && text[n - 1] == ']') { /* RFC 3986 3.2.2 */
        text++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof(host))
        return -1;
    memcpy(host, text, n);
    host[n] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &res) != 0)
        return -1;
    memcpy(ret_addr, res->ai_addr, res->ai_addrlen);
    *ret_len = res->ai_addrlen;
    freeaddrinfo(res);
    return 0;
}
