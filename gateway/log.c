#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "log_text.h"

enum {
    LINE_MAX_LEN = 4096, /* of the error log; longer is cut, and says so */
};

/*
 * The descriptors keep their numbers for the life of the process: reopening puts another file
 * under the same number (dup3), so a thread in the middle of write() needs no lock.  They are
 * atomic because the first access log may appear while threads run; relaxed, since nothing else
 * is published with them.
 */
static atomic_int error_fd = STDERR_FILENO;
static atomic_int access_fd = -1;
static atomic_int max_level = CONF_LOG_NOTICE;

/* ---- escaping ---- */

char *log_put_hex(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    *at++ = '\\';
    *at++ = 'x';
    *at++ = hex[c >> 4];
    *at++ = hex[c & 15];
    return at;
}

char *log_put_quoted(char *at, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (log_plain_quoted(c))
            *at++ = (char)c;
        else
            at = log_put_hex(at, c);
    }
    return at;
}

/* Length of the UTF-8 sequence at the front of s, 0 if it is none (RFC 3629 4).  The C1
 * controls, U+0080 to U+009F, count as none: terminals obey some of them. */
static size_t utf8_len(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || s.n < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xe0 && p[1] < 0xa0) ||
        (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* Free text, for people: valid UTF-8, quotes and backslashes as they are; control bytes and
 * whatever is not text escaped.  Stops where the next character would not fit; *ret_cut says
 * so. */
static char *put_text(char *at, const char *end, struct slice s, bool *ret_cut)
{
    while (s.n) {
        unsigned char c = (unsigned char)s.p[0];
        size_t n = c < 0x80 ? (c == '\t' || (c >= 0x20 && c != 0x7f)) : utf8_len(s);
        size_t room = (size_t)(end - at);

        if (room < (n ? n : 4)) {
            *ret_cut = true;
            return at;
        }
        if (n) {
            memcpy(at, s.p, n);
            at += n;
        } else {
            at = log_put_hex(at, c);
            n = 1;
        }
        s = slice_from(s, n);
    }
    return at;
}

int log_escape(struct buf *out, struct slice text)
{
    if (text.n > SIZE_MAX / 4)
        return GW_ENO_MEMORY;
    uint8_t *at = buf_reserve(out, text.n * 4);
    if (!at)
        return GW_ENO_MEMORY;
    buf_commit(out, (size_t)(log_put_quoted((char *)at, text) - (char *)at));
    return 0;
}

/* ---- descriptors ---- */

void log_write(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        p += done;
        n -= (size_t)done;
    }
}

static int open_log(const char *key, const char *name)
{
    int fd;

    if (strcmp(name, "stderr") == 0)
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0)
        fprintf(stderr, "h2cgi: %s %s: %s\n", key, name, strerror(errno));
    return fd;
}

static bool is_off(const char *name)
{
    return !name || strcmp(name, "off") == 0;
}

/* Both, or none and -1. */
static int open_logs(const struct conf_gateway *g, int *ret_error, int *ret_access)
{
    int efd = open_log("error_log", g->error_log ? g->error_log : "stderr");
    if (efd < 0)
        return -1;
    int afd = -1;
    if (!is_off(g->access_log)) {
        afd = open_log("access_log", g->access_log);
        if (afd < 0) {
            close(efd);
            return -1;
        }
    }
    *ret_error = efd;
    *ret_access = afd;
    return 0;
}

int log_open(const struct conf_gateway *g)
{
    int efd, afd;

    tzset(); /* localtime_r need not look at TZ itself */
    if (open_logs(g, &efd, &afd) < 0)
        return -1;
    atomic_store_explicit(&error_fd, efd, memory_order_relaxed);
    atomic_store_explicit(&access_fd, afd, memory_order_relaxed);
    atomic_store_explicit(&max_level, (int)g->error_level, memory_order_relaxed);
    return 0;
}

int log_reopen(const struct conf_gateway *g)
{
    int efd, afd;

    if (open_logs(g, &efd, &afd) < 0)
        return -1;
    log_use_fds(efd, afd);
    close(efd);
    if (afd >= 0)
        close(afd);
    return 0;
}

int log_error_fd(void)
{
    return atomic_load_explicit(&error_fd, memory_order_relaxed);
}

int log_access_fd(void)
{
    return atomic_load_explicit(&access_fd, memory_order_relaxed);
}

static void replace_fd(atomic_int *slot, int fd)
{
    int old = atomic_load_explicit(slot, memory_order_relaxed);

    if (fd < 0 || fd == old)
        return;
    if (old > STDERR_FILENO) {
        /* EBUSY: another thread is between open() and using that number; it cannot be ours. */
        while (dup3(fd, old, O_CLOEXEC) < 0 && (errno == EINTR || errno == EBUSY))
            ;
        return;
    }
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own >= 0)
        atomic_store_explicit(slot, own, memory_order_relaxed);
}

void log_use_fds(int new_error_fd, int new_access_fd)
{
    replace_fd(&error_fd, new_error_fd);
    replace_fd(&access_fd, new_access_fd);
}

/* ---- the error log ---- */

static const char *level_name(int level)
{
    static const char *const names[] = {
        [CONF_LOG_ERROR] = "error", [CONF_LOG_WARN] = "warn",   [CONF_LOG_NOTICE] = "notice",
        [CONF_LOG_INFO] = "info",   [CONF_LOG_DEBUG] = "debug",
    };

    if (level < CONF_LOG_ERROR)
        level = CONF_LOG_ERROR;
    return names[level > CONF_LOG_DEBUG ? CONF_LOG_DEBUG : level];
}

static bool level_wanted(int level)
{
    return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

/* "2026-11-23T14:05:06.123Z LEVEL pid: "; returns its length. */
static size_t put_prefix(char *line, size_t cap, int level)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &tm) ||
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        when[0] = '\0';
    int n = snprintf(line, cap, "%s.%03ldZ %s %ld: ", when, now.tv_nsec / 1000000,
                     level_name(level), (long)getpid());
    return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}

/* prefix, fields, text, newline: one write, so that lines of several processes never mix. */
static void write_line(int level, const char *fields, struct slice text)
{
    static const char ellipsis[] = " [cut]";
    char line[LINE_MAX_LEN];
    char *end = line + sizeof line - sizeof ellipsis;
    bool cut = false;

    char *at = line + put_prefix(line, sizeof line / 2, level);
    at = put_text(at, end, slice_str(fields), &cut);
    at = put_text(at, end, text, &cut);
    if (cut) {
        memcpy(at, ellipsis, sizeof ellipsis - 1);
        at += sizeof ellipsis - 1;
    }
    *at++ = '\n';
    log_write(log_error_fd(), line, (size_t)(at - line));
}

void log_line(int level, const char *fmt, ...)
{
    char text[LINE_MAX_LEN];
    va_list ap;

    if (!level_wanted(level))
        return;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    write_line(level, "",
               slice_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
}

void log_app_line(int level, const char *pool, const char *site, long pid, struct slice text)
{
    char fields[512];
    char process[32] = "";

    if (!level_wanted(level))
        return;
    if (pid > 0)
        (void)snprintf(process, sizeof process, "process=%ld ", pid);
    int n = snprintf(fields, sizeof fields, "%s%s%spool=%s %s", site ? "site=" : "",
                     site ? site : "", site ? " " : "", pool ? pool : "-", process);
    if (n >= 0)
        write_line(level, fields, text);
}
