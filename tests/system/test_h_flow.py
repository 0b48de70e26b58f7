"""HTTP/2 flow control: both windows are kept to, and no credit is lost."""
import threading

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from lib.client import dial
from lib.frames import CANCEL, FLOW_CONTROL_ERROR
from lib.h2site import INDEX, client, gateway, proto  # noqa: F401
from lib.message import Refused, Truncated
from peers.fcgi import OK_HEAD, Backend, answer


@pytest.mark.parametrize("window", [1, 100, 16384, 65535, 1 << 20])
def test_response_keeps_to_the_stream_window(gateway, proto, window):
    if window == 1:
        path, size = "/", len(INDEX)
    else:
        path, size = "/big", 4 << 20
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: window}
    with dial(proto, gateway, settings=settings, flow=False) as client:
        number = client.request(path=path)
        granted = min(window, 65535)
        client.send(WindowUpdateFrame(0, window_increment=1 << 30))
        granted = window
        while not client.streams[number].ended and granted < 40 * window:
            assert client.wait(lambda: len(client.body_so_far(number)) >= min(granted, size))
            assert client.ping()  # nothing more is under way
            assert len(client.body_so_far(number)) <= granted
            client.send(WindowUpdateFrame(number, window_increment=window))
            granted += window
        client.flow = True
        client.send(WindowUpdateFrame(number, window_increment=1 << 24))
        assert len(client.response(number).body) == size


def test_response_keeps_to_the_connection_window(gateway, proto):
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 24}
    with dial(proto, gateway, settings=settings, flow=False) as client:
        one, two = client.request(path="/big"), client.request(path="/big")

        def total():
            return len(client.body_so_far(one)) + len(client.body_so_far(two))

        assert client.wait(lambda: total() >= 65535)
        assert client.ping()
        assert total() == 65535
        client.send(WindowUpdateFrame(0, window_increment=1 << 24))
        assert len(client.response(one).body) == len(client.response(two).body) == 4 << 20


def test_window_zero_then_open(gateway, proto):
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 0}
    with dial(proto, gateway, settings=settings) as client:
        number = client.request()
        assert client.wait(lambda: client.streams[number].has_head)
        assert client.ping()
        assert client.body_so_far(number) == b""
        client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65535}))
        assert client.response(number).body == INDEX


def test_window_made_negative(gateway, proto):
    """RFC 9113 6.9.2: a smaller INITIAL_WINDOW_SIZE counts for open streams too."""
    with dial(proto, gateway, flow=False) as client:
        client.send(WindowUpdateFrame(0, window_increment=1 << 24))
        number = client.request(path="/big")
        assert client.wait(lambda: len(client.body_so_far(number)) == 65535)
        client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0}))
        client.send(WindowUpdateFrame(number, window_increment=65535))  # back to 0
        assert client.ping()
        assert len(client.body_so_far(number)) == 65535
        client.send(WindowUpdateFrame(number, window_increment=1 << 24))
        assert len(client.response(number).body) == 4 << 20


def test_upload_is_held_to_the_window(place, start, proto):
    """An application that does not read stops the client: memory stays bounded."""
    go = threading.Event()

    def serve(conn):
        request = conn.begin()
        go.wait(20)
        conn.stdin(request)
        conn.send(answer(request.number, OK_HEAD + b"%d" % len(request.body)))

    with Backend(str(place / "app.sock"), serve):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """)
        size = 16 << 20
        with dial(proto, gateway) as client:
            client.wait(lambda: client.peer_settings)
            number = client.request("POST", "/x", [("content-length", str(size))], end=False)
            sent = client.send_until_stuck(number, size)
            assert sent < 4 << 20, "the gateway took what nobody reads"
            go.set()
            client.send_body(number, b"x" * (size - sent))
            assert client.response(number, 60).body == str(size).encode()


def test_credit_of_refused_bodies_is_given_back(client):
    """Bodies that nobody reads (404, 413, reset) must not eat the connection's window."""
    client.wait(lambda: client.peer_settings)
    for i in range(60):
        path = ("/nowhere", "/limited/x")[i % 2]
        number = client.request("POST", path, end=False)
        client.send_body(number, b"x" * 60000)
        if i % 3 == 0:
            client.send(RstStreamFrame(number, error_code=CANCEL))
        else:
            try:
                assert client.response(number).status in (404, 405, 200)
            except (Refused, Truncated):
                pass
    number = client.request("POST", "/app/x", [], b"y" * 200000)
    assert len(client.response(number).body) > 200000


def test_upload_over_the_window_is_a_flow_control_error(place, start, proto):
    """Nobody reads the body, so no window that the gateway ever gives holds 32 MiB of it."""
    go = threading.Event()

    def serve(conn):
        conn.begin()
        go.wait(20)

    with Backend(str(place / "app.sock"), serve):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            request_body = stream
            [pool app]
            connect = unix:{place}/app.sock
            """)
        with dial(proto, gateway) as client:
            client.wait(lambda: client.peer_settings)
            number = client.request("POST", "/x", [("content-length", "90000000")], end=False)
            for _ in range(2048):
                if not client.try_send(DataFrame(number, data=b"x" * 16384)):
                    break
            client.wait(lambda: client.goaway or client.streams[number].reset is not None)
            code = client.goaway.error_code if client.goaway else client.streams[number].reset
            assert code == FLOW_CONTROL_ERROR
            go.set()
