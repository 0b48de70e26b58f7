"""Pools by address: slots, queues, kept connections, aborts."""
import threading

import pytest

from lib import proc
from lib.client import dial, is_h2, scheme
from lib.h1 import H1
from peers.fcgi import (OK_HEAD, STDOUT, Backend, answer, echo, hello, keeping, record)


class Gate:
    """serve that says when a request is there and answers when told."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()
        self.n_now = self.n_most = 0
        self.ends = []  # how interrupted requests ended
        self.lock = threading.Lock()

    def __call__(self, conn):
        while True:
            request = conn.request()
            with self.lock:
                self.n_now += 1
                self.n_most = max(self.n_most, self.n_now)
            self.entered.release()
            self.go.wait(30)
            with self.lock:
                self.n_now -= 1
            conn.send(answer(request.number, OK_HEAD + b"hello\n"))
            if not request.keeps:
                return

    def wait_entered(self, n):
        for _ in range(n):
            assert self.entered.acquire(timeout=10), "request did not reach the application"


def pool_ini(place, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = unix:{place}/app.sock\n{lines}")


@pytest.fixture
def backend(place):
    with Backend(str(place / "app.sock"), keeping(hello)) as backend:
        yield backend
        assert backend.errors == []


def in_background(n, function):
    """n threads that append function()'s results to the list that is returned."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(n)]
    for thread in threads:
        thread.start()
    return threads, results


def test_queue_full(place, start, backend, proto):
    """max_requests run, queue wait, the others are refused at once: 503 and Retry-After."""
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=2, queue=3))
    threads, results = in_background(9, lambda: gateway.fetch(proto, "/app/x"))
    gate.wait_entered(2)
    proc.wait_until(lambda: len(results) == 4, 10, "refusals of all that find no room")
    for response in results:
        assert response.status == 503
        assert int(response.get("retry-after")) >= 1
    assert "pool=app" in gateway.wait_log("queue full")
    gate.go.set()
    for thread in threads:
        thread.join()
    assert sorted(response.status for response in results) == [200] * 5 + [503] * 4
    assert gate.n_most == 2


def test_queue_timeout(place, start, backend, proto):
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=1, queue=10, queue_timeout="300ms"))
    with H1(gateway.address()) as first:
        first.request("GET", "/app/x")
        gate.wait_entered(1)
        response = gateway.fetch(proto, "/app/x")
        assert response.status == 503
        assert int(response.get("retry-after")) >= 1
        assert "pool=app" in gateway.wait_log("queue timeout")
        gate.go.set()
        assert first.response().status == 200
    assert gateway.fetch(proto, "/app/x").status == 200


def test_client_that_leaves_leaves_the_queue(place, start, backend, proto):
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=1, queue=2, queue_timeout="30s"))
    with H1(gateway.address()) as first:
        first.request("GET", "/app/x")
        gate.wait_entered(1)
        for _ in range(20):  # ten times the queue
            with dial(proto, gateway) as leaver:
                if is_h2(proto):
                    leaver.request("GET", "/app/x", scheme=scheme(proto))
                    assert leaver.ping()
                else:
                    leaver.request("GET", "/app/x")
        with H1(gateway.address()) as last:
            last.request("GET", "/app/x")
            gate.go.set()
            assert first.response().status == 200
            assert last.response().status in (200, 503)
    assert proc.wait_until(lambda: gateway.get("/app/x").status == 200, 10, "an open pool")
    assert gate.n_most == 1


def test_queue_of_none(place, start, backend):
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=1, queue=0))
    with H1(gateway.address()) as first:
        first.request("GET", "/app/x")
        gate.wait_entered(1)
        assert gateway.get("/app/x").status == 503
        gate.go.set()
        assert first.response().status == 200


@pytest.mark.threads
@pytest.mark.parametrize("n", [1, 4])
def test_max_requests_is_kept(place, start, backend, n):
    """Never more than max_requests at the application, over both workers."""
    gate = backend.serve = Gate()
    gate.go.set()
    gateway = start(pool_ini(place, max_requests=n, queue=1000), workers=2)

    def hammer():
        with H1(gateway.address()) as client:
            for _ in range(50):
                assert client.fetch("GET", "/app/x").status == 200

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(backend.requests) == 400
    assert 1 <= gate.n_most <= n
    assert len(backend.open) <= n


