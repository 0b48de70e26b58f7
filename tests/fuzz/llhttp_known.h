/*
 * tests/fuzz/llhttp_known.h - where h1parse.c and h1chunk.c disagree with llhttp 8.1 (strict
 * mode) about a request, who is right, and why.
 *
 * A row names a class by what both say and by a test on the bytes: for what we refuse, mostly on
 * the byte at which we stopped.  fuzz_llhttp.c aborts at a disagreement that has no row.
 */
#ifndef TESTS_FUZZ_LLHTTP_KNOWN_H
#define TESTS_FUZZ_LLHTTP_KNOWN_H

#include <llhttp.h>

#include "../../gateway/err.h"
#include "../../gateway/h1parse.h"

enum reading_end { UNFINISHED, WHOLE, REFUSED };

static const char *const reading_end_names[] = {"unfinished", "whole", "refused"};

/* In what a message that both take whole may differ. */
enum difference { SAME, REQUEST_LINE, VERSION, FIELDS, BODY, LENGTH, PERSISTENCE };

static const char *const difference_names[] = {
    "nothing",  "the request line", "the version",     "the fields",
    "the body", "its length",       "the persistence",
};

/* One disagreement. */
struct known_case {
    struct slice in;
    const struct h1_head *head; /* ours, as far as it came */
    size_t stop;                /* where we refused: the byte, or behind the line */
    enum difference differs;    /* of a message that both take */
    enum reading_end ours, theirs;
    int our_err, their_err; /* of REFUSED */
};

/* ---- tests on the bytes ---- */

typedef bool known_fn(const struct known_case *c);

static int byte_at(const struct known_case *c, size_t at)
{
    return at < c->in.n ? (unsigned char)c->in.p[at] : -1;
}

static int stop_byte(const struct known_case *c)
{
    return byte_at(c, c->stop);
}

static bool any(const struct known_case *c)
{
    (void)c;
    return true;
}

static bool in_request_line(const struct known_case *c)
{
    return c->head->version == 0;
}

static bool in_body(const struct known_case *c)
{
    return c->stop > c->head->at;
}

/* The line in which we stopped, up to there. */
static struct slice line_so_far(const struct known_case *c)
{
    size_t from = c->stop < c->in.n ? c->stop : c->in.n, to = from;

    while (from && c->in.p[from - 1] != '\n')
        from--;
    return slice_of(c->in.p + from, to - from);
}

static bool line_has(const struct known_case *c, char what)
{
    return slice_find(line_so_far(c), what) >= 0;
}

static bool empty_lines(const struct known_case *c)
{
    for (size_t i = 0; i < c->stop; i++) {
        if (c->in.p[i] != '\r' && c->in.p[i] != '\n')
            return false;
    }
    return stop_byte(c) == '\r' || stop_byte(c) == '\n';
}

static bool bare_lf(const struct known_case *c)
{
    return stop_byte(c) == '\n' && byte_at(c, c->stop - 1) != '\r';
}

static bool no_version(const struct known_case *c)
{
    return in_request_line(c) && c->head->target.n == 0 && stop_byte(c) == '\r';
}

static bool spaces(const struct known_case *c)
{
    return in_request_line(c) && stop_byte(c) == ' ';
}

static bool fragment(const struct known_case *c)
{
    return in_request_line(c) && stop_byte(c) == '#';
}

static bool form(const struct known_case *c)
{
    return !in_request_line(c) && c->stop == c->head->fields_at && stop_byte(c) != ' ' &&
           stop_byte(c) != '\t';
}

static bool fold(const struct known_case *c)
{
    return line_so_far(c).n == 0 && (stop_byte(c) == ' ' || stop_byte(c) == '\t');
}

static bool old_version(const struct known_case *c)
{
    return c->head->has_coding && c->head->version == 10;
}

static struct slice last_name(const struct known_case *c)
{
    return h1_slice(c->in.p, c->head->name);
}

static bool coding(const struct known_case *c)
{
    return slice_ieq(last_name(c), SLICE("Transfer-Encoding"));
}

static bool length(const struct known_case *c)
{
    return slice_ieq(last_name(c), SLICE("Content-Length"));
}

/* 17 digits and more, which llhttp takes if the first ones are zeros. */
static bool digits(const struct known_case *c)
{
    return in_body(c) && line_so_far(c).n >= 16 && line_so_far(c).p[0] == '0' &&
           !line_has(c, ';');
}

static bool extension(const struct known_case *c)
{
    return in_body(c) && line_has(c, ';');
}

static bool body_bare_lf(const struct known_case *c)
{
    return in_body(c) && bare_lf(c);
}

static bool body_fold(const struct known_case *c)
{
    return in_body(c) && fold(c);
}

static bool empty_name(const struct known_case *c)
{
    return stop_byte(c) == ':' && line_so_far(c).n == 0;
}

static bool connect(const struct known_case *c)
{
    return slice_eq(h1_slice(c->in.p, c->head->method), SLICE("CONNECT"));
}

