/*
 * A request for a WebSocket on its way to a pool: until the application has answered it is a
 * request like others, whose STDIN is open and silent.
 */
#include "forward.h"
#include "tunnel.h"
#include "websocket.h"

bool forward_tunnel_ask(struct forward *f)
{
    struct stream *s = f->s;
    const char *why = "";

    if (!websocket_is_asked(s))
        return true;
    int rc = websocket_check(s, &why);
    if (rc < 0) {
        forward_release(f);
        websocket_refuse(s, rc, why);
        return false;
    }
    f->tunnel = FORWARD_TUNNEL_ASKED;
    return true;
}

int forward_tunnel_agreed(struct forward *f, const struct response_head *h)
{
    struct stream *s = f->s;
    struct response r = {
        .status = 101,
        .reason = h->reason,
        .fields = h->fields,
        .n_fields = h->n_fields,
        .content_length = -1,
    };
    int rc = websocket_answer(s, &r);

    if (rc == 0)
        rc = tunnel_open(s, &r, s->route->websocket_timeout_ms);
    if (rc < 0)
        return rc;
    f->head_done = true;
    f->tunnel = FORWARD_TUNNEL_OPEN;
    fcgi_request_upgraded(f->req);
    forward_body_pump(f); /* over HTTP/2 some may have come */
    return 0;
}

/* Any other answer is an ordinary one, and what the client may have sent meanwhile nobody's. */
void forward_tunnel_refused(struct forward *f)
{
    f->tunnel = FORWARD_NO_TUNNEL;
    f->body_ended = true;
    if (!f->s->in_eof)
        stream_discard_body(f->s);
    fcgi_request_stdin_end(f->req);
}
