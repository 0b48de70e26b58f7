/*
 * gateway/error_page.h - what a client is shown with a status that is no success.
 *
 * One text in three forms: HTML for people, JSON for programs, plain text for who wants neither.
 * It says the status, what that means for whoever asked, and the id under which the logs have
 * the rest; of the inside it says nothing, and nothing in it comes from the request.
 *
 * Threads  any; pure but for the arena
 * Source   RFC 9110 15; RFC 9457 (application/problem+json)
 */
#ifndef GATEWAY_ERROR_PAGE_H
#define GATEWAY_ERROR_PAGE_H

#include "arena.h"

enum error_form { ERROR_HTML, ERROR_JSON, ERROR_TEXT };

/* The form that the request's Accept asks for; HTML where it does not say, or was not read. */
enum error_form error_page_form(const struct field *fields, size_t n_fields);

struct error_page {
    struct slice type; /* Content-Type; static */
    struct slice body; /* in the arena; n = 0 when memory is out: an answer without a body is
                          still an answer */
};

/* id: of the request (request_id.h), empty for none. */
struct error_page error_page(struct arena *a, int status, enum error_form form,
                             struct slice id);

#endif