static bool known_method(const struct known_case *c)
{
    struct slice method = h1_slice(c->in.p, c->head->method);

    for (int i = HTTP_DELETE; i <= HTTP_FLUSH; i++) {
        if (slice_eq(method, slice_str(llhttp_method_name((llhttp_method_t)i))))
            return true;
    }
    return false;
}

static bool unknown_method(const struct known_case *c)
{
    return !known_method(c);
}

static bool target_bytes(const struct known_case *c)
{
    struct slice t = h1_slice(c->in.p, c->head->target);

    for (size_t i = 0; i < t.n; i++) {
        if ((unsigned char)t.p[i] >= 0x80)
            return true;
    }
    return false;
}

static bool pri(const struct known_case *c)
{
    return slice_eq(h1_slice(c->in.p, c->head->method), SLICE("PRI"));
}

static bool chunked(const struct known_case *c)
{
    return c->head->chunked;
}

/* Transfer-Encoding is "chunked" and a tab. */
static bool tab_behind(const struct known_case *c)
{
    struct slice in = c->in;
    const char *at = memmem(in.p, c->head->at, "hunked", 6);

    return chunked(c) && at && memchr(at, '\t', (size_t)(in.p + c->head->at - at));
}

static bool minor_version(const struct known_case *c)
{
    return c->head->version == 11;
}

/* A field of the head by its name, compared without case. */
static bool has_field(const struct known_case *c, const char *name)
{
    struct field fields[100];

    h1_head_fields(c->head, c->in.p, fields);
    return fields_find(fields, c->head->n_fields, slice_str(name)) != NULL;
}

static bool proxy_connection(const struct known_case *c)
{
    return has_field(c, "Proxy-Connection");
}

static bool connection(const struct known_case *c)
{
    return has_field(c, "Connection");
}

static bool upgrade(const struct known_case *c)
{
    return has_field(c, "Upgrade");
}

/* ---- the list ---- */

#define OURS "ours"
#define BOTH "both may"
#define THEIRS "llhttp"

struct known_class {
    int our_err;   /* 0: we take it */
    int their_err; /* 0: llhttp takes it */
    enum difference differs;
    known_fn *is;
    const char *what, *right, *why;
};

