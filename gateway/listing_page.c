#include "listing_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "err.h"
#include "escape.h"
#include "page_style.h"
#include "version.h"

/* ---- order ---- */

static const char *const sort_names[] = {"name", "size", "date"};

void listing_page_order(struct slice query, enum listing_sort *ret_sort, bool *ret_descending)
{
    *ret_sort = LISTING_NAME;
    *ret_descending = false;
    while (query.n) {
        ssize_t end = slice_find(query, '&');
        struct slice arg = end < 0 ? query : slice_of(query.p, (size_t)end);
        query = end < 0 ? slice_of("", 0) : slice_from(query, (size_t)end + 1);
        for (int i = 0; i < 3; i++) {
            if (slice_starts(arg, SLICE("sort=")) &&
                slice_eq(slice_from(arg, 5), slice_str(sort_names[i])))
                *ret_sort = (enum listing_sort)i;
        }
        if (slice_starts(arg, SLICE("order=")))
            *ret_descending = slice_eq(slice_from(arg, 6), SLICE("desc"));
    }
}

/* As people look for names: without case; then byte by byte, so that the order is one. */
static int compare_names(const char *a, const char *b)
{
    int c = strcasecmp(a, b);
    return c ? c : strcmp(a, b);
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int listing_page_compare(const struct listing_page *p, const struct listing_entry *a,
                         const struct listing_entry *b)
{
    int c = 0;

    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    if (p->sort == LISTING_SIZE && !a->is_folder)
        c = compare_numbers(a->size, b->size);
    else if (p->sort == LISTING_DATE)
        c = compare_numbers(a->mtime, b->mtime);
    if (c == 0)
        c = compare_names(a->name, b->name);
    return p->descending ? -c : c;
}

/* ---- values ---- */

/* "17 B", "1.5 KiB", "120 MiB" */
static int put_size(struct buf *out, int64_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)size;
    int unit = 0;

    while (v >= 1023.5 && unit < 6) { /* what would be written as 1024 */
        v /= 1024;
        unit++;
    }
    return buf_printf(out, unit && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[unit]);
}

/* "2026-11-28T14:05:06Z", or "2026-11-28 14:05" for people. */
static int put_time(struct buf *out, int64_t at, bool brief)
{
    time_t t = (time_t)at;
    struct tm tm;
    char text[64];

    if (!gmtime_r(&t, &tm))
        return 0;
    size_t n = brief ? strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm)
                     : strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return buf_puts(out, slice_of(text, n));
}

static int put(struct buf *out, const char *text)
{
    return buf_puts(out, slice_str(text));
}

/* "./name/": with the dot, since "a:b" alone would be a scheme. */
static int put_href(struct buf *out, const struct listing_entry *e)
{
    int rc = put(out, "./");

    rc |= escape_segment(out, slice_str(e->name));
    return e->is_folder ? rc | put(out, "/") : rc;
}

/* ---- HTML ---- */

static int put_column(struct buf *out, const struct listing_page *p, enum listing_sort sort,
                      const char *title)
{
    bool sorted = p->sort == sort;

    return buf_printf(out, "<th%s><a href=\"?sort=%s&amp;order=%s\">%s</a>%s</th>",
                      !sorted         ? ""
                      : p->descending ? " aria-sort=\"descending\""
                                      : " aria-sort=\"ascending\"",
                      sort_names[sort], sorted && !p->descending ? "desc" : "asc", title,
                      !sorted         ? ""
                      : p->descending ? " \xe2\x86\x93"
                                      : " \xe2\x86\x91");
}

static int put_welcome(struct buf *out, const struct listing_welcome *w)
{
    int rc = buf_printf(out,
                        "<header>\n<p><b>h2cgi " H2CGI_VERSION
                        "</b> serves this folder. You came by <b>%.*s</b>",
                        SLICE_FMT(w->protocol));

    if (w->other.n)
        rc |= buf_printf(out, "; the same is at <a href=\"%.*s\">%.*s</a>", SLICE_FMT(w->other),
                         SLICE_FMT(w->other));
    rc |= put(out, ".</p>\n");
    if (w->n_scripts)
        rc |= put(out, "<p>Programs in <code>cgi-bin</code>:");
    for (size_t i = 0; i < w->n_scripts; i++) {
        rc |= put(out, i ? ", <a href=\"/cgi-bin/" : " <a href=\"/cgi-bin/");
        rc |= escape_segment(out, slice_str(w->scripts[i]));
        rc |= put(out, "\">");
        rc |= escape_html(out, slice_str(w->scripts[i]));
        rc |= put(out, "</a>");
    }
    if (w->n_scripts)
        rc |= put(out, "</p>\n");
    return rc | put(out, "</header>\n");
}

