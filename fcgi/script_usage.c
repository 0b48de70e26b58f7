#include "script_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

int script_usage_open(void)
{
    int fd = memfd_create("h2cgi-usage", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    /* The one who writes could else make it shorter, and the one who reads would get SIGBUS. */
    if (ftruncate(fd, (off_t)sizeof(struct script_usage)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

static void *map(int fd, int prot)
{
    void *at = mmap(NULL, sizeof(struct script_usage), prot, MAP_SHARED, fd, 0);

    return at == MAP_FAILED ? NULL : at;
}

const struct script_usage *script_usage_map_read(int fd)
{
    return map(fd, PROT_READ);
}

struct script_usage *script_usage_map_write(int fd)
{
    return map(fd, PROT_READ | PROT_WRITE);
}

void script_usage_unmap(const struct script_usage *page)
{
    if (page)
        munmap((void *)(uintptr_t)page, sizeof *page);
}

static uint64_t timeval_us(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

/* Relaxed but for the last: the sockets between the two order more than any fence. */
void script_usage_put(struct script_usage *page, int status, const struct rusage *usage)
{
    atomic_store_explicit(&page->status, status, memory_order_relaxed);
    atomic_store_explicit(&page->cpu_us,
                          timeval_us(&usage->ru_utime) + timeval_us(&usage->ru_stime),
                          memory_order_relaxed);
    atomic_store_explicit(&page->peak_kb, (uint64_t)usage->ru_maxrss, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->n_ended, 1, memory_order_release);
}

unsigned script_usage_n(const struct script_usage *page)
{
    return atomic_load_explicit(&page->n_ended, memory_order_relaxed);
}

bool script_usage_get(const struct script_usage *page, unsigned n, struct script_use *ret_use)
{
    if (atomic_load_explicit(&page->n_ended, memory_order_acquire) == n)
        return false;
    *ret_use = (struct script_use){
        .status = atomic_load_explicit(&page->status, memory_order_relaxed),
        .cpu_us = atomic_load_explicit(&page->cpu_us, memory_order_relaxed),
        .peak_kb = atomic_load_explicit(&page->peak_kb, memory_order_relaxed),
    };
    return true;
}
