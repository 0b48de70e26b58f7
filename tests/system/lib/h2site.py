"""The site of the HTTP/2 tests: files and a FastCGI application that says what it was asked.

A test module imports the fixtures gateway, proto (h2 and h2c) and client from here; one that wants
other limits makes its gateway with site().
"""
import contextlib
import threading

import pytest

from lib.apps import write_file
from lib.client import dial
from lib.gateway import Gateway
from peers.fcgi import OK_HEAD, Backend, answer, keeping

INDEX = b"front page\n"


def respond(request):
    head = OK_HEAD
    fields = "".join(f"{name}={value}\n" for name, value in request.pairs
                     if name in ("REQUEST_METHOD", "QUERY_STRING", "HTTP_PRIORITY"))
    return head + fields.encode() + b"%d:" % len(request.body) + request.body


@contextlib.contextmanager
def site(place, **keys):
    """keys: of [gateway]."""
    write_file(place / "public/index.html", INDEX)
    write_file(place / "public/big", b"0123456789abcdef" * (1 << 18))  # 4 MiB
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
            body_limit = 100K
            [pool app]
            connect = unix:{place}/app.sock
            """, **keys) as gateway:
            gateway.backend = backend
            yield gateway
        assert backend.errors == []


@contextlib.contextmanager
def slow_site(place, **keys):
    """Its application reads no body, and does not answer, until .go is set; each request that it
    has raises .entered."""
    go, entered = threading.Event(), threading.Semaphore(0)

    def serve(conn):
        request = conn.begin()
        entered.release()
        go.wait(20)
        conn.stdin(request)
        conn.send(answer(request.number, OK_HEAD + b"finished\n"))

    with Backend(str(place / "app.sock"), serve) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """, **keys) as gateway:
            gateway.go, gateway.entered, gateway.backend = go, entered, backend
            try:
                yield gateway
            finally:
                go.set()


@pytest.fixture(scope="module")
def gateway(module_place):
    with site(module_place) as gateway:
        yield gateway


@pytest.fixture(params=["h2", "h2c"])
def proto(request):
    return request.param


@pytest.fixture
def client(gateway, proto):
    with dial(proto, gateway) as client:
        yield client


def get(path="/", **extra):
    fields = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": path}
    fields.update({name.replace("_", "-"): value for name, value in extra.items()})
    return list(fields.items())
