#include "metavars.h"

#include <arpa/inet.h>
#include <fastcgi.h>

#include "../fcgi/params.h"
#include "conn.h"
#include "error_redirect.h"
#include "hosts.h"
#include "metavars_fields.h"
#include "remote.h"
#include "tls.h"
#include "version.h"

/* What the rules read and write. */
struct metavars {
    struct stream *s;
    const struct route_match *m;
    const struct metavars_ask *ask;
    struct buf *out;
    struct tls_facts tls; /* version is NULL without TLS; sni is in the stream's arena */
};

/* ---- the request's own: one row each ---- */

/* The value, borrowed until the next rule; p is NULL: the variable is not set.  Empty and not
 * set mean the same (RFC 3875 4.1), so only what applications test for is sent empty. */
typedef struct slice metavar_fn(const struct metavars *v, char scratch[64]);

static const struct slice unset = {NULL, 0};

static struct slice if_any(struct slice value)
{
    return value.n ? value : unset;
}

static struct slice if_present(struct slice value)
{
    return value.p ? value : slice_of("", 0);
}

/* Not negative.  Every request has three or four of these, so not by snprintf. */
static struct slice number(char scratch[64], int64_t v)
{
    char *at = scratch + 64;

    do {
        *--at = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return slice_of(at, (size_t)(scratch + 64 - at));
}

static const struct field *request_field(const struct metavars *v, struct slice name)
{
    return fields_find(v->s->req.fields, v->s->req.n_fields, name);
}

static struct slice auth_type(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->s->auth_type);
}

static struct slice content_length(const struct metavars *v, char scratch[64])
{
    return v->ask->content_length >= 0 ? number(scratch, v->ask->content_length) : unset;
}

static struct slice content_type(const struct metavars *v, char scratch[64])
{
    const struct field *f = request_field(v, SLICE("Content-Type"));

    (void)scratch;
    /* A local redirect is a GET without the body that the field speaks of (6.2.2). */
    return f && !v->s->redirects && !v->s->error ? if_any(f->value) : unset;
}

static struct slice document_root(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->m->document_root);
}

/* nginx's: what the path came to, with the name of an index. */
static struct slice document_uri(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->m->path);
}

static struct slice data_length(const struct metavars *v, char scratch[64])
{
    return v->ask->data_length >= 0 ? number(scratch, v->ask->data_length) : unset;
}

/* Seconds since 1970 (FastCGI 6.4), which has nothing to say of what is older. */
static struct slice data_last_mod(const struct metavars *v, char scratch[64])
{
    int64_t at = v->ask->data_last_mod;

    return v->ask->data_length >= 0 ? number(scratch, at < 0 ? 0 : at) : unset;
}

static struct slice gateway_interface(const struct metavars *v, char scratch[64])
{
    (void)v;
    (void)scratch;
    return SLICE("CGI/1.1");
}

/* Where the client is under TLS only; "off" would be taken for true by some. */
static struct slice https(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return slice_eq(v->s->req.scheme, SLICE("https")) ? SLICE("on") : unset;
}

/* To the application every WebSocket is one of HTTP/1.1 (websocket.h). */
static struct slice http_connection(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->ask->websocket ? SLICE("Upgrade") : unset;
}

static struct slice http_upgrade(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->ask->websocket ? SLICE("websocket") : unset;
}

/* To the runner: the program's time is ours to see to. */
static struct slice h2cgi_websocket(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->ask->websocket ? SLICE("on") : unset;
}

/* As the client sent it, with its port: links are made from it. */
static struct slice http_host(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->s->req.authority);
}

static struct slice path_info(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->m->path_info);
}

static struct slice path_translated(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->m->path_translated);
}

static struct slice query_string(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_present(v->s->req.query);
}

/* php-cgi refuses to run without it. */
static struct slice redirect_status(const struct metavars *v, char scratch[64])
{
    return v->s->error ? number(scratch, v->s->error->of) : SLICE("200");
}

static struct slice remote_addr(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return slice_str(remote_text(v->s));
}

static struct slice remote_port_text(const struct metavars *v, char scratch[64])
{
    uint16_t port = remote_port(v->s);

    return port ? number(scratch, port) : unset;
}

static struct slice remote_user(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->s->remote_user);
}

static struct slice request_method(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->s->req.method;
}

static struct slice request_scheme(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->s->req.scheme;
}

/* What the client asked for, also for the page of an error. */
static struct slice request_uri(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->s->error ? v->s->asked_target : v->s->req.target;
}

static struct slice script_filename(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->m->file);
}

static struct slice script_name(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_present(v->m->script_name);
}

/* The address of the connection's own end; unset on unix sockets. */
static struct slice server_addr(const struct metavars *v, char scratch[64])
{
    const char *text = v->s->conn->local_text;

    (void)scratch;
    return text[0] ? slice_str(text) : unset;
}

/* The host the client asked for; HTTP/1.0 may have none (RFC 3875 4.1.14). */
static struct slice server_name(const struct metavars *v, char scratch[64])
{
    struct slice host = host_of_authority(v->s->req.authority);

