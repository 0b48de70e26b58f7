"""Several servers in a pool: shares, limits, backups, and where a request goes again."""
import contextlib
import threading
from collections import Counter

import pytest

from lib import proc
from lib.h1 import H1
from lib.ports import free_port
from peers.fcgi import (OK_HEAD, OVERLOADED, STDERR, STDOUT, Backend, answer, end_request, hello,
                        keeping, record)


def served_by(name):
    return keeping(lambda request: OK_HEAD + name.encode())


@pytest.fixture
def servers(place):
    """open(n) -> that many backends a, b, c ... that say their names."""
    with contextlib.ExitStack() as stack:
        def make(n):
            return [stack.enter_context(Backend(str(place / name), served_by(name)))
                    for name in "abcdefgh"[:n]]
        yield make


def pool_ini(place, connect, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    connect = " ".join(word if ":" in word else f"unix:{place}/{word}" for word in connect.split())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = {connect}\n{lines}")


def shares(gateway, n, **options):
    with H1(gateway.address(), **options) as client:
        return Counter(client.fetch("GET", "/app/x").body.decode() for _ in range(n))


class Held:
    """serve that answers with a head, holds requests until told, and counts those it has."""

    def __init__(self, name="held"):
        self.name = name.encode()
        self.go = threading.Event()
        self.n = 0
        self.lock = threading.Lock()

    def __call__(self, conn):
        while True:
            request = conn.request()
            with self.lock:
                self.n += 1
            # a byte at once: else idle connections are closed, which may pin a thread
            conn.send(record(STDOUT, request.number, OK_HEAD))
            self.go.wait(30)
            conn.send(answer(request.number, self.name))
            if not request.keeps:
                return


def send_held(gateway, n):
    clients = [H1(gateway.address()) for _ in range(n)]
    for client in clients:
        client.request("GET", "/app/x")
    return clients


def finish_held(held, clients):
    for one in held:
        one.go.set()
    for client in clients:
        assert client.response().status == 200
        client.close()


@pytest.mark.parametrize("keepalive", [0, 8])
@pytest.mark.parametrize("balance", ["least", "round-robin"])
def test_shares_by_weight(place, start, servers, balance, keepalive):
    """One request at a time: the weights' shares, whether connections are kept or not."""
    servers(3)
    gateway = start(pool_ini(place, "a,weight=3 b c,weight=2", balance=balance,
                             keepalive=keepalive, max_requests=8), workers=1)
    assert shares(gateway, 60) == {"a": 30, "b": 10, "c": 20}


def test_least_in_flight(place, start, servers):
    """Requests at work, by weight: 8 over a (3) and b (1)."""
    backends = servers(2)
    held = [Held(), Held()]
    for backend, serve in zip(backends, held):
        backend.serve = serve
    gateway = start(pool_ini(place, "a,weight=3 b", max_requests=8))
    clients = send_held(gateway, 8)
    proc.wait_until(lambda: held[0].n + held[1].n == 8, 10, "all at work")
    assert (held[0].n, held[1].n) == (6, 2)
    finish_held(held, clients)


def test_max_of_a_server(place, start, servers):
    """max= bounds one server; the rest goes to others or waits."""
    backends = servers(2)
    held = [Held(), Held()]
    for backend, serve in zip(backends, held):
        backend.serve = serve
    gateway = start(pool_ini(place, "a,max=1 b,max=3", max_requests=16))
    clients = send_held(gateway, 10)
    proc.wait_until(lambda: held[0].n + held[1].n == 4, 10, "four at work")
    assert (held[0].n, held[1].n) == (1, 3)
    assert len(backends[0].open) == 1 and len(backends[1].open) == 3
    finish_held(held, clients)
    assert len(backends[0].open) <= 1 and len(backends[1].open) <= 3


def test_tcp_of_both_kinds(place, start):
    """TCP over IPv4 and IPv6 beside a unix socket."""
    four, six = free_port(), free_port()
    with Backend(("127.0.0.1", four), served_by("four")), \
            Backend(("::1", six), served_by("six")), \
            Backend(str(place / "a"), served_by("unix")):
        gateway = start(pool_ini(place, f"127.0.0.1:{four} [::1]:{six} a",
                                 balance="round-robin"), workers=1)
        assert shares(gateway, 9) == {"four": 3, "six": 3, "unix": 3}


def test_backup(place, start, servers):
    """A backup has nothing to do until every other server is full or down."""
    backends = servers(3)
    held = backends[0].serve = Held("a")
    gateway = start(pool_ini(place, "a,max=2 b,max=1,backup c,max=1,backup"))
    clients = send_held(gateway, 2)
    proc.wait_until(lambda: held.n == 2, 10, "a full server")
    assert set(shares(gateway, 4)) <= {"b", "c"}
    finish_held([held], clients)
    assert shares(gateway, 4) == {"a": 4}
    backends[0].close()
    assert set(shares(gateway, 8)) <= {"b", "c"}
    assert "server=unix:" in gateway.wait_log("out of rotation: backend refused")


# ---- hash ----

def test_hash_by_address(place, start, servers):
    """Each client has its server, over connections and workers; many clients have all."""
    servers(4)
    gateway = start(pool_ini(place, "a b c d", balance="hash"), workers=2)
    homes = {}
    for i in range(40):
        source = f"127.0.{i}.7"
        seen = shares(gateway, 3, source=source) + shares(gateway, 2, source=source)
        assert len(seen) == 1, source
        homes[source] = seen.most_common()[0][0]
    assert len(set(homes.values())) == 4


def test_hash_by_field(place, start, servers, proto):
    servers(3)
    gateway = start(pool_ini(place, "a b c", balance="hash", balance_key="field X-Session"))

    def home(value):
        return gateway.fetch(proto, "/app/x", headers=[("x-session", value)]).body

    first = {str(i): home(str(i)) for i in range(20)}
    assert len(set(first.values())) == 3
    for value, server in reversed(first.items()):
        assert home(value) == server


def test_hash_moves_only_what_it_must(place, start, servers):
    """A server goes: its keys go elsewhere, the others stay; it is back: all as before."""
    backends = servers(3)
    ini = pool_ini(place, "a b c", balance="hash", balance_key="field X-Session")
    gateway = start(ini)

    def homes():
        with H1(gateway.address()) as client:
            return {i: client.fetch("GET", "/app/x", [("x-session", str(i))]).body
                    for i in range(60)}

    first = homes()
    backends[1].close()
    second = homes()
    assert b"b" not in second.values()
    assert all(second[i] == home for i, home in first.items() if home != b"b")
    assert {second[i] for i, home in first.items() if home == b"b"} == {b"a", b"c"}
    (place / "b").unlink()
    with Backend(str(place / "b"), served_by("b")):
        proc.wait_until(lambda: homes() == first, 20, "all keys at home")


def test_hash_after_a_restart(place, start, servers):
    servers(3)
    ini = pool_ini(place, "a b c", balance="hash")
    sources = [f"127.1.{i}.1" for i in range(12)]

    def homes(gateway):
        return [shares(gateway, 1, source=source).most_common()[0][0] for source in sources]

    first = start(ini)
    seen = homes(first)
    first.stop()
    assert homes(start(ini)) == seen


# ---- again, on another server ----

def closes(conn):
    """Takes the request and closes before a byte of an answer."""
    conn.request()


def test_again_on_another_server(place, start, servers, proto):
    """No byte came back: GET goes to another, however often this happens."""
    backends = servers(2)
    backends[0].serve = closes
    gateway = start(pool_ini(place, "a b", balance="round-robin", keepalive=0))
    for _ in range(12):
        assert gateway.fetch(proto, "/app/x").body == b"b"
    assert len(backends[0].requests) >= 3
    assert len(backends[1].requests) == 12


def test_never_the_same_server_again(place, start, servers):
    """retries = 3 and four servers: each is asked once."""
    backends = servers(4)
    for backend in backends:
        backend.serve = closes
    gateway = start(pool_ini(place, "a b c d", retries=3))
    assert gateway.get("/app/x").status == 502
    assert [len(backend.requests) for backend in backends] == [1, 1, 1, 1]


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_retries(place, start, servers, retries):
    backends = servers(1)
    backends[0].serve = closes
    gateway = start(pool_ini(place, "a", retries=retries))
    assert gateway.get("/app/x").status == 502
    assert len(backends[0].requests) == retries + 1


def test_not_again_what_may_have_worked(place, start, servers, proto):
    """A POST that a server had goes nowhere else; one that no server could have had does."""
    backends = servers(2)
    backends[0].serve = closes
    gateway = start(pool_ini(place, "a b,backup"))
    response = gateway.fetch(proto, "/app/x", method="POST", body=b"once")
    assert response.status == 502
    assert backends[1].requests == []
    backends[0].close()
    for _ in range(3):
        assert gateway.fetch(proto, "/app/x", method="POST", body=b"once").body == b"b"


def says(*parts):
    """Takes the request, sends parts(id), and closes."""
    def serve(conn):
        number = conn.request().number
        for part in parts:
            conn.send(part(number))
    return serve


OVER = says(lambda number: end_request(number, 0, OVERLOADED))
HALF_A_HEAD = says(lambda number: record(STDOUT, number, b"Status: 200\r\n"))
HALF_A_RECORD = says(lambda number: record(STDOUT, number, OK_HEAD)[:7])
LOG = says(lambda number: record(STDERR, number, b"I began, and cannot go on\n"))


@pytest.mark.parametrize("method, body, serve, again", [
    ("GET", None, closes, True), ("HEAD", None, closes, True), ("OPTIONS", None, closes, True),
    ("DELETE", None, closes, True), ("PUT", b"", closes, True), ("PROPFIND", None, closes, True),
    # not idempotent (RFC 9110 9.2.2), or its body is gone
    ("POST", None, closes, False), ("POST", b"", closes, False), ("PATCH", b"x", closes, False),
    ("LOCK", None, closes, False), ("PUT", b"x", closes, False), ("GET", b"x", closes, False),
    # it was at work
    ("GET", None, HALF_A_HEAD, False), ("GET", None, LOG, False),
    ("GET", None, HALF_A_RECORD, True),
    # FastCGI 5.5: it did not begin
    ("GET", None, OVER, True), ("POST", b"x", OVER, False),
], ids=lambda value: getattr(value, "__name__", repr(value)))
def test_what_goes_again(place, start, servers, method, body, serve, again):
    """Only what the server cannot have begun, or what may be done twice."""
    backends = servers(2)
    backends[0].serve = serve
    gateway = start(pool_ini(place, "a b,backup"))
    response = gateway.get("/app/x", method=method, body=body)
    assert response.status == (200 if again else 503 if serve is OVER else 502)
    assert [len(backend.requests) for backend in backends] == [1, again]


def test_kept_connections_all_closed_at_once(place, start):
    """The application was restarted: whatever many kept connections died, requests succeed."""
    held = Held()
    with Backend(str(place / "a"), held) as first:
        gateway = start(pool_ini(place, "a"))
        clients = send_held(gateway, 12)
        proc.wait_until(lambda: held.n == 12, 10, "twelve at work")
        finish_held([held], clients)
        assert len(first.open) == 12
        (place / "a").unlink()
        with Backend(str(place / "a"), keeping(hello)):
            first.close()
            for _ in range(20):
                assert gateway.get("/app/x").body == b"hello\n"
