"""Ends of HTTP/2 connections, of either side; drains, of HTTP/1.1 too."""
import os
import signal
import socket

import pytest
from hyperframe.frame import GoAwayFrame, WindowUpdateFrame

from lib.client import curl, dial
from lib.frames import H2, NO_ERROR
from lib.h1 import H1
from lib.h2site import client, gateway, proto, slow_site  # noqa: F401
from peers.fcgi import Backend, answer


def test_client_goaway_lets_streams_finish(client):
    number = client.request(path="/big")
    client.send(GoAwayFrame(0, last_stream_id=0, error_code=0))
    assert len(client.response(number).body) == 4 << 20
    assert client.wait_eof()


def test_client_that_half_closes_the_plain_socket(gateway):
    with H2(gateway.address(), tls=False) as client:
        number = client.request(path="/big", scheme="http")
        client.wait(lambda: client.streams[number].has_head)
        client.flow = False
        client.send(WindowUpdateFrame(0, window_increment=1 << 24),
                    WindowUpdateFrame(number, window_increment=1 << 24))
        client.sock.shutdown(socket.SHUT_WR)
        assert len(client.response(number).body) == 4 << 20


def test_drain(place, proto):
    """SIGQUIT: GOAWAY, what is under way finishes, then the connection and all ends."""
    with slow_site(place) as gateway:
        with dial(proto, gateway) as client:
            number = client.request(path="/x")
            assert gateway.entered.acquire(timeout=10)
            os.kill(gateway.pid, signal.SIGQUIT)
            assert client.wait_goaway() == NO_ERROR
            gateway.go.set()
            assert client.response(number).body == b"finished\n"
            assert client.wait_eof()
            assert client.goaway.last_stream_id == number
        gateway.finish()


def test_drain_of_http1(place):
    with slow_site(place) as gateway:
        with H1(gateway.address()) as busy, H1(gateway.address()) as idle:
            gateway.go.set()
            assert idle.fetch("GET", "/x").status == 200
            assert gateway.entered.acquire(timeout=10)
            gateway.go.clear()
            busy.request("GET", "/x")
            assert gateway.entered.acquire(timeout=10)
            os.kill(gateway.pid, signal.SIGQUIT)
            assert idle.closed()
            with pytest.raises(OSError):
                for _ in range(1000):
                    socket.create_connection(gateway.address(), timeout=1).close()
            gateway.go.set()
            response = busy.response()
            assert response.body == b"finished\n"
            assert busy.closed()
        gateway.finish()


@pytest.mark.parametrize("ending", ["data", "trailers"])
def test_upload_cut_short_behind_an_early_answer(client, ending):
    """curl ends its upload short of its Content-Length once it sees an error: the answer is
    whole, and no reset may take it back."""
    number = client.request("POST", "/limited/x", headers=[("content-length", "1000000")],
                            end=False)
    assert client.wait(lambda: client.streams[number].has_head)
    client.send_body(number, b"x" * 20000, end=False)
    if ending == "data":
        client.send_body(number, b"", end=True)
    else:
        client.send(client.headers_frame(number, [("checksum", "none")]))
    assert client.response(number).status == 413
    assert client.ping()
    assert client.streams[number].reset in (None, NO_ERROR)
    assert client.fetch(path="/index.html").status == 200


def test_early_answer_ends_without_the_upload(client):
    """A client that sends nothing more: the answer ends all the same, the reset some time later."""
    number = client.request("POST", "/limited/x", headers=[("content-length", "1000000")],
                            end=False)
    assert client.response(number).status == 413
    assert client.streams[number].reset is None
    assert client.wait(lambda: client.streams[number].reset == NO_ERROR)


@pytest.mark.parametrize("status", [200, 413])
def test_curl_takes_early_answers(place, start, proto, status):
    """An application that answers before it has read the upload, and never reads it."""
    answered = f"Status: {status}\r\nContent-Type: text/plain\r\n\r\n".encode() + b"x" * 3000

    def early(conn):
        request = conn.begin()
        conn.send(answer(request.number, answered))
        conn.wait_end()

    upload = place / "upload"
    upload.write_bytes(b"u" * 1000000)
    with Backend(str(place / "app.sock"), early):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """)
        for _ in range(10):
            response = curl(proto, gateway, "/x", "--data-binary", f"@{upload}")
            assert (response.status, len(response.body)) == (status, 3000)
