/*
 * fcgi/apps/slow.c - answers after ?ms=N milliseconds, 20 unless told: an application that waits
 * for something else, with so many requests a second and thread and no more.
 */
#include "app.h"

#include <errno.h>
#include <time.h>

static void slow(FCGX_Request *req)
{
    int64_t ms = app_query_number(req, "ms", 20);
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    FCGX_FPrintF(req->out, "Content-Type: text/plain\r\n"
                           "Content-Length: 5\r\n\r\n"
                           "slow\n");
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, slow);
}