static const struct known_class known_classes[] = {
    /* ---- only llhttp takes it ---- */
    {GW_EREQ_SYNTAX, 0, SAME, empty_lines,
     "more than one empty line in front, or a bare CR or LF", BOTH,
     "RFC 9112 2.2 asks to skip one CRLF at least; more only keep a connection busy"},
    {GW_EREQ_SYNTAX, 0, SAME, bare_lf, "a line that ends in a bare LF", BOTH,
     "RFC 9112 2.2 lets a recipient take it, which others in front do not: smuggling"},
    {GW_EREQ_SYNTAX, 0, SAME, no_version, "a request line without a version", OURS,
     "RFC 9112 3: HTTP/0.9 is no HTTP/1.x"},
    {GW_EREQ_SYNTAX, 0, SAME, spaces, "several spaces in the request line", OURS,
     "RFC 9112 3: a single SP; taking more is allowed and unsafe (11.2)"},
    {GW_EREQ_SYNTAX, 0, SAME, fragment, "a fragment in the target", OURS, "RFC 9112 3.2"},
    {GW_EREQ_SYNTAX, 0, SAME, form, "a target in no form, or in one its method has not", OURS,
     "RFC 9112 3.2.1 to 3.2.4; llhttp leaves it to its user"},
    {GW_EREQ_SYNTAX, 0, SAME, fold, "a folded line", OURS,
     "RFC 9112 5.2: refused, or made spaces of, which llhttp leaves to its user"},
    {GW_EREQ_SYNTAX, 0, SAME, empty_name, "a field without a name", OURS,
     "RFC 9110 5.1: a name is a token"},
    {GW_EREQ_HOST, 0, SAME, any, "Host, or an authority in the target, missing or invalid",
     OURS, "RFC 9112 3.2; llhttp leaves it to its user"},
    {GW_EREQ_VERSION, 0, SAME, any, "HTTP/0.9 and HTTP/2.0 by their version", OURS,
     "RFC 9110 15.6.6; llhttp leaves it to its user"},
    {GW_EREQ_URI_LONG, 0, SAME, any, "a target over 8192 bytes", OURS,
     "RFC 9110 15.5.15; llhttp has no limits"},
    {GW_EREQ_HEAD_LARGE, 0, SAME, any, "over 100 fields or 64 KiB, also of trailers", OURS,
     "RFC 6585 5; llhttp has no limits"},
    {GW_EREQ_CODING, 0, SAME, any, "a coding besides chunked", OURS,
     "RFC 9112 6.1: 501; llhttp leaves it to its user"},
    {GW_EREQ_FRAMING, 0, SAME, old_version, "Transfer-Encoding in HTTP/1.0", OURS,
     "RFC 9112 6.1: the framing is faulty"},
    {GW_EREQ_FRAMING, 0, SAME, coding,
     "Transfer-Encoding with an element that is empty or none", OURS,
     "RFC 9112 6.1 and 11.2: llhttp looks at the end of the value alone"},
    {GW_EREQ_FRAMING, 0, SAME, length, "Content-Length that is empty on its line, or repeated",
     OURS, "RFC 9112 6.3; llhttp goes on in a folded line"},
    {GW_EREQ_FRAMING, 0, SAME, connect,
     "CONNECT with a Transfer-Encoding that does not end in chunked", OURS,
     "RFC 9112 6.3: 400 whatever the method; llhttp looks for no body here"},
    {GW_EREQ_FRAMING, 0, SAME, upgrade, "the same with Upgrade", OURS,
     "RFC 9112 6.3, and 9110 7.8: the body of this request comes first"},
    {GW_EBODY_SYNTAX, 0, SAME, digits, "a chunk size of 17 digits that begin with zeros", BOTH,
     "RFC 9112 7.1 names no bound; zeros without end are no size"},
    {GW_EBODY_SYNTAX, 0, SAME, extension, "an extension without a name or a value", OURS,
     "RFC 9112 7.1.1: \";\" has a name behind it, \"=\" a value"},
    {GW_EBODY_SYNTAX, 0, SAME, body_bare_lf, "a bare LF in or behind the chunks", OURS,
     "RFC 9112 7.1: CRLF; 2.2 is about the lines of a head"},
    {GW_EBODY_SYNTAX, 0, SAME, body_fold, "a folded trailer", OURS, "RFC 9112 5.2"},
    {GW_EBODY_SYNTAX, 0, SAME, empty_name, "a trailer without a name", OURS,
     "RFC 9110 5.1: a name is a token"},
    /* ---- only we take it ---- */
    {0, HPE_INVALID_METHOD, SAME, unknown_method, "a method that llhttp does not know", OURS,
     "RFC 9110 9.1: what a method means is for the resource to say"},
    {0, HPE_INVALID_VERSION, SAME, minor_version, "HTTP/1.2 and above", OURS, "RFC 9110 2.5"},
    {0, HPE_INVALID_VERSION, SAME, pri, "PRI as a method of HTTP/1.x", BOTH,
     "RFC 9113 3.4 keeps the name for its preface, which ends in HTTP/2.0: nothing to mix up"},
    {0, 0, SAME, pri, "PRI, for whose preface llhttp still waits", BOTH, "the same"},
    {0, HPE_INVALID_CONSTANT, SAME, known_method,
     "a method that llhttp knows from another protocol", OURS, "RFC 9110 9.1"},
    {0, HPE_INVALID_URL, SAME, target_bytes, "bytes over 127 in the target", THEIRS,
     "RFC 3986 2 wants them escaped; browsers send them, and they mean the same over HTTP/2"},
    {0, HPE_INVALID_TRANSFER_ENCODING, SAME, tab_behind, "a tab behind chunked", OURS,
     "RFC 9110 5.6.3: OWS"},
    {0, HPE_INVALID_CONTENT_LENGTH, SAME, chunked, "Content-Length in trailers, no number",
     OURS, "RFC 9110 6.5.1: trailers frame nothing; they are dropped"},
    {0, HPE_UNEXPECTED_CONTENT_LENGTH, SAME, chunked, "Content-Length in trailers", OURS,
     "RFC 9110 6.5.1"},
    {0, HPE_INVALID_TRANSFER_ENCODING, SAME, chunked, "Transfer-Encoding in trailers", OURS,
     "RFC 9110 6.5.1"},
    {0, HPE_INVALID_CHUNK_SIZE, SAME, chunked, "white space in an extension", OURS,
     "RFC 9112 7.1.1: BWS is to be taken"},
    {0, HPE_STRICT, SAME, chunked, "a quoted value with an escape or bytes over 127", OURS,
     "RFC 9110 5.6.4"},
    /* ---- both take it ---- */
    {0, 0, BODY, connect, "a body of CONNECT", THEIRS,
     "RFC 9110 9.3.6: it has none; our answer is 405 and the end of the connection"},
    {0, 0, LENGTH, connect, "an empty body of CONNECT, in chunks", THEIRS, "the same"},
    {0, 0, SAME, connect, "a body of CONNECT that is still to come", THEIRS, "the same"},
    {GW_EBODY_SYNTAX, 0, SAME, connect, "a body of CONNECT in what is no chunks", THEIRS,
     "the same"},
    {0, 0, PERSISTENCE, proxy_connection, "Proxy-Connection", OURS,
     "RFC 9112 C.2.2: no field of ours"},
    {0, 0, PERSISTENCE, connection, "close beside keep-alive", OURS,
     "RFC 9112 9.3: close is looked at first"},
    {0, 0, PERSISTENCE, chunked, "Connection in trailers", OURS, "RFC 9110 6.5.1"},
};

/* The row of c, or NULL. */
static const struct known_class *known_find(const struct known_case *c)
{
    int our_err = c->ours == REFUSED ? c->our_err : 0;
    int their_err = c->theirs == REFUSED ? c->their_err : 0;

    for (size_t i = 0; i < sizeof(known_classes) / sizeof(known_classes[0]); i++) {
        const struct known_class *k = &known_classes[i];
        if (k->our_err == our_err && k->their_err == their_err && k->differs == c->differs &&
            k->is(c))
            return k;
    }
    return NULL;
}

#endif
