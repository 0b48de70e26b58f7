"""The rows of h2_rows against the daemon: all of them on h2c, and a good part over TLS."""
import itertools

import pytest

from h2_rows import ROWS
from h2_rows.row import ANY, Answer
from lib import proc
from lib.apps import write_file
from lib.client import is_tls
from lib.gateway import Gateway
from lib.h1 import tls_context
from lib.h2wire import Wire
from peers.fcgi import OK_HEAD, Backend, answer, keeping

numbers = itertools.count(1)
TLS = tls_context(["h2"])


def respond(request):
    return OK_HEAD + f"{request.params['REQUEST_METHOD']} {len(request.body)}".encode()


def early(conn):
    """Answers, and reads no body."""
    request = conn.begin()
    conn.send(answer(request.number, OK_HEAD + b"early"))
    conn.wait_end()


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front page\n")
    write_file(place / "public/big", b"x" * 200000)
    with Backend(str(place / "app.sock"), keeping(respond)) as backend, \
            Backend(str(place / "early.sock"), early):
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
            [route main /early]
            pool = early
            [pool app]
            connect = unix:{place}/app.sock
            [pool early]
            connect = unix:{place}/early.sock
            """) as gateway:
            gateway.backend = backend
            gateway.paths = {}
            yield gateway
            check_asked(gateway, gateway.paths)
        assert backend.errors == []


def asked(gateway, path):
    return sum(r.params["REQUEST_URI"].partition("?")[0] == path for r in gateway.backend.requests)


def check_asked(gateway, paths):
    """path: how often the application was asked for it."""
    for path, n in paths.items():
        assert asked(gateway, path) == n, path


def expected(row):
    if row.asked is not None:
        return row.asked
    return ANY if any(isinstance(o, Answer) for o in row.outcomes()) else 0


def dial(gateway, proto, number):
    """From an address of its own, so that no limit of an address adds up over the rows."""
    source = f"127.1.{number // 250}.{number % 250 + 1}"
    return Wire(gateway.address(is_tls(proto)), is_tls(proto), context=TLS, source=source)


CASES = [pytest.param(row, proto, id=f"{row.name}-{proto}") for row in ROWS for proto in row.on]


@pytest.mark.parametrize("row, proto", CASES)
def test_row(gateway, row, proto):
    number = next(numbers)
    with dial(gateway, proto, number) as wire:
        path = wire.play(row, number)
        wire.judge(row)
    n = expected(row)
    if n > 0:
        proc.wait_until(lambda: asked(gateway, path) == n, 10, f"{n} requests")
    if n != ANY:
        gateway.paths[path] = n  # looked at once more in the end
        check_asked(gateway, {path: n})
