"""Expect: 100-continue is answered with 100 only once route, authorisation and limits let the
body in, and the pool has a place for the request (RFC 9110 10.1.1)."""
import base64
import crypt
import threading

import pytest

from lib import proc
from lib.apps import write_file, write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway
from lib.h1 import render
from peers.fcgi import OK_HEAD, Backend, answer, echo, keeping

EXPECT = ("Expect", "100-continue")


class Authorizer:
    """Lets in whoever has X-Ticket, once it is told to decide."""

    def __init__(self):
        self.decides = threading.Event()
        self.decides.set()
        self.asked = threading.Semaphore(0)

    def __call__(self, conn):
        request = conn.request()
        self.asked.release()
        self.decides.wait(20)
        refused = "HTTP_X_TICKET" not in request.params
        conn.send(answer(request.number, b"Status: 403\r\n\r\nno" if refused else OK_HEAD))


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front\n")
    write_file(place / "passwords", f"alice:{crypt.crypt('secret', '$5$salt')}\n")
    write_script(place / "cgi/cat", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\ncat\n")
    authorizer = Authorizer()
    with Backend(f"{place}/app.sock", keeping(echo)) as backend, \
            Backend(f"{place}/auth.sock", authorizer), Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            body_limit = 1000
            [route main /spooled/]
            pool = app
            request_body = spool
            [route main /cgi/]
            pool = scripts
            root = {place}/cgi
            [route main /secret/]
            pool = app
            auth = basic
            auth_file = {place}/passwords
            [route main /asked/]
            pool = app
            authorizer = login
            [route main /away/]
            redirect = https://other.example/
            [pool app]
            connect = unix:{place}/app.sock
            [pool login]
            connect = unix:{place}/auth.sock
            [pool scripts]
            cgi = on
            max_requests = 2
            """) as gateway:
        gateway.backend, gateway.authorizer = backend, authorizer
        yield gateway
        assert backend.errors == []


def begin(client, proto, path, headers=(), size=5):
    """A POST without its body; what answer() takes."""
    fields = [EXPECT, ("Content-Length", str(size)), *headers]
    if is_h2(proto):
        return client.request("POST", path, fields, scheme=scheme(proto), end=False)
    client.send(render("POST", path, fields))
    return None


def leave(client, number):
    """Wait for the first head: True if it is 100, else the final one is for finish()."""
    if number is None:
        client.first = client.head()
        return client.first.status == 100
    stream = client.streams[number]
    assert client.wait(lambda: stream.response.interim or stream.has_head)
    return [head.status for head in stream.response.interim] == [100]


def finish(client, number, body):
    if number is not None:
        client.send_body(number, body)
        return client.response(number)
    client.send(body)
    return client.response()


BASIC = ("Authorization", "Basic " + base64.b64encode(b"alice:secret").decode())

ALLOWED = [
    ("an application", "/app/x", []),
    ("a spooled body", "/spooled/x", []),
    ("a script", "/cgi/cat", []),
    ("the right password", "/secret/x", [BASIC]),
    ("a ticket", "/asked/x", [("X-Ticket", "1")]),
]


@pytest.mark.parametrize("what, path, headers", ALLOWED, ids=[row[0] for row in ALLOWED])
def test_leave(gateway, proto, what, path, headers):
    with dial(proto, gateway) as client:
        number = begin(client, proto, path, headers)
        assert leave(client, number)
        response = finish(client, number, b"hello")
        assert (response.status, response.body) == (200, b"hello")


REFUSED = [
    ("no such script", "/cgi/none", [], 5, 404),
    ("no such file", "/none", [], 5, 404),
    ("files take no body", "/index.html", [], 5, 405),
    ("a redirect", "/away/", [], 5, 302),
    ("no password", "/secret/x", [], 5, 401),
    ("a wrong one", "/secret/x", [("Authorization", "Basic YTpi")], 5, 401),
    ("no ticket", "/asked/x", [], 5, 403),
    ("too large", "/app/x", [], 1001, 413),
    ("a path that is none", "/app/%zz", [], 5, 400),
]


@pytest.mark.parametrize("what, path, headers, size, status", REFUSED,
                         ids=[row[0] for row in REFUSED])
def test_no_leave(gateway, proto, what, path, headers, size, status):
    with dial(proto, gateway) as client:
        number = begin(client, proto, path, headers, size)
        if is_h2(proto):
            stream = client.streams[number]
            assert client.wait(lambda: stream.has_head)
            assert (stream.response.status, stream.response.interim) == (status, [])
            assert client.fetch(scheme=scheme(proto)).status == 200  # its body never comes
        else:
            response = client.response()
            assert (response.status, response.interim) == (status, [])
            assert response.get("connection") == "close", "is what follows the body or not?"
            assert client.closed()


def test_not_before_the_authorizer_said_yes(gateway, proto):
    authorizer = gateway.authorizer
    authorizer.decides.clear()
    while authorizer.asked.acquire(blocking=False):
        pass
    with dial(proto, gateway) as client:
        number = begin(client, proto, "/asked/x", [("X-Ticket", "1")])
        assert authorizer.asked.acquire(timeout=10)
        assert heads_so_far(client, number) == 0
        authorizer.decides.set()
        assert leave(client, number)
        assert finish(client, number, b"hello").body == b"hello"


def heads_so_far(client, number):
    """How many heads came before the gateway answered another question."""
    if number is not None:
        assert client.ping()
        return len(client.streams[number].response.interim)
    client.sock.settimeout(0.1)
    try:
        client.more()
    except TimeoutError:
        pass
    client.sock.settimeout(15)
    return client.buffer.count(b"HTTP/1.1 ")


def test_not_before_there_is_a_place(place, start, proto):
    """A body that is passed on as it comes waits for its request's turn; one that never comes
    up is refused without."""
    go = threading.Event()

    def respond(request):
        if request.params["PATH_INFO"] == "/held":
            go.wait(20)
        return echo(request)

    with Backend(f"{place}/app.sock", keeping(respond)) as backend:
        gateway = start(f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
                        f"[pool app]\nconnect = unix:{place}/app.sock\nmax_requests = 1\n"
                        "queue = 1\n")
        with dial("h1", gateway) as held, dial(proto, gateway) as client:
            held.request("GET", "/app/held")
            proc.wait_until(lambda: backend.requests, 10, "the first request")
            number = begin(client, proto, "/app/x")
            assert heads_so_far(client, number) == 0
            with dial(proto, gateway) as third:
                other = begin(third, proto, "/app/y")
                assert not leave(third, other)
                status = third.first.status if other is None else \
                    third.streams[other].response.status
                assert status == 503
            go.set()
            assert leave(client, number)
            assert finish(client, number, b"hello").body == b"hello"


def test_not_over_a_limit_that_shows_later(gateway, proto):
    """A body without a length gets its 100, and 413 when it turns out to be too long."""
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", "/app/x", [EXPECT], scheme=scheme(proto), end=False)
        else:
            number = None
            client.send(b"POST /app/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        assert leave(client, number)
        if number is not None:
            client.send_body(number, b"x" * 1001)
            assert client.response(number).status == 413
        else:
            client.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
            assert client.response().status == 413
