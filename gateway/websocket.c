#include "websocket.h"

#include <sys/random.h>

#include "base64.h"
#include "counters.h"
#include "tls_sha1.h"

enum {
    NONCE = 16, /* bytes of a key, RFC 6455 4.1 */
    KEY = BASE64_LEN(NONCE),
    ACCEPT = BASE64_LEN(TLS_SHA1_LEN),
};

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 1.3 */
#define KEY_FIELD SLICE("Sec-WebSocket-Key")
#define VERSION_FIELD SLICE("Sec-WebSocket-Version")
#define ACCEPT_FIELD SLICE("Sec-WebSocket-Accept")
#define VERSION SLICE("13")

/* ---- the client's part ---- */

/* Is word in the list that all fields of that name make? */
static bool list_has(const struct request *req, struct slice name, struct slice word)
{
    for (size_t i = 0; i < req->n_fields; i++) {
        struct slice list = req->fields[i].value, item;
        if (!slice_ieq(req->fields[i].name, name))
            continue;
        while (slice_list_next(&list, &item)) {
            if (slice_ieq(item, word))
                return true;
        }
    }
    return false;
}

bool websocket_is_asked(const struct stream *s)
{
    const struct request *req = &s->req;

    if (req->version == HTTP_2)
        return req->protocol.n > 0;
    return req->version == HTTP_1_1 && list_has(req, SLICE("Upgrade"), SLICE("websocket"));
}

/* The value of a field that has to come once; else p is NULL. */
static struct slice only_one(const struct request *req, struct slice name)
{
    struct slice found = {NULL, 0};
    bool any = false;

    for (size_t i = 0; i < req->n_fields; i++) {
        if (!slice_ieq(req->fields[i].name, name))
            continue;
        if (any)
            return slice_of(NULL, 0);
        any = true;
        found = req->fields[i].value;
    }
    return found;
}

static bool is_key(struct slice value)
{
    char nonce[KEY / 4 * 3];

    return value.n == KEY && base64_decode(value, nonce) == NONCE;
}

/* In place of what a client that needs none may have sent. */
static int make_up_key(struct stream *s)
{
    struct request *req = &s->req;
    uint8_t nonce[NONCE];
    char key[KEY];
    size_t n = 0;

    if (getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return GW_EINTERNAL;
    base64_encode(slice_of(nonce, sizeof(nonce)), key);
    for (size_t i = 0; i < req->n_fields; i++) {
        if (!slice_ieq(req->fields[i].name, KEY_FIELD))
            req->fields[n++] = req->fields[i];
    }
    req->n_fields = n;
    return stream_add_field(s, KEY_FIELD, slice_of(key, sizeof(key)));
}

static int check_version(const struct stream *s, const char **ret_why)
{
    struct slice version = only_one(&s->req, VERSION_FIELD);

    *ret_why = "Sec-WebSocket-Version has to come once";
    if (!version.p)
        return GW_EWEBSOCKET;
    return slice_eq(version, VERSION) ? 0 : GW_EWEBSOCKET_VERSION; /* RFC 6455 4.2.2 */
}

int websocket_check(struct stream *s, const char **ret_why)
{
    const struct request *req = &s->req;

    if (req->version == HTTP_2) {
        int rc = check_version(s, ret_why);
        return rc < 0 ? rc : make_up_key(s);
    }
    if (!slice_eq(req->method, SLICE("GET")))
        *ret_why = "the method is not GET";
    else if (!list_has(req, SLICE("Connection"), SLICE("Upgrade")))
        *ret_why = "Connection does not name Upgrade"; /* it may be another hop's */
    else if (!s->in_eof)
        *ret_why = "there is a request body";
    else if (!only_one(req, KEY_FIELD).p)
        *ret_why = "Sec-WebSocket-Key has to come once";
    else if (!is_key(only_one(req, KEY_FIELD)))
        *ret_why = "Sec-WebSocket-Key is not 16 bytes in base64";
    else
        return check_version(s, ret_why);
    return GW_EWEBSOCKET;
}

void websocket_refuse(struct stream *s, int err, const char *why)
{
    const struct field version = {VERSION_FIELD, VERSION};
    bool h2 = s->req.version == HTTP_2;

    if (err != GW_EWEBSOCKET && err != GW_EWEBSOCKET_VERSION) {
        stream_error(s, err);
        return;
    }
    counter_add(COUNTER_WEBSOCKET_HANDSHAKE);
    if (err == GW_EWEBSOCKET)
        s->err_why = slice_str(why);
    /* 426 has to have Upgrade (RFC 9110 15.5.22), which HTTP/2 must not (RFC 9113 8.2.2). */
    if (err == GW_EWEBSOCKET_VERSION && h2)
        err = GW_EWEBSOCKET;
    stream_error_fields(s, err, &version, 1);
}

/* ---- the application's ---- */

/* RFC 6455 4.2.2, 5.4. */
static int accept_of(const struct stream *s, char ret[ACCEPT])
{
    struct slice key = only_one(&s->req, KEY_FIELD);
    char text[KEY + sizeof(GUID) - 1];
    uint8_t digest[TLS_SHA1_LEN];

    if (!key.p || key.n != KEY)
        return GW_EINTERNAL;
    memcpy(text, key.p, KEY);
    memcpy(text + KEY, GUID, sizeof(GUID) - 1);
    if (!tls_sha1(slice_of(text, sizeof(text)), digest))
        return GW_EINTERNAL;
    base64_encode(slice_of(digest, sizeof(digest)), ret);
    return 0;
}

int websocket_answer(struct stream *s, struct response *r)
{
    struct field *fields = arena_alloc(&s->arena, (r->n_fields + 1) * sizeof(*fields));
    char *accept = arena_alloc(&s->arena, ACCEPT);
    size_t n = 0;

    if (!fields || !accept)
        return GW_ENO_MEMORY;
    int rc = accept_of(s, accept);
    if (rc < 0)
        return rc;
    struct field ours = {ACCEPT_FIELD, slice_of(accept, ACCEPT)};
    for (size_t i = 0; i < r->n_fields; i++) {
        if (!slice_ieq(r->fields[i].name, ACCEPT_FIELD))
            fields[n++] = r->fields[i];
        else if (!slice_eq(r->fields[i].value, ours.value))
            return GW_ECGI_WEBSOCKET;
    }
    if (s->req.version != HTTP_2) /* RFC 8441 5 */
        fields[n++] = ours;
    r->fields = fields;
    r->n_fields = n;
    return 0;
}
