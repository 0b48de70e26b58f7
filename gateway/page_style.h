/*
 * gateway/page_style.h - the look that all pages of the gateway's own have: error pages
 * (error_page.c), listings (listing_page.c).
 *
 * One small document each: nothing is fetched, no script runs, and where a policy forbids the
 * style the page reads as well without (the color-scheme stands in the markup, so that dark
 * stays dark).
 */
#ifndef GATEWAY_PAGE_STYLE_H
#define GATEWAY_PAGE_STYLE_H

/* What is before the title. */
#define PAGE_BEGIN                                                                             \
    "<!DOCTYPE html>\n"                                                                        \
    "<html lang=\"en\">\n"                                                                     \
    "<head>\n"                                                                                 \
    "<meta charset=\"utf-8\">\n"                                                               \
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"               \
    "<meta name=\"color-scheme\" content=\"light dark\">\n"                                    \
    "<title>"

/* Colours and type; what a page has besides follows, then "</style>". */
#define PAGE_STYLE                                                                             \
    "</title>\n"                                                                               \
    "<style>\n"                                                                                \
    ":root{--paper:#fbfbfa;--ink:#20242a;--soft:#646b75;--line:#e3e4e6;--mark:#0b62c4;"        \
    "color-scheme:light dark}\n"                                                               \
    "@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e4e7eb;--soft:#98a1ac;"    \
    "--line:#2b3138;--mark:#74b3ff}}\n"                                                        \
    "body{margin:0;background:var(--paper);color:var(--ink);"                                  \
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"                             \
    "a{color:var(--mark)}\n"                                                                   \
    "footer{color:var(--soft);font-size:.875rem}\n"                                            \
    "code{font-family:ui-monospace,monospace}\n"

#endif