def test_connections_are_kept_and_reused(place, start, backend):
    gateway = start(pool_ini(place, max_requests=4))
    for _ in range(50):
        assert gateway.get("/app/x").status == 200
    assert backend.n_accepted <= 4
    assert all(request.keeps for request in backend.requests)


def test_keepalive_none(place, start, backend):
    gateway = start(pool_ini(place, max_requests=4, keepalive=0))
    for _ in range(5):
        assert gateway.get("/app/x").status == 200
    assert backend.n_accepted == 5
    assert not any(request.keeps for request in backend.requests)
    proc.wait_until(lambda: not backend.open, 10, "closed connections")


def test_idle_connections_are_bounded(place, start, backend):
    gate = backend.serve = Gate()
    gateway = start(pool_ini(place, max_requests=8, keepalive=2))
    clients = [H1(gateway.address()) for _ in range(8)]
    for client in clients:
        client.request("GET", "/app/x")
    gate.wait_entered(8)
    gate.go.set()
    for client in clients:
        assert client.response().status == 200
        client.close()
    proc.wait_until(lambda: len(backend.open) <= 2, 10, "two idle connections")


def test_connection_closed_while_idle_is_noticed(place, start, backend, proto):
    """The application ends idle connections: no request may be lost to one."""
    def one_then_close(conn):
        request = conn.request()
        conn.send(answer(request.number, OK_HEAD + b"hello\n"))  # KEEP_CONN or not

    backend.serve = one_then_close
    gateway = start(pool_ini(place, max_requests=2))
    for _ in range(30):  # before or after the close, as it happens
        assert gateway.fetch(proto, "/app/x").status == 200
    for _ in range(10):  # not in the same moment: then nobody can know whether it was read
        proc.wait_until(lambda: not backend.open, 10, "the application's close")
        assert gateway.fetch(proto, "/app/x", method="POST", body=b"abc").status == 200


def test_connection_restarted_with_the_application(place, start):
    gateway = start(pool_ini(place, max_requests=4))
    for _ in range(3):
        with Backend(str(place / "app.sock"), keeping(hello)):
            for _ in range(5):
                assert gateway.get("/app/x").status == 200
        (place / "app.sock").unlink()


