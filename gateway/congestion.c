#include "congestion.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 16 }; /* TCP_CA_NAME_MAX, with its NUL */

static const char available[] = "/proc/sys/net/ipv4/tcp_available_congestion_control";
static const char allowed[] = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/* The names in one of these files; "" if it cannot be read. */
static void read_names(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, cap - 1);

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static bool set_name(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

static bool is_inside(const struct sockaddr *addr)
{
    const struct sockaddr_in *in = (const void *)addr;
    const struct sockaddr_in6 *in6 = (const void *)addr;

    switch (addr->sa_family) {
    case AF_INET:
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    default:
        return false;
    }
}

void congestion_spare(int fd, const struct sockaddr *addr)
{
    char name[NAME_BYTES] = "";
    socklen_t len = sizeof(name);

    /* Every kernel has reno, and everybody may choose it. */
    if (is_inside(addr) && getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) == 0 &&
        strncmp(name, "bbr", 3) == 0)
        set_name(fd, "reno");
}

static void spare_bound(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);

    if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
        congestion_spare(fd, (struct sockaddr *)&addr);
}

bool congestion_listen(int fd, const char *name, char *ret_why, size_t cap)
{
    char names[256];

    if (strcmp(name, "system") == 0)
        return true;
    if (strcmp(name, "auto") == 0) {
        spare_bound(fd);
        return true;
    }
    if (set_name(fd, name) || errno == EOPNOTSUPP)
        return true;
    bool may_not = errno == EPERM;
    read_names(may_not ? allowed : available, names, sizeof(names));
    (void)snprintf(ret_why, cap, "%s%s",
                   may_not ? "only root may choose it; everybody may: "
                           : "this kernel does not have it, but: ",
                   names);
    return false;
}
