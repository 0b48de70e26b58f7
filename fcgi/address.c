#include "address.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "../gateway/slice.h"

static bool is_unix(const char *text)
{
    return strncmp(text, "unix:", 5) == 0;
}

static bool is_srv(const char *text)
{
    return strncmp(text, ADDRESS_SRV, sizeof(ADDRESS_SRV) - 1) == 0;
}

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

int address_split(const char *text, char ret_host[ADDRESS_HOST], uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');

    if (!colon || colon == text)
        return -1;
    int64_t port = slice_decimal(slice_str(colon + 1), UINT16_MAX);
    size_t n = (size_t)(colon - text);
    if (text[0] == '[' && text[n - 1] == ']') { /* RFC 3986 3.2.2 */
        text++;
        n -= 2;
    }
    if (n == 0 || n >= ADDRESS_HOST || port < 0)
        return -1;
    memcpy(ret_host, text, n);
    ret_host[n] = '\0';
    *ret_port = (uint16_t)port;
    return 0;
}

static struct addrinfo *look_up(const char *text, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *res;
    char host[ADDRESS_HOST], service[8];
    uint16_t port;

    if (address_split(text, host, &port) < 0)
        return NULL;
    (void)snprintf(service, sizeof(service), "%u", port);
    return getaddrinfo(host, service, &hints, &res) == 0 ? res : NULL;
}

bool address_is_name(const char *text)
{
    if (is_unix(text) || is_srv(text))
        return is_srv(text);
    struct addrinfo *res = look_up(text, AI_NUMERICHOST);
    if (res)
        freeaddrinfo(res);
    return !res;
}

int address_parse(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len)
{
    if (is_unix(text))
        return address_unix(text + 5, ret_addr, ret_len);
    struct addrinfo *res = look_up(text, 0);
    if (!res)
        return -1;
    memcpy(ret_addr, res->ai_addr, res->ai_addrlen);
    *ret_len = res->ai_addrlen;
    freeaddrinfo(res);
    return 0;
}
