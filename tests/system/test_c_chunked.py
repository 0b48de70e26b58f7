"""Applications that chunk their output themselves and say so: Mojolicious as CGI, scripts that
write whole HTTP responses (nph-).  The chunks are taken apart, as what a client of HTTP/2 gets has
none, and those of HTTP/1.1 gets are ours."""
import pytest

from lib.apps import write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway
from lib.message import Refused, Truncated
from peers.fcgi import STDOUT, Backend, end_request, record

PROTOCOLS = ("h1", "h1s", "h2", "h2c")
HEAD = b"Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n"


@pytest.fixture(scope="module")
def backend(module_place):
    with Backend(str(module_place / "app.sock"), None) as found:
        yield found
        assert not found.errors


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    write_script(place / "cgi/nph-chunks", "#!/bin/sh\nprintf 'HTTP/1.1 200 Fine\\r\\n"
                 "Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n0\\r\\n\\r\\n'\n")
    write_script(place / "cgi/chunks", "#!/bin/sh\nprintf 'Transfer-Encoding: chunked\\r\\n"
                 "\\r\\n3\\r\\nabc\\r\\n'\nsleep 0.1\nprintf '2\\r\\nde\\r\\n0\\r\\n\\r\\n'\n")
    with Gateway(place, f"""
        [site main]
        root = {place}
        [route main /app/]
        pool = app
        [route main /cgi/]
        root = {place}/cgi
        pool = cgi
        [route main /zipped/]
        pool = app
        compress = gzip
        [pool app]
        connect = unix:{place}/app.sock
        keepalive = 0
        [pool cgi]
        cgi = on
        """) as gateway:
        yield gateway


def serve(*pieces):
    """A backend that sends these, each in a record of its own."""
    def talk(conn):
        request = conn.request()
        for piece in pieces:
            conn.send(record(STDOUT, request.number, piece))
        conn.send(end_request(request.number))
    return talk


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("cut", ["one", "apart", "bytes"])
def test_chunks_are_taken_apart(gateway, backend, proto, cut):
    whole = HEAD + CHUNKS
    backend.serve = serve(*{"one": [whole], "apart": [HEAD, CHUNKS],
                            "bytes": [whole[i:i + 1] for i in range(len(whole))]}[cut])
    response = gateway.fetch(proto, "/app/x")
    assert (response.status, response.body) == (200, b"hello world")
    assert not response.get("content-length") and not response.get("x-trailer")
    assert response.get("transfer-encoding") == (None if is_h2(proto) else "chunked")


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("script, body", [("nph-chunks", b"abc"), ("chunks", b"abcde")])
def test_scripts(gateway, proto, script, body):
    assert gateway.fetch(proto, f"/cgi/{script}").body == body


@pytest.mark.parametrize("fields", [b"transfer-encoding: Chunked", b"Transfer-Encoding:chunked"])
def test_how_it_is_said(gateway, backend, fields):
    backend.serve = serve(fields + b"\r\n\r\n" + CHUNKS)
    assert gateway.get("/app/x").body == b"hello world"


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("body", [b"<p>\n", b"\r\n0\r\n\r\n", b"{}", b"face", b"face\n",
                                  b"12345678123456781\r\n", b"beg", b"5,6"])
def test_said_and_not_done(gateway, backend, body, cut):
    """Nothing but the field is wrong: what does not begin with a size is the body."""
    backend.serve = serve(HEAD, *([body[i:i + 1] for i in range(len(body))] if cut else [body]))
    assert gateway.get("/app/x").body == body


def test_said_beside_a_length(gateway, backend):
    """The length is what the application knows."""
    backend.serve = serve(b"Content-Length: 3\r\n" + HEAD + b"abc")
    response = gateway.get("/app/x")
    assert response.body == b"abc" and response.get("content-length") == "3"


@pytest.mark.parametrize("value", [b"identity", b"gzip, chunked", b""])
def test_other_codings_are_dropped(gateway, backend, value):
    backend.serve = serve(b"Transfer-Encoding: " + value + b"\r\n\r\n" + CHUNKS)
    response = gateway.get("/app/x")
    assert response.body == CHUNKS and response.get("transfer-encoding") == "chunked"


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("chunks", [b"6\r\nhello \r\n", b"6\r\nhell", b"6\r\nhello X\r\n0\r\n\r\n",
                                    b"0\r\n", b"face to face", b"11111111111111111\r\nx"])
def test_broken_chunks_end_the_stream(gateway, backend, proto, chunks):
    """What the client has it cannot take for the whole."""
    since = gateway.mark()
    backend.serve = serve(HEAD + b"5\r\nfirst\r\n" + chunks)
    with dial(proto, gateway) as client:
        with pytest.raises((Refused, Truncated)):
            if is_h2(proto):
                client.response(client.request(path="/app/x", scheme=scheme(proto)))
            else:
                client.fetch("GET", "/app/x")
    gateway.wait_log("ECGI_CHUNKED: application's chunks", since)
    backend.serve = serve(HEAD + CHUNKS)
    assert gateway.fetch(proto, "/app/x").body == b"hello world"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_head_and_no_content(gateway, backend, proto):
    backend.serve = serve(HEAD + CHUNKS)
    with dial(proto, gateway) as client:
        response = (client.fetch("HEAD", "/app/x", scheme=scheme(proto)) if is_h2(proto)
                    else client.fetch("HEAD", "/app/x"))
    assert (response.status, response.body) == (200, b"")
    backend.serve = serve(b"Status: 204\r\n" + HEAD + b"0\r\n\r\n")
    response = gateway.fetch(proto, "/app/x")
    assert (response.status, response.body) == (204, b"")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_compressed(gateway, backend, proto):
    """What is compressed is what the chunks hold."""
    text = b"a line of text\n" * 1000
    backend.serve = serve(HEAD, b"%x\r\n" % len(text) + text, b"\r\n0\r\n\r\n")
    plain = gateway.fetch(proto, "/zipped/x")
    assert plain.body == text
    zipped = gateway.fetch(proto, "/zipped/x", headers=[("accept-encoding", "gzip")])
    assert zipped.get("content-encoding") == "gzip" and len(zipped.body) < 1000


def test_what_follows_the_last_chunk_is_dropped(gateway, backend):
    backend.serve = serve(HEAD + CHUNKS + b"more", b"and more")
    assert gateway.get("/app/x").body == b"hello world"


def test_answer_without_chunks_is_as_it_was(gateway, backend):
    backend.serve = serve(b"Content-Type: text/plain\r\n\r\n" + CHUNKS)
    assert gateway.get("/app/x").body == CHUNKS
