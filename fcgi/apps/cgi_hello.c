/*
 * fcgi/apps/cgi_hello.c - the CGI twin of hello.c: one process a request, no library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    const char *name = getenv("PATH_INFO");

    if (name && *name == '/')
        name++;
    if (!name || *name == '\0')
        name = "World";
    printf("Content-Type: text/plain; charset=utf-8\r\n"
           "Content-Length: %zu\r\n\r\n"
           "Hello, %s\n",
           strlen("Hello, \n") + strlen(name), name);
    return 0;
}
