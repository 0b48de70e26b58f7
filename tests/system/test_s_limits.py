"""Limits and timeouts, each with a small value: the answer, the log line, and others go on."""
import os
import socket
import threading
import time

import pytest
from hyperframe.frame import DataFrame, SettingsFrame

from lib import proc
from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.h1 import H1, connect, render
from lib.message import Refused, Truncated
from peers.fcgi import OK_HEAD, Backend, answer, echo, keeping


def pool_site(place, site_keys="", **keys):
    write_file(place / "public/index.html", "front\n")
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n{site_keys}[route main /]\n"
            f"root = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = unix:{place}/app.sock\n{lines}")


@pytest.fixture
def backend(place):
    with Backend(str(place / "app.sock"), keeping(echo)) as backend:
        yield backend
        assert backend.errors == []


# ---- body_limit ----

@pytest.mark.parametrize("size, status", [(9999, 200), (10000, 200), (10001, 413),
                                          (1000000, 413)])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_body_limit(place, start, backend, proto, size, status, known):
    gateway = start(pool_site(place, "body_limit = 10000\n"))
    body = b"x" * size
    if not known:
        body = [body[i:i + 4096] for i in range(0, size, 4096)]
    response = gateway.fetch(proto, "/app/x", method="POST", body=body)
    assert response.status == status
    if status == 413:
        assert backend.requests == []
        gateway.wait_log("request body over body_limit")
    else:
        assert len(response.body) == size


def test_body_limit_is_told_before_the_body_is_read(place, start, backend, proto):
    gateway = start(pool_site(place, "body_limit = 10000\n"))
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", "/app/x", [("content-length", "1000000")],
                                    scheme=scheme(proto), end=False)
            assert client.response(number).status == 413
        else:
            client.send(render("POST", "/app/x", [("Content-Length", "1000000")]))
            assert client.response().status == 413


def test_body_limit_zero_is_none(place, start, backend):
    gateway = start(pool_site(place, "body_limit = 0\n"))
    response = gateway.get("/app/x", method="POST", body=b"x" * (4 << 20))
    assert len(response.body) == 4 << 20


# ---- connections ----

def test_max_connections(place, start, backend):
    """Over it none is accepted until one ends; the waiting one is then served."""
    gateway = start(pool_site(place), max_connections=5, idle_timeout="60s")
    held = [H1(gateway.address()) for _ in range(5)]
    for client in held:
        assert client.fetch("GET", "/").status == 200
    with H1(gateway.address()) as waiting:
        waiting.request("GET", "/")
        waiting.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.more()
        waiting.sock.settimeout(15)
        held.pop().close()
        assert waiting.response().status == 200
    for client in held:
        client.close()


def test_descriptor_limit_stops_accepting_before_it_hurts(place, start, backend):
    """With few descriptors, more connections wait; those accepted get whole answers."""
    gateway = start(pool_site(place), prefix=["prlimit", "--nofile=420:420"],
                    user="www-data" if os.geteuid() == 0 else None)
    clients = [H1(gateway.address()) for _ in range(200)]
    served = 0
    for client in clients:
        client.request("POST", "/app/x", (), b"abc")
    for client in clients:
        client.sock.settimeout(10)
        try:
            response = client.response()
            assert (response.status, response.body) == (200, b"abc")
            served += 1
        finally:
            client.close()
    assert served == 200


# ---- timeouts: none may come early, all must come ----

def ended(client, low, high=8):
    """The connection's end, not before low seconds and within high."""
    begin = time.monotonic()
    client.sock.settimeout(high)
    data = client.take_all() if isinstance(client, H1) else b""
    if not isinstance(client, H1):
        assert client.wait_eof(high)
    assert low <= time.monotonic() - begin < high
    return data


@pytest.mark.parametrize("start_bytes", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"],
                         ids=["nothing", "one_byte", "no_end"])
@pytest.mark.parametrize("proto", ["h1", "h1s"])  # HTTP/2's are with the budgets
def test_head_timeout(place, start, proto, start_bytes):
    gateway = start(pool_site(place), head_timeout="500ms", handshake_timeout="5s",
                    idle_timeout="30s")
    with dial(proto, gateway) as client:
        client.send(start_bytes)
        data = ended(client, 0.3)
        if len(start_bytes) > 1:
            assert data.startswith(b"HTTP/1.1 408 ")
    assert gateway.get("/").status == 200


