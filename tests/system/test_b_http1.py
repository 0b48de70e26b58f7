"""HTTP/1.1 over raw sockets, where an exchange takes more than the rows of h1_rows.py tell:
keep-alive, pipelining, Expect, half-close, large bodies."""
import socket

import pytest

from lib.apps import write_file
from lib.gateway import Gateway
from lib.h1 import H1, render
from lib.message import Refused
from peers.fcgi import Backend, OK_HEAD, keeping

INDEX = b"front page\n"


def respond(request):
    """Says what it was sent."""
    params = request.params
    head = OK_HEAD
    if params["PATH_INFO"] == "/plain10":
        head = b"Content-Type: text/plain\r\nContent-Length: 3\r\n\r\n"
        return head + b"abc"
    return head + b"%s %s %d:" % (
        params["REQUEST_METHOD"].encode(), params.get("CONTENT_LENGTH", "none").encode(),
        len(request.body)) + request.body


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", INDEX)
    write_file(place / "public/big", b"0123456789abcdef" * 65536)
    with Backend(str(place / "app.sock"), keeping(respond)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            [route main /limited/]
            pool = app
            body_limit = 1M
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            yield gateway
        assert backend.errors == []


@pytest.fixture
def client(gateway):
    with H1(gateway.address()) as client:
        yield client


# ---- persistence ----

def test_keep_alive(client):
    for _ in range(10):
        response = client.fetch("GET", "/")
        assert response.status == 200
        assert response.get("connection") in (None, "keep-alive")


def test_connection_close(client):
    response = client.fetch("GET", "/", [("Connection", "close")])
    assert response.get("connection") == "close"
    assert client.closed()


def test_connection_close_among_other_options(client):
    client.fetch("GET", "/", [("Connection", "foo, Close")])
    assert client.closed()


@pytest.mark.parametrize("n", [2, 50])
def test_pipelining(client, n):
    """Answers come in the order of the requests, fast and slow ones mixed."""
    paths = ["/" if i % 3 else f"/app/{i}" for i in range(n)]
    client.send(b"".join(render("GET", path) for path in paths))
    for path in paths:
        assert client.response().body == (INDEX if path == "/" else b"GET none 0:")


def test_pipelining_with_bodies(client):
    client.send(b"".join(render("POST", "/app/x", (), b"%d" % i) for i in range(10)) +
                b"".join(render("POST", "/app/x", (), [b"%d" % i]) for i in range(10)))
    for i in list(range(10)) * 2:
        assert client.response().body == b"POST 1 1:%d" % i


def test_http10(client):
    client.send(b"GET /app/x HTTP/1.0\r\n\r\n")
    response = client.response()
    assert response.body == b"GET none 0:"
    assert response.get("transfer-encoding") is None
    assert client.closed()


def test_http10_keep_alive_needs_a_length(client):
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    response = client.response()
    assert response.body == INDEX
    if (response.get("connection") or "").lower() == "keep-alive":
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().body == INDEX
    assert client.closed()


# ---- bodies ----

@pytest.mark.parametrize("path", ["/", "/app/x", "/app/plain10", "/nowhere", "/big"])
def test_head(client, path):
    """HEAD has GET's fields and no body; the connection stays in step."""
    get = client.fetch("GET", path)
    head = client.fetch("HEAD", path)
    assert head.status == get.status
    assert head.body == b""
    skip = ("date", "transfer-encoding", "content-length", "x-request-id")
    assert [f for f in head.headers if f[0] not in skip] == [
        f for f in get.headers if f[0] not in skip]
    if head.get("content-length") is not None:
        assert head.get("content-length") == get.get("content-length")
    assert client.fetch("GET", "/").body == INDEX


def test_fields_every_answer_has(client):
    import email.utils
    import time
    response = client.fetch("GET", "/")
    date = email.utils.parsedate_to_datetime(response.get("date"))
    assert abs(date.timestamp() - time.time()) < 5
    assert response.get("date").endswith(" GMT")
    assert response.get("server", "").startswith("h2cgi")
    assert response.get("content-type", "").startswith("text/html")


def test_expect_continue(client):
    client.send(render("POST", "/app/x", [("Expect", "100-continue"), ("Content-Length", "5")]))
    interim = client.head()
    assert interim.status == 100
    client.send(b"hello")
    assert client.response().body == b"POST 5 5:hello"


def test_expect_continue_not_for_1_0(client):
    client.send(b"POST /app/x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                b"hello")
    response = client.response()
    assert response.interim == []
    assert response.body == b"POST 5 5:hello"


def test_expect_continue_is_not_sent_for_a_refusal(client):
    client.send(render("POST", "/limited/x", [("Expect", "100-continue"),
                                              ("Content-Length", "2000000")]))
    response = client.response()
    assert response.status == 413
    assert response.interim == []


def test_expect_continue_not_sent_when_the_body_is_there(client):
    """RFC 9110 10.1.1: MAY omit 100 once part of the body came; the answer is right anyway."""
    client.request("POST", "/app/x", [("Expect", "100-continue")], b"hello")
    assert client.response().body == b"POST 5 5:hello"


def test_half_closed_client_gets_its_answer(client):
    client.request("GET", "/app/x")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.response().body == b"GET none 0:"
    assert client.closed()


def test_half_closed_client_gets_a_big_file(client):
    client.request("GET", "/big")
    client.sock.shutdown(socket.SHUT_WR)
    assert len(client.response().body) == 1 << 20
    assert client.closed()


def test_half_close_in_the_middle_of_a_body(client):
    """The rest will never come: 400 or nothing, and the connection ends."""
    client.send(render("POST", "/app/x", [("Content-Length", "100")]) + b"hello")
    client.sock.shutdown(socket.SHUT_WR)
    try:
        assert client.response().status == 400
    except Refused:
        pass
    assert client.closed()


def test_half_close_in_the_middle_of_a_head(client):
    client.send(b"GET / HTTP/1.1\r\nHost: loc")
    client.sock.shutdown(socket.SHUT_WR)
    try:
        assert client.response().status == 400
    except Refused:
        pass
    assert client.closed()


@pytest.mark.parametrize("path, status", [("/limited/x", 413), ("/nowhere", 404), ("/", 405)])
def test_answer_before_a_big_body_is_read(client, path, status):
    """Lingering close: a client that sends first and reads later sees the answer."""
    client.send(render("POST", path, [("Content-Length", str(8 << 20))]))
    piece = b"x" * 65536
    sent = 0
    try:
        while sent < 8 << 20:
            client.send(piece)
            sent += len(piece)
    except OSError:
        pass
    assert client.response().status == status


def test_unread_body_does_not_become_a_request(client):
    """A short body that nobody wanted is skipped, not parsed."""
    inner = render("GET", "/smuggled")
    client.request("POST", "/nowhere", (), inner)
    assert client.response().status == 404
    try:
        client.request("GET", "/")
        assert client.response().body == INDEX
    except (Refused, OSError):
        pass  # closing is fine too


def test_two_megabytes_chunked(client):
    data = bytes(range(256)) * 8192
    pieces = [data[i:i + 1000] for i in range(0, len(data), 1000)]
    response = client.fetch("POST", "/app/x", (), pieces)
    assert response.body == b"POST %d %d:" % (len(data), len(data)) + data


@pytest.mark.threads
def test_a_thousand_requests_on_one_connection(client):
    for i in range(1000):
        response = client.fetch("POST", "/app/x", (), b"%d" % i)
        assert response.body.endswith(b":%d" % i)
