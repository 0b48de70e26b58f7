#include "error_page.h"

#include "accept.h"
#include "errors.h"
#include "page_style.h"

/* ---- the text ---- */

struct sentence_row {
    int status;
    const char
        *text; /* stands in HTML and in JSON as it is: no quote, no bracket, no ampersand */
};

/* For whoever asked, who neither knows the server nor can look into its log. */
static const struct sentence_row sentences[] = {
    {400, "This server could not make sense of the request."},
    {401, "This page is only for people who sign in, and the name or password was missing or "
          "wrong."},
    {403, "This page is not for everybody, and it was not shown to you."},
    {404,
     "There is nothing at this address. It may have moved, or there is a slip in the link."},
    {405, "This page does not take requests of that kind."},
    {408, "The request took too long to arrive. Please try again."},
    {410, "What was at this address is gone, and will not come back."},
    {412, "What is here is not what the request expected. It may have changed meanwhile."},
    {413, "What was sent is larger than this server takes."},
    {414, "The address is longer than this server takes."},
    {416, "The part that was asked for is not there."},
    {417, "This server cannot do what the request expects of it."},
    {421, "This server does not answer for that name."},
    {426, "This page is only for programs that speak another protocol."},
    {429, "There were too many requests in a short time. Please wait a little and try again."},
    {431, "The request carried more than this server takes. Deleting the cookies of this site "
          "may help."},
    {500, "Something went wrong on our side. Please try again later."},
    {501, "This server does not know requests of that kind."},
    {502, "The page could not be made because something behind it failed. Please try again "
          "later."},
    {503, "The server has too much to do right now. Please try again in a moment."},
    {504, "The page took too long to be made. Please try again later."},
    {505, "This server does not speak that version of HTTP."},
    {507, "The server has no room for this request right now. Please try again later."},
};

static const char *sentence(int status)
{
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        if (sentences[i].status == status)
            return sentences[i].text;
    }
    if (status < 400)
        return "What you asked for is at another address.";
    return status < 500 ? "The request could not be answered."
                        : "Something went wrong on our side. Please try again later.";
}

/* ---- its forms ---- */

#define HTML                                                                                   \
    PAGE_BEGIN                                                                                 \
    "%d%s%.*s" PAGE_STYLE                                                                      \
    "main{max-width:34rem;margin:0 auto;padding:max(3rem,18vh) 1.5rem 3rem}\n"                 \
    "h1{font-size:1.75rem;line-height:1.2;font-weight:600;margin:0 0 1rem}\n"                  \
    "h1 b{display:block;font-size:5rem;line-height:1;font-weight:700;letter-spacing:-.03em;"   \
    "color:var(--mark);margin-bottom:.75rem}\n"                                                \
    "p{margin:0 0 2rem;font-size:1.125rem}\n"                                                  \
    "footer{border-top:1px solid var(--line);padding-top:1rem}\n"                              \
    "</style>\n"                                                                               \
    "</head>\n"                                                                                \
    "<body>\n"                                                                                 \
    "<main>\n"                                                                                 \
    "<h1><b>%d</b>%s%.*s</h1>\n"                                                               \
    "<p>%s</p>\n"                                                                              \
    "%s%.*s%s"                                                                                 \
    "</main>\n"                                                                                \
    "</body>\n"                                                                                \
    "</html>\n"

static struct slice put_html(struct arena *a, int status, struct slice reason, struct slice id)
{
    const char *gap = reason.n ? " " : "";

    return arena_printf(a, HTML, status, gap, SLICE_FMT(reason), status, gap, SLICE_FMT(reason),
                        sentence(status), id.n ? "<footer>Request <code>" : "", SLICE_FMT(id),
                        id.n ? "</code></footer>\n" : "");
}

/* The type about:blank: the status says all (RFC 9457 4.2.1). */
static struct slice put_json(struct arena *a, int status, struct slice reason, struct slice id)
{
    return arena_printf(a,
                        "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d,"
                        "\"detail\":\"%s\"%s%.*s%s}\n",
                        SLICE_FMT(reason), status, sentence(status),
                        id.n ? ",\"request_id\":\"" : "", SLICE_FMT(id), id.n ? "\"" : "");
}

static struct slice put_text(struct arena *a, int status, struct slice reason, struct slice id)
{
    return arena_printf(a, "%d%s%.*s\n%s\n%s%.*s%s", status, reason.n ? " " : "",
                        SLICE_FMT(reason), sentence(status), id.n ? "Request " : "",
                        SLICE_FMT(id), id.n ? "\n" : "");
}

static const struct form_row {
    struct slice type;
    struct slice (*put)(struct arena *a, int status, struct slice reason, struct slice id);
} forms[] = {
    [ERROR_HTML] = {SLICE("text/html; charset=utf-8"), put_html},
    [ERROR_JSON] = {SLICE("application/problem+json"), put_json},
    [ERROR_TEXT] = {SLICE("text/plain; charset=utf-8"), put_text},
};

enum error_form error_page_form(const struct field *fields, size_t n_fields)
{
    static const struct offer {
        struct slice type;
        enum error_form form;
    } offers[] = {
        {SLICE("text/html"), ERROR_HTML},
        {SLICE("application/json"), ERROR_JSON},
        {SLICE("application/problem+json"), ERROR_JSON},
        {SLICE("text/plain"), ERROR_TEXT},
    };
    enum { N = sizeof(offers) / sizeof(offers[0]) };
    struct slice types[N];

    for (size_t i = 0; i < N; i++)
        types[i] = offers[i].type;
    int at = accept_pick(fields, n_fields, types, N);
    return at < 0 ? ERROR_TEXT : offers[at].form; /* 406 would say less: RFC 9110 12.1 */
}

struct error_page error_page(struct arena *a, int status, enum error_form form, struct slice id)
{
    const struct form_row *row = &forms[form];

    return (struct error_page){row->type, row->put(a, status, http_reason(status), id)};
}
