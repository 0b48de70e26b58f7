"""Windows of uploads: grown where the path is long and the application reads, and only there."""
import signal
import threading

import pytest

from lib import proc
from lib.client import dial, is_tls
from lib.delay import Delay
from lib.frames import H2
from lib.h2site import proto  # noqa: F401
from peers.fcgi import OK_HEAD, Backend, answer, keeping
from test_m_memory import SANITIZED

BASE = 64 << 10
SITE = """
    [site main]
    root = {place}/public
    [route main /]
    pool = app
    [route main /spool/]
    pool = app
    request_body = spool
    [pool app]
    connect = unix:{place}/app.sock
    """


def length(request):
    return OK_HEAD + b"%d" % len(request.body)


class Windows(H2):
    """Notes the most that could have been sent ahead on a stream, also when it first grew."""

    first = largest = 0

    def on_window_update(self, frame):
        super().on_window_update(frame)
        if frame.stream_id in self.streams:
            self.largest = max(self.largest, self.streams[frame.stream_id].send_window)
            if not self.first and self.largest > BASE:
                self.first = self.largest

    HANDLERS = {**H2.HANDLERS}


Windows.HANDLERS[next(kind for kind, fn in H2.HANDLERS.items()
                      if fn is H2.on_window_update)] = Windows.on_window_update


def dial_through(delay, proto):
    client = Windows(("127.0.0.1", delay.port), tls=is_tls(proto))
    assert client.wait(lambda: client.peer_settings)
    return client


def upload(client, path, size, known=True):
    headers = [("content-length", str(size))] if known else []
    number = client.request("POST", path, headers, end=False)
    client.send_body(number, b"x" * size)
    return client.response(number, 60)


@pytest.mark.parametrize("path,known", [("/x", True), ("/x", False), ("/spool/x", True)],
                         ids=["streamed", "unknown", "spooled"])
def test_grows_with_the_path(place, start, proto, path, known):
    with Backend(str(place / "app.sock"), keeping(length)):
        gateway = start(SITE.format(place=place))
        with Delay(gateway.address(is_tls(proto))[1], 30) as delay, \
                dial_through(delay, proto) as client:
            size = 8 << 20
            for _ in range(10):
                assert upload(client, path, size, known).body == str(size).encode()
                if client.largest >= 2 << 20:
                    break
            assert client.largest >= 2 << 20


def test_first_step_is_made_by_the_handshake(place, start):
    """No answer to a PING is there by then; without the handshake 10 ms are taken for the path."""
    with Backend(str(place / "app.sock"), keeping(length)):
        gateway = start(SITE.format(place=place))
        with Delay(gateway.address(True)[1], 50) as delay:
            for _ in range(10):  # a busy machine may not keep up with the path at once
                with dial_through(delay, "h2") as client:
                    assert upload(client, "/x", 32 << 20).body == str(32 << 20).encode()
                if client.first:
                    break
            assert 10 << 20 < client.first <= 16 << 20


def test_keeps_to_the_keys(place, start):
    with Backend(str(place / "app.sock"), keeping(length)):
        gateway = start(SITE.format(place=place), h2_stream_window="128K",
                        h2_stream_window_max="256K")
        with Delay(gateway.address()[1], 20) as delay, dial_through(delay, "h2c") as client:
            for _ in range(10):  # a busy machine may not keep up with the path at once
                assert upload(client, "/x", 4 << 20).body == str(4 << 20).encode()
                if client.largest > 128 << 10:
                    break
            assert 128 << 10 < client.largest <= 256 << 10


def test_budget_is_said(place, start):
    """Who gets less is counted, and the total is kept."""
    with Backend(str(place / "app.sock"), keeping(length)):
        gateway = start(SITE.format(place=place), h2_window_memory="0")
        with dial("h2c", gateway) as client:
            client.wait(lambda: client.peer_settings)
            assert upload(client, "/spool/x", 1 << 20).body == str(1 << 20).encode()
        mark = gateway.mark()
        gateway.stop(how=signal.SIGQUIT)
        assert "h2_window_memory=1" in gateway.log()[mark:]


def test_small_while_nobody_reads(place, start, proto):
    """However long the path: what a client can send to an application that does not read is its
    window and what sockets hold."""
    go = threading.Event()

    def serve(conn):
        request = conn.begin()
        go.wait(30)
        conn.stdin(request)
        conn.send(answer(request.number, OK_HEAD + b"%d" % len(request.body)))

    with Backend(str(place / "app.sock"), serve):
        gateway = start(SITE.format(place=place))
        with Delay(gateway.address(is_tls(proto))[1], 20) as delay, \
                dial_through(delay, proto) as client:
            size = 4 << 20
            number = client.request("POST", "/x", [("content-length", str(size))], end=False)
            sent = client.send_until_stuck(number, size)
            assert sent < 1 << 20, "the gateway took what nobody reads"
            assert client.largest <= BASE
            go.set()
            client.send_body(number, b"x" * (size - sent))
            assert client.response(number, 60).body == str(size).encode()


@pytest.mark.slow
def test_memory_while_nobody_reads(place, start):
    """400 uploads at once to an application that does not read."""
    go = threading.Event()

    def serve(conn):
        conn.begin()
        go.wait(60)

    with Backend(str(place / "app.sock"), serve, backlog=1024):
        gateway = start(SITE.format(place=place) + "max_requests = 1000\n", max_connections=1000)
        clients = [dial("h2c", gateway) for _ in range(20)]
        try:
            before, total = proc.pss(gateway.gateway_pid()), 0
            for client in clients:
                client.wait(lambda: client.peer_settings)
                for _ in range(20):
                    number = client.request("POST", "/x", [("content-length", str(8 << 20))],
                                            end=False)
                    total += client.send_until_stuck(number, 8 << 20)
            took = proc.pss(gateway.gateway_pid()) - before
            print(f"{total >> 10} KiB of 400 uploads came, {took >> 10} KiB more memory")
            if not SANITIZED:
                assert took < 400 * 320 << 10, took
        finally:
            go.set()
            for client in clients:
                client.close()
