/*
 * fcgi/apps/hello.c - "Hello, NAME", NAME being the path below the route; World without one.
 * The smallest answer there is: for the demo and for measuring.
 */
#include "app.h"

#include <string.h>

static void hello(FCGX_Request *req)
{
    const char *name = app_param(req, "PATH_INFO");

    if (*name == '/')
        name++;
    if (*name == '\0')
        name = "World";
    FCGX_FPrintF(req->out,
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: %d\r\n\r\n"
                 "Hello, %s\n",
                 (int)(strlen("Hello, \n") + strlen(name)), name);
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, hello);
}
