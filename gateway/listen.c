#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "congestion.h"
#include "unixsock.h"

enum { BACKLOG = 4096 }; /* cut to net.core.somaxconn by the kernel */

static const char unix_prefix[] = "unix:";

static bool is_unix(const char *address)
{
    return strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0;
}

/* Takes fd and address on success. */
static int listeners_add(struct listeners *l, int fd, bool tls, char *address)
{
    if (l->n == l->cap) {
        unsigned cap = l->cap ? l->cap * 2 : 8;
        struct gateway_listener *all = reallocarray(l->all, cap, sizeof *all);
        if (!all)
            return -1;
        l->all = all;
        l->cap = cap;
    }
    l->all[l->n++] = (struct gateway_listener){.fd = fd, .tls = tls, .address = address};
    return 0;
}

/* "127.0.0.1:80", "[::1]:80" of a bound socket, or NULL. */
static char *bound_text(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    char *text = NULL;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
        getnameinfo((struct sockaddr *)&addr, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return NULL;
    bool v6 = addr.ss_family == AF_INET6;
    if (asprintf(&text, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0)
        return NULL;
    return text;
}

static int tcp_socket(const struct addrinfo *ai)
{
    static const int on = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    /* Otherwise connections of the last run in TIME_WAIT keep the port for a minute. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        goto close_fd;
    /* IPv4 has sockets of its own, so that logs show 192.0.2.1 and not ::ffff:192.0.2.1. */
    if (ai->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        goto close_fd;
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        goto close_fd;
    return fd;
close_fd:;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

/* A family that the machine does not have is no error for "*:port" and for names. */
static bool family_missing(int err)
{
    return err == EAFNOSUPPORT || err == EADDRNOTAVAIL;
}

/* All of list; the reason it failed, or NULL. */
static const char *open_all(struct listeners *l, const struct addrinfo *list, bool tls)
{
    unsigned before = l->n;
    int missing = 0;

    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd = tcp_socket(ai);
        if (fd < 0 && list->ai_next && family_missing(errno)) {
            missing = errno;
            continue;
        }
        if (fd < 0)
            return strerror(errno);
        char *text = bound_text(fd);
        if (!text || listeners_add(l, fd, tls, text) < 0) {
            free(text);
            close(fd);
            return "out of memory";
        }
    }
    return l->n > before ? NULL : strerror(missing);
}

/* host:port or *:port; the brackets of an IPv6 address are cut off. */
static const char *open_tcp(struct listeners *l, const char *address, bool tls)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *colon = strrchr(address, ':');
    struct addrinfo *list;
    char host[NI_MAXHOST];

    if (!colon || (size_t)(colon - address) >= sizeof host)
        return "not an address";
    size_t n = (size_t)(colon - address);
    memcpy(host, address, n);
    host[n] = '\0';
    char *name = host;
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        name++;
        hints.ai_family = AF_INET6;
    }
    int rc = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, colon + 1, &hints, &list);
    if (rc != 0)
        return rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
    const char *why = open_all(l, list, tls);
    freeaddrinfo(list);
    return why;
}

static const char *open_unix(struct listeners *l, const char *address, bool tls)
{
    const char *path = address + sizeof unix_prefix - 1;
    int fd = unixsock_listen(path, 0666, (uid_t)-1, (gid_t)-1, BACKLOG);

    if (fd < 0)
        return strerror(errno);
    char *text = strdup(address);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && text && listeners_add(l, fd, tls, text) == 0)
        return NULL;
    free(text);
    close(fd);
    unlink(path);
    return "out of memory";
}

static int open_section(struct listeners *l, const struct conf_listen *c, FILE *errors_to)
{
    unsigned first = l->n;

    for (unsigned i = 0; i < c->n_addresses; i++) {
        const char *address = c->addresses[i];
        const char *why =
            is_unix(address) ? open_unix(l, address, c->tls) : open_tcp(l, address, c->tls);
        if (why) {
            fprintf(errors_to, "h2cgi: [listen %s] address %s: %s\n", c->name, address, why);
            return -1;
        }
    }
    for (; first < l->n; first++) {
        char why[320];
        l->all[first].conf = c;
        if (!congestion_listen(l->all[first].fd, c->congestion_control, why, sizeof why)) {
            fprintf(errors_to, "h2cgi: [listen %s] congestion_control = %s: %s\n", c->name,
                    c->congestion_control, why);
            return -1;
        }
    }
    return 0;
}

int listeners_open(const struct conf *conf, struct listeners *ret_l, FILE *errors_to)
{
    struct listeners l = {0};

    for (unsigned i = 0; i < conf->n_listens; i++) {
        if (open_section(&l, &conf->listens[i], errors_to) < 0) {
            listeners_close(&l, true);
            return -1;
        }
    }
    *ret_l = l;
    return 0;
}

void listeners_close(struct listeners *l, bool with_files)
{
    for (unsigned i = 0; i < l->n; i++) {
        char *address = (char *)(uintptr_t)l->all[i].address;
        close(l->all[i].fd);
        if (with_files && is_unix(address))
            unlink(address + sizeof unix_prefix - 1);
        free(address);
    }
    free(l->all);
    *l = (struct listeners){0};
}

void listener_url(const struct gateway_listener *l, char *out, size_t cap)
{
    const char *scheme = l->tls ? "https" : "http";

    if (is_unix(l->address))
        (void)snprintf(out, cap, "%s (%s)", l->address, scheme);
    else
        (void)snprintf(out, cap, "%s://%s", scheme, l->address);
}
