#include "app.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 4096, STACK_BYTES = 256 * 1024 };

static app_answer the_answer; /* set before threads start */

/* Out of descriptors or a client that left while it waited: both pass. */
static bool accept_may_succeed_later(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS || err == EINTR ||
           err == ECONNABORTED || err == EAGAIN || err == EPROTO;
}

static void *serve(void *arg)
{
    static const struct timespec pause = {.tv_nsec = 10000000};
    FCGX_Request req;

    (void)arg;
    if (FCGX_InitRequest(&req, 0, 0) != 0)
        return NULL;
    for (;;) {
        int err = FCGX_Accept_r(&req); /* 0 or -errno */
        if (err == 0) {
            the_answer(&req);
            FCGX_Finish_r(&req);
        } else if (accept_may_succeed_later(-err)) {
            (void)nanosleep(&pause, NULL);
        } else {
            fprintf(stderr, "accept: %s\n", strerror(-err));
            return NULL;
        }
    }
}

static int start(unsigned n_threads)
{
    pthread_attr_t attr;
    pthread_t thread;

    if (pthread_attr_init(&attr) != 0)
        return -1;
    /* Hundreds of them: the default of 8 MiB each is address space for nothing. */
    int err = pthread_attr_setstacksize(&attr, STACK_BYTES);
    for (unsigned i = 1; i < n_threads && err == 0; i++)
        err = pthread_create(&thread, &attr, serve, NULL);
    pthread_attr_destroy(&attr);
    return err == 0 ? 0 : -1;
}

static void on_term(int sig)
{
    (void)sig;
    _exit(0);
}

/* libfcgi takes SIGTERM as "after this request", which an idle thread never sees; a handler
 * that is there before FCGX_Init stays. */
static int end_at_sigterm(void)
{
    struct sigaction act = {.sa_handler = on_term};

    sigemptyset(&act.sa_mask);
    return sigaction(SIGTERM, &act, NULL);
}

int app_run(int argc, char **argv, app_answer answer)
{
    unsigned long n_threads = 1;

    if (argc == 3 && strcmp(argv[1], "--threads") == 0)
        n_threads = strtoul(argv[2], NULL, 10);
    else if (argc != 1)
        n_threads = 0;
    if (n_threads < 1 || n_threads > MAX_THREADS) {
        fprintf(stderr, "usage: %s [--threads 1..%d], the listening socket as stdin\n", argv[0],
                MAX_THREADS);
        return 2;
    }
    the_answer = answer;
    if (end_at_sigterm() != 0 || FCGX_Init() != 0 || start((unsigned)n_threads) != 0) {
        fprintf(stderr, "%s: cannot start\n", argv[0]);
        return 1;
    }
    serve(NULL);
    return 1;
}

const char *app_param(const FCGX_Request *req, const char *name)
{
    const char *value = FCGX_GetParam(name, req->envp);
    return value ? value : "";
}

int64_t app_query_number(const FCGX_Request *req, const char *key, int64_t fallback)
{
    size_t len = strlen(key);

    for (const char *p = app_param(req, "QUERY_STRING"); *p; p += *p == '&') {
        if (strncmp(p, key, len) == 0 && p[len] == '=') {
            char *end;
            errno = 0;
            long long n = strtoll(p + len + 1, &end, 10);
            bool whole = end > p + len + 1 && (*end == '\0' || *end == '&');
            return whole && errno == 0 && n >= 0 ? n : fallback;
        }
        p += strcspn(p, "&");
    }
    return fallback;
}