    if (!host.n && v->m->site)
        host = hosts_first(v->m->site);
    if (!host.n)
        host = server_addr(v, scratch);
    return host.n ? host : SLICE("localhost");
}

/* Of the connection's own end; a unix socket has none, and links are made from it. */
static struct slice server_port(const struct metavars *v, char scratch[64])
{
    const struct conn *c = v->s->conn;

    bool https = slice_eq(v->s->req.scheme, SLICE("https"));

    return number(scratch, c->local_port ? c->local_port : https ? 443 : 80);
}

/* "HTTP/2.0" is what the peers' applications know; RFC 3875 4.1.16 wants a minor number. */
static struct slice server_protocol(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    if (v->ask->websocket)
        return SLICE("HTTP/1.1");
    switch (v->s->req.version) {
    case HTTP_1_0:
        return SLICE("HTTP/1.0");
    case HTTP_1_1:
        return SLICE("HTTP/1.1");
    case HTTP_2:
        return SLICE("HTTP/2.0");
    }
    return SLICE("HTTP/1.1");
}

static struct slice server_software(const struct metavars *v, char scratch[64])
{
    (void)v;
    (void)scratch;
    return SLICE("h2cgi/" H2CGI_VERSION);
}

/* ---- TLS: the names are mod_ssl's ---- */

static struct slice ssl_protocol(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->tls.version ? slice_str(v->tls.version) : unset;
}

static struct slice ssl_cipher(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->tls.version ? slice_str(v->tls.cipher) : unset;
}

static struct slice ssl_cipher_bits(const struct metavars *v, char scratch[64])
{
    return v->tls.version ? number(scratch, v->tls.cipher_bits) : unset;
}

static struct slice ssl_used_bits(const struct metavars *v, char scratch[64])
{
    return v->tls.version ? number(scratch, v->tls.used_bits) : unset;
}

static struct slice ssl_sni(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->tls.version ? if_any(slice_str(v->tls.sni)) : unset;
}

/* ---- the page of an error: the names are Apache's ---- */

static struct slice redirect_url(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->s->error->path;
}

static struct slice redirect_query(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->s->error->query);
}

static struct slice redirect_method(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return v->s->error->method;
}

static struct slice redirect_user(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(v->s->error->user);
}

static struct slice unique_id(const struct metavars *v, char scratch[64])
{
    (void)scratch;
    return if_any(stream_request_id(v->s));
}

/* ---- all of them ---- */

struct metavar_rule {
    struct slice name;
    metavar_fn *value;
};

#define RULE(name, fn)                                                                         \
    {                                                                                          \
        {name, sizeof(name) - 1}, fn                                                           \
    }

static const struct metavar_rule rules[] = {
    RULE("AUTH_TYPE", auth_type),                 /* RFC 3875 4.1.1 */
    RULE("CONTENT_LENGTH", content_length),       /* 4.1.2 */
    RULE("CONTENT_TYPE", content_type),           /* 4.1.3 */
    RULE("DOCUMENT_ROOT", document_root),         /* Apache's */
    RULE("DOCUMENT_URI", document_uri),           /* nginx's */
    RULE("FCGI_DATA_LAST_MOD", data_last_mod),    /* FastCGI 6.4 */
    RULE("FCGI_DATA_LENGTH", data_length),        /* FastCGI 6.4 */
    RULE("GATEWAY_INTERFACE", gateway_interface), /* 4.1.4 */
    RULE("H2CGI_WEBSOCKET", h2cgi_websocket),     /* ours */
    RULE("HTTPS", https),                         /* Apache's */
    RULE("HTTP_CONNECTION", http_connection),     /* RFC 6455 4.2.1 */
    RULE("HTTP_HOST", http_host),                 /* 4.1.18; over HTTP/2 from :authority */
    RULE("HTTP_UPGRADE", http_upgrade),           /* RFC 6455 4.2.1 */
    RULE("PATH_INFO", path_info),                 /* 4.1.5, decoded */
    RULE("PATH_TRANSLATED", path_translated),     /* 4.1.6 */
    RULE("QUERY_STRING", query_string),           /* 4.1.7, always there, may be empty */
    RULE("REDIRECT_STATUS", redirect_status),     /* php-cgi's */
    RULE("REMOTE_ADDR", remote_addr),             /* 4.1.8 */
    RULE("REMOTE_HOST", remote_addr),             /* 4.1.9: names are not looked up */
    RULE("REMOTE_PORT", remote_port_text),        /* Apache's */
    RULE("REMOTE_USER", remote_user),             /* 4.1.11, only after a check of ours */
    RULE("REQUEST_METHOD", request_method),       /* 4.1.12 */
    RULE("REQUEST_SCHEME", request_scheme),       /* Apache's */
    RULE("REQUEST_URI", request_uri),             /* Apache's, verbatim */
    RULE("SCRIPT_FILENAME", script_filename),     /* Apache's */
    RULE("SCRIPT_NAME", script_name),             /* 4.1.13, decoded, always there */
    RULE("SERVER_ADDR", server_addr),             /* Apache's */
    RULE("SERVER_NAME", server_name),             /* 4.1.14 */
    RULE("SERVER_PORT", server_port),             /* 4.1.15 */
    RULE("SERVER_PROTOCOL", server_protocol),     /* 4.1.16 */
    RULE("SERVER_SOFTWARE", server_software),     /* 4.1.17 */
    RULE("SSL_CIPHER", ssl_cipher),               /* mod_ssl's, as the others */
    RULE("SSL_CIPHER_ALGKEYSIZE", ssl_cipher_bits),
    RULE("SSL_CIPHER_USEKEYSIZE", ssl_used_bits),
    RULE("SSL_PROTOCOL", ssl_protocol),
    RULE("SSL_TLS_SNI", ssl_sni),
};

