"""Kept connections to applications: closed by age and by count, and at once by a gateway that
drains."""
import os
import signal
import threading

import pytest

from lib import proc
from lib.frames import H2
from lib.h1 import H1
from peers.fcgi import OK_HEAD, STDOUT, Backend, answer, hello, keeping, record


class Gate:
    """serve that answers /held when told, all else at once."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, conn):
        while True:
            request = conn.request()
            # a byte at once: else idle connections are closed, which may pin a thread
            conn.send(record(STDOUT, request.number, OK_HEAD))
            if request.params["PATH_INFO"] == "/held":
                self.entered.release()
                self.go.wait(30)
            conn.send(answer(request.number, b"hello\n"))
            if not request.keeps:
                return


def pool_ini(place, site="", **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n{site}[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = unix:{place}/app.sock\n{lines}")


@pytest.fixture
def backend(place):
    with Backend(str(place / "app.sock"), keeping(hello)) as backend:
        yield backend
        assert backend.errors == []


def held(gateway, gate, n):
    """n requests at work at once."""
    clients = [H1(gateway.address()) for _ in range(n)]
    for client in clients:
        client.request("GET", "/app/held")
    for _ in clients:
        assert gate.entered.acquire(timeout=10)
    return clients


def finish(gate, clients):
    gate.go.set()
    for client in clients:
        assert client.response().status == 200
        client.close()
    gate.go.clear()


@pytest.mark.threads
def test_idle_connections_are_closed_by_age(place, start, backend):
    """Those of both workers; and the pool goes on with fresh ones."""
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=6, keepalive_time="300ms"), workers=2)
    for round_ in (1, 2):
        finish(gate, held(gateway, gate, 6))
        assert backend.n_accepted == 6 * round_
        proc.wait_until(lambda: not backend.open, 10, "the end of all idle connections")


def test_a_connection_in_use_is_not_idle(place, start, backend):
    """What is at work for longer than keepalive_time keeps its connection."""
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=2, keepalive_time="100ms"))
    clients = held(gateway, gate, 1)
    for n in (2, 3):  # another's idle connection comes and goes twice meanwhile
        assert gateway.get("/app/x").status == 200
        proc.wait_until(lambda: len(backend.open) == 1, 10, "the end of the idle connection")
        assert backend.n_accepted == n
    finish(gate, clients)


def test_a_connection_has_so_many_requests(place, start, backend, proto):
    """The last of keepalive_requests goes without FCGI_KEEP_CONN."""
    gateway = start(pool_ini(place, max_requests=1, keepalive_requests=3))
    for n in range(1, 8):
        assert gateway.fetch(proto, "/app/x").status == 200
        assert backend.n_accepted == (n + 2) // 3
    assert [request.keeps for request in backend.requests] == [True, True, False] * 2 + [True]
    proc.wait_until(lambda: len(backend.open) == 1, 10, "the end of used up connections")


def test_count_under_load(place, start, backend):
    """No request is lost to a connection that ends by count."""
    gateway = start(pool_ini(place, max_requests=4, keepalive_requests=2, queue=1000, retries=0))
    statuses = []

    def hammer():
        with H1(gateway.address()) as client:
            for i in range(40):
                method = "POST" if i % 2 else "GET"
                statuses.append(client.fetch(method, "/app/x", body=b"x" * (i % 2)).status)

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 240
    assert 120 <= backend.n_accepted <= 240


def test_drain(place, start, backend):
    """A draining gateway closes idle connections at once, and what it still sends is not to be
    kept."""
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, "request_body = spool\n", max_requests=4))
    finish(gate, held(gateway, gate, 4))
    assert len(backend.open) == 4
    clients = held(gateway, gate, 1)
    with H2(gateway.address(), tls=False) as late:
        number = late.request("POST", "/app/late", scheme="http", end=False)
        assert late.ping()  # it is there, and asks for its slot when all of it came
        os.kill(gateway.pid, signal.SIGQUIT)
        proc.wait_until(lambda: len(backend.open) == 1, 10, "the end of idle connections")
        late.send_body(number, b"late")
        assert late.response(number).status == 200
    last = backend.requests[-1]
    assert last.params["PATH_INFO"] == "/late" and last.body == b"late" and not last.keeps
    proc.wait_until(lambda: len(backend.open) == 1, 10, "the end of the late one's")
    finish(gate, clients)
    proc.wait_until(lambda: not backend.open, 10, "the end of the last")
    gateway.finish()
