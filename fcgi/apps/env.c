/*
 * fcgi/apps/env.c - the parameters of the request as an HTML page, in the order they came: for
 * the demo, and for looking at what a gateway sends.
 */
#include "app.h"

#include <stddef.h>

static const char head[] =
    "Content-Type: text/html; charset=utf-8\r\n\r\n"
    "<!DOCTYPE html>\n<html lang=\"en\">\n"
    "<head><meta charset=\"utf-8\"><title>Environment by FastCGI</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<link rel=\"icon\" href=\"/logo.svg\" type=\"image/svg+xml\">"
    "<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n"
    "<body><main><h1>Environment by FastCGI</h1>\n"
    "<p class=\"lead\">What came as FCGI_PARAMS with this request.</p>\n"
    "<table class=\"vars\">\n";

static const char foot[] =
    "</table>\n<footer><a href=\"/\">All demos</a></footer></main></body></html>\n";

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

/* Most of it comes from the client. */
static void put_escaped(FCGX_Stream *out, const char *text)
{
    for (; *text; text++) {
        const char *e = entity(*text);
        if (e)
            FCGX_PutS(e, out);
        else
            FCGX_PutChar(*text, out);
    }
}

static void put_row(FCGX_Stream *out, const char *name_and_value)
{
    FCGX_PutS("<tr><td>", out);
    for (; *name_and_value && *name_and_value != '='; name_and_value++)
        put_escaped(out, (const char[]){*name_and_value, '\0'});
    FCGX_PutS("</td><td>", out);
    put_escaped(out, *name_and_value ? name_and_value + 1 : "");
    FCGX_PutS("</td></tr>\n", out);
}

static void env(FCGX_Request *req)
{
    FCGX_PutS(head, req->out);
    for (char **p = req->envp; *p; p++)
        put_row(req->out, *p);
    FCGX_PutS(foot, req->out);
}

int main(int argc, char **argv)
{
    return app_run(argc, argv, env);
}