/* Of the page of an error only, so that other requests do not look at them. */
static const struct metavar_rule error_rules[] = {
    RULE("REDIRECT_QUERY_STRING", redirect_query),
    RULE("REDIRECT_REMOTE_USER", redirect_user),
    RULE("REDIRECT_REQUEST_METHOD", redirect_method),
    RULE("REDIRECT_URL", redirect_url),
    RULE("UNIQUE_ID", unique_id), /* mod_unique_id's; the logs have it as id= */
};

enum { N_RULES = sizeof(rules) / sizeof(rules[0]) };
enum { N_ERROR_RULES = sizeof(error_rules) / sizeof(error_rules[0]) };

static bool is_one_of(struct slice name, const struct metavar_rule *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq(name, list[i].name))
            return true;
    }
    return false;
}

bool metavars_is_own(struct slice name)
{
    return is_one_of(name, rules, N_RULES) || is_one_of(name, error_rules, N_ERROR_RULES);
}

/* FastCGI 6.3: "The Web server does not send CONTENT_LENGTH, PATH_INFO, PATH_TRANSLATED, and
 * SCRIPT_NAME headers." */
static bool is_withheld(struct slice name)
{
    return slice_eq(name, SLICE("PATH_INFO")) || slice_eq(name, SLICE("PATH_TRANSLATED")) ||
           slice_eq(name, SLICE("SCRIPT_NAME")) || slice_eq(name, SLICE("CONTENT_LENGTH"));
}

/* ---- the route's, the authorizer's ---- */

bool metavars_env_has(const struct conf_route *route, struct slice name)
{
    for (unsigned i = 0; i < route->n_env; i++) {
        if (slice_eq(route->env[i].name, name))
            return true;
    }
    return false;
}

static int put_rules(const struct metavars *v, const struct metavar_rule *list, size_t n)
{
    char scratch[64];

    for (size_t i = 0; i < n; i++) {
        if (metavars_env_has(v->m->route, list[i].name))
            continue;
        if (v->ask->role == FCGI_AUTHORIZER && is_withheld(list[i].name))
            continue;
        struct slice value = list[i].value(v, scratch);
        if (value.p && fcgi_params_put(v->out, list[i].name, value) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

static int put_vars(const struct metavars *v)
{
    const struct route_match *m = v->m;

    for (size_t i = 0; i < m->n_vars; i++) {
        if (!metavars_env_has(m->route, m->vars[i].name) &&
            fcgi_params_put(v->out, m->vars[i].name, m->vars[i].value) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

static int put_env(const struct metavars *v)
{
    const struct conf_route *route = v->m->route;

    for (unsigned i = 0; i < route->n_env; i++) {
        if (v->ask->role == FCGI_AUTHORIZER && is_withheld(route->env[i].name))
            continue;
        if (fcgi_params_put(v->out, route->env[i].name, route->env[i].value) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

/* ---- all of it ---- */

/* The session is under the connection's lock, and so is its name of the host. */
static int take_tls(struct metavars *v)
{
    struct conn *c = v->s->conn;

    if (!c->is_tls || !c->tls)
        return 0;
    lock_take(&c->mu);
    tls_facts(c->tls, &v->tls);
    struct slice sni = arena_printf(&v->s->arena, "%s", v->tls.sni);
    lock_drop(&c->mu);
    v->tls.sni = sni.p;
    return sni.p ? 0 : GW_ENO_MEMORY;
}

/* Enough room that the buffer is not moved while it fills. */
static size_t estimate(const struct metavars *v)
{
    const struct request *req = &v->s->req;
    size_t n = 1280 + 2 * req->target.n + 4 * v->m->path.n;

    for (size_t i = 0; i < req->n_fields; i++)
        n += req->fields[i].name.n + req->fields[i].value.n + 16;
    return n;
}

int metavars_build(struct stream *s, const struct route_match *m,
                   const struct metavars_ask *ask, struct buf *out)
{
    struct metavars v = {.s = s, .m = m, .ask = ask, .out = out};

    if (!buf_reserve(out, estimate(&v)))
        return GW_ENO_MEMORY;
    int rc = take_tls(&v);
    if (rc == 0)
        rc = put_rules(&v, rules, N_RULES);
    if (rc == 0 && s->error)
        rc = put_rules(&v, error_rules, N_ERROR_RULES);
    if (rc == 0)
        rc = metavars_put_fields(s, m, out);
    if (rc == 0)
        rc = put_vars(&v);
    if (rc == 0)
        rc = put_env(&v);
    return rc;
}