def test_head_that_trickles_is_timed_out(place, start):
    """Slowloris: a byte now and then does not move the limit."""
    gateway = start(pool_site(place), head_timeout="800ms")
    with H1(gateway.address()) as client:
        begin = time.monotonic()
        client.sock.settimeout(0.05)
        client.send(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises((OSError, Refused)):
            while time.monotonic() - begin < 8:
                client.send(b"y")
                try:
                    if not client.more():
                        raise Refused()
                except TimeoutError:
                    pass
        assert time.monotonic() - begin < 8


def test_idle_timeout(place, start, proto):
    gateway = start(pool_site(place), idle_timeout="500ms")
    with dial(proto, gateway) as client:
        if is_h2(proto):
            assert client.fetch(scheme=scheme(proto)).status == 200
            ended(client, 0.3)
            assert client.goaway is not None and client.goaway.error_code == 0
        else:
            assert client.fetch("GET", "/").status == 200
            assert ended(client, 0.3) == b""


def test_body_timeout(place, start, backend, proto):
    gateway = start(pool_site(place), body_timeout="500ms")
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", "/app/x", [("content-length", "10")],
                                    scheme=scheme(proto), end=False)
            client.send(DataFrame(number, data=b"abc"))
            try:
                assert client.response(number).status in (200, 408)
            except (Refused, Truncated):
                pass
            assert client.fetch(scheme=scheme(proto)).status == 200, "the connection goes on"
        else:
            client.send(render("POST", "/app/x", [("Content-Length", "10")]) + b"abc")
            data = ended(client, 0.3)
            assert data == b"" or data.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 200 "))
    gateway.wait_log("request body stopped arriving")


def test_handshake_timeout(place, start):
    gateway = start(pool_site(place), handshake_timeout="500ms", head_timeout="30s")
    with socket.create_connection(gateway.address(tls=True), timeout=8) as sock:
        begin = time.monotonic()
        assert sock.recv(1) == b""
        assert 0.3 <= time.monotonic() - begin < 8


def test_write_timeout(place, start, proto):
    """A client that takes nothing is cut; one that takes little now and then is not."""
    write_file(place / "public/big", b"x" * (32 << 20))
    gateway = start(pool_site(place), write_timeout="700ms", idle_timeout="30s")
    with dial(proto, gateway, rcvbuf=4096) as client:
        if is_h2(proto):
            settings = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 30})
            from hyperframe.frame import WindowUpdateFrame
            client.send(settings, WindowUpdateFrame(0, window_increment=1 << 30))
            client.request(path="/big", scheme=scheme(proto))
        else:
            client.request("GET", "/big")
        gateway.wait_log("client stopped reading")
    gateway.wait_access("/big")


def test_slow_reader_is_not_cut(place, start):
    """Progress every 100 ms for longer than write_timeout."""
    write_file(place / "public/big", b"x" * (8 << 20))
    gateway = start(pool_site(place), write_timeout="700ms")
    sock = connect(gateway.address(), rcvbuf=4096)
    with sock:
        sock.sendall(render("GET", "/big", [("Connection", "close")]))
        begin, total = time.monotonic(), 0
        while piece := sock.recv(65536):
            total += len(piece)
            if time.monotonic() - begin < 2:
                time.sleep(0.1)  # the reader is what is slow here
        assert total > 8 << 20


def test_queue_and_pool_timeouts_have_their_statuses(place, start, backend):
    backend.serve = lambda conn: conn.request() and conn.wait_end()
    gateway = start(pool_site(place, max_requests=1, queue=4, queue_timeout="300ms",
                              first_byte_timeout="1s", abort_timeout="200ms"))
    statuses = []

    def one():
        statuses.append(gateway.get("/app/x").status)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [503, 503, 504]


def test_memory_of_unread_pipelines_is_bounded(place, start):
    """Ten thousand pipelined requests and no reading: input pauses, memory stays."""
    gateway = start(pool_site(place))
    gateway.get("/")
    before = proc.pss(gateway.gateway_pid())
    with H1(gateway.address(), rcvbuf=4096) as client:
        client.sock.settimeout(0.5)
        data = render("GET", "/") * 20000
        try:
            client.send(data)
        except TimeoutError:
            pass
        assert proc.pss(gateway.gateway_pid()) - before < 8 << 20
    assert gateway.get("/").status == 200


def test_answer_of_an_application_survives_its_close(place, start, backend):
    """The last records and the close come together: nothing of the body is lost."""
    data = os.urandom(1 << 20)

    def serve(conn):
        request = conn.request()
        conn.send(answer(request.number, OK_HEAD + data))

    backend.serve = serve
    gateway = start(pool_site(place))
    for proto in ("h1", "h2"):
        for _ in range(10):
            assert gateway.fetch(proto, "/app/x").body == data