static int html_begin(struct buf *out, const struct listing_page *p)
{
    int rc = put(out, PAGE_BEGIN);

    rc |= escape_html(out, p->path);
    rc |= put(out, PAGE_STYLE
              "main{max-width:56rem;margin:0 auto;padding:2rem 1.5rem 3rem}\n"
              "header{border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;"
              "margin-bottom:2rem}\n"
              "header p{margin:.25rem 0}\n"
              "h1{font-size:1.5rem;font-weight:600;margin:0 0 1rem}\n"
              "table{width:100%;border-collapse:collapse}\n"
              "th,td{text-align:left;padding:.4rem .75rem .4rem 0;vertical-align:top;"
              "border-bottom:1px solid var(--line)}\n"
              "th{font-size:.875rem;color:var(--soft)}\n"
              "th a{color:inherit}\n"
              "td a{text-decoration:none}\n"
              "td a:hover{text-decoration:underline}\n"
              "th+th,td+td{width:1%;white-space:nowrap;text-align:right;padding:.4rem 0 .4rem "
              "1.5rem;color:var(--soft);font-variant-numeric:tabular-nums}\n"
              "</style>\n</head>\n<body>\n<main>\n");
    if (p->welcome)
        rc |= put_welcome(out, p->welcome);
    rc |= put(out, "<h1>");
    rc |= escape_html(out, p->path);
    rc |= put(out, "</h1>\n<table>\n<thead><tr>");
    rc |= put_column(out, p, LISTING_NAME, "Name");
    rc |= put_column(out, p, LISTING_SIZE, "Size");
    rc |= put_column(out, p, LISTING_DATE, "Changed");
    rc |= put(out, "</tr></thead>\n<tbody>\n");
    if (p->path.n > 1)
        rc |= put(out, "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    return rc;
}

static int html_entry(struct buf *out, const struct listing_page *p, size_t i)
{
    const struct listing_entry *e = &p->entries[i];
    int rc = put(out, "<tr><td><a href=\"");

    rc |= put_href(out, e);
    rc |= put(out, "\">");
    rc |= escape_html(out, slice_str(e->name));
    rc |= put(out, e->is_folder ? "/</a></td><td>" : "</a></td><td>");
    if (!e->is_folder)
        rc |= put_size(out, e->size);
    rc |= put(out, "</td><td><time datetime=\"");
    rc |= put_time(out, e->mtime, false);
    rc |= put(out, "\">");
    rc |= put_time(out, e->mtime, true);
    return rc | put(out, "</time></td></tr>\n");
}

static int html_end(struct buf *out, const struct listing_page *p)
{
    int rc = put(out, "</tbody>\n</table>\n");

    if (!p->complete)
        rc |= buf_printf(out, "<p>There is more: only %zu entries are shown.</p>\n",
                         p->n_entries);
    else if (p->n_entries == 0)
        rc |= put(out, "<p>The folder is empty.</p>\n");
    return rc | put(out, "</main>\n</body>\n</html>\n");
}

/* ---- JSON ---- */

static int json_begin(struct buf *out, const struct listing_page *p)
{
    int rc = put(out, "{\"path\":\"");

    rc |= escape_json(out, p->path);
    return rc | put(out, p->complete ? "\",\"complete\":true,\"entries\":["
                                     : "\",\"complete\":false,\"entries\":[");
}

static int json_entry(struct buf *out, const struct listing_page *p, size_t i)
{
    const struct listing_entry *e = &p->entries[i];
    int rc = put(out, i ? ",\n{\"name\":\"" : "\n{\"name\":\"");

    rc |= escape_json(out, slice_str(e->name));
    rc |= put(out, "\",\"href\":\"");
    rc |= put_href(out, e);
    rc |= put(out, e->is_folder ? "\",\"type\":\"folder\"" : "\",\"type\":\"file\"");
    if (!e->is_folder)
        rc |= buf_printf(out, ",\"size\":%lld", (long long)e->size);
    rc |= put(out, ",\"modified\":\"");
    rc |= put_time(out, e->mtime, false);
    return rc | put(out, "\"}");
}

static int json_end(struct buf *out, const struct listing_page *p)
{
    (void)p;
    return put(out, "\n]}\n");
}

/* ---- plain text: a name a line ---- */

static int text_begin(struct buf *out, const struct listing_page *p)
{
    (void)out;
    (void)p;
    return 0;
}

static int text_entry(struct buf *out, const struct listing_page *p, size_t i)
{
    int rc = escape_text(out, slice_str(p->entries[i].name));
    return rc | put(out, p->entries[i].is_folder ? "/\n" : "\n");
}

static int text_end(struct buf *out, const struct listing_page *p)
{
    return p->complete ? 0 : put(out, "...\n");
}

/* ---- forms ---- */

static const struct form_row {
    const char *type;
    int (*begin)(struct buf *out, const struct listing_page *p);
    int (*entry)(struct buf *out, const struct listing_page *p, size_t i);
    int (*end)(struct buf *out, const struct listing_page *p);
} forms[] = {
    [LISTING_HTML] = {"text/html; charset=utf-8", html_begin, html_entry, html_end},
    [LISTING_JSON] = {"application/json", json_begin, json_entry, json_end},
    [LISTING_TEXT] = {"text/plain; charset=utf-8", text_begin, text_entry, text_end},
};

static int result(int rc)
{
    return rc ? GW_ENO_MEMORY : 0; /* the only failure there is, or several of them or'ed */
}

struct slice listing_page_type(enum listing_form form)
{
    return slice_str(forms[form].type);
}

int listing_page_begin(struct buf *out, const struct listing_page *p, enum listing_form form)
{
    return result(forms[form].begin(out, p));
}

int listing_page_entry(struct buf *out, const struct listing_page *p, enum listing_form form,
                       size_t i)
{
    return result(forms[form].entry(out, p, i));
}

int listing_page_end(struct buf *out, const struct listing_page *p, enum listing_form form)
{
    return result(forms[form].end(out, p));
}