def test_full_duplex(place, start, backend, proto):
    """The response flows while the request is still being sent."""
    def serve(conn):
        request = conn.begin()
        conn.send(record(STDOUT, request.number, OK_HEAD))
        while True:
            _, _, content = conn.record()
            if not content:
                break
            conn.send(record(STDOUT, request.number, content.upper()))
        conn.send(answer(request.number, b""))

    backend.serve = serve
    gateway = start(pool_ini(place))
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", "/app/x", [("content-length", "6")],
                                    scheme=scheme(proto), end=False)
            client.send_body(number, b"abc", end=False)
            assert client.wait(lambda: client.body_so_far(number) == b"ABC")
            client.send_body(number, b"def")
            assert client.response(number).body == b"ABCDEF"
        else:
            client.send(b"POST /app/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
            head = client.head()
            assert client.take_line() == "3" and client.take(5) == b"ABC\r\n"
            client.send(b"def")
            client.chunked(head)
            assert head.body == b"DEF"


def test_client_gone_aborts(place, start, backend, proto):
    """ABORT_REQUEST goes out, and the slot is free again after abort_timeout at most."""
    ends, entered = [], threading.Semaphore(0)

    def serve(conn):
        request = conn.request()
        entered.release()
        ends.append((request.number, conn.wait_end()))

    backend.serve = serve
    gateway = start(pool_ini(place, max_requests=1, abort_timeout="500ms"))
    with dial(proto, gateway) as client:
        if is_h2(proto):
            client.request("GET", "/app/x", scheme=scheme(proto))
        else:
            client.request("GET", "/app/x")
        assert entered.acquire(timeout=10)
    proc.wait_until(lambda: ends, 10, "the abort")
    assert ends[0][1] == "abort"
    backend.serve = keeping(hello)
    assert gateway.fetch(proto, "/app/x").status == 200


def test_output_after_an_abort_goes_nowhere(place, start, backend):
    """END_REQUEST after the abort frees the connection; late output is not the next one's."""
    entered, late = threading.Semaphore(0), threading.Event()

    def serve(conn):
        if backend.n_accepted == 1:
            first = conn.request()
            entered.release()
            conn.record()  # the abort
            late.wait(10)
            conn.send(answer(first.number, OK_HEAD + b"late\n" * 1000))
        keeping(hello)(conn)

    backend.serve = serve
    gateway = start(pool_ini(place, max_requests=1, abort_timeout="20s", queue_timeout="20s"))
    with H1(gateway.address()) as client:
        client.request("GET", "/app/x")
        assert entered.acquire(timeout=10)
    with H1(gateway.address()) as client:
        client.request("GET", "/app/x")
        late.set()
        assert client.response().body == b"hello\n"


def test_head_of_many_sizes(place, start, backend, proto):
    """PARAMS over one record and over several."""
    backend.serve = keeping(lambda request: OK_HEAD + str(sum(
        len(value) for name, value in request.pairs if name.startswith("HTTP_X_"))).encode())
    gateway = start(pool_ini(place), head_limit="256K")
    for size in (1, 127, 128, 1000, 16000, 33000):
        headers = [(f"x-{i}", "v" * size) for i in range(3)]
        assert gateway.fetch(proto, "/app/x", headers=headers).body == str(3 * size).encode()


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 3 << 20])
def test_body(place, start, backend, proto, size):
    backend.serve = keeping(echo)
    gateway = start(pool_ini(place))
    data = bytes(i % 251 for i in range(size % 1000)) + b"x" * (size - size % 1000)
    response = gateway.fetch(proto, "/app/x", method="POST", body=data)
    assert response.body == data
    assert backend.requests[-1].params["CONTENT_LENGTH"] == str(size)


@pytest.mark.parametrize("mode, has_length", [("auto", True), ("spool", True),
                                              ("stream", False)])
def test_request_body_modes(place, start, backend, proto, mode, has_length):
    """Unknown length: spooled with its true length, or streamed without one."""
    backend.serve = keeping(echo)
    gateway = start(pool_ini(place).replace(
        "[site main]\n", f"[site main]\nrequest_body = {mode}\n"))
    response = gateway.fetch(proto, "/app/x", method="POST", body=[b"abc" * 100000, b"d"])
    assert response.body == b"abc" * 100000 + b"d"
    length = backend.requests[-1].params.get("CONTENT_LENGTH")
    assert length == ("300001" if has_length else None)


def test_spooled_request_is_complete_before_it_starts(place, start, backend):
    backend.serve = keeping(echo)
    gateway = start(pool_ini(place).replace(
        "[site main]\n", "[site main]\nrequest_body = spool\n"))
    with H1(gateway.address()) as client:
        client.send(b"POST /app/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        for _ in range(20):  # others are served, this one has not reached the application
            assert gateway.get("/app/y").status == 200
        assert all(request.params["PATH_INFO"] == "/y" for request in backend.requests)
        client.send(b"def")
        assert client.response().body == b"abcdef"


def test_several_servers(place, start):
    """connect with two addresses: both are used; one that is down is passed over."""
    with Backend(str(place / "one.sock"), keeping(hello)) as one, \
            Backend(str(place / "two.sock"), keeping(hello)) as two:
        gateway = start(pool_ini(place, max_requests=4, keepalive=0).replace(
            "app.sock", f"one.sock unix:{place}/two.sock"))
        for _ in range(20):
            assert gateway.get("/app/x").status == 200
        assert one.n_accepted and two.n_accepted
        one.close()
        statuses = [gateway.get("/app/x").status for _ in range(20)]
        assert statuses.count(200) >= 10
