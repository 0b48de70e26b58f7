"""A client that goes away, at each stage of its request: what worked for it is ended, its place
is free for the next, and nothing it left lies about."""
import socket
import struct
import threading

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame

from lib import proc
from lib.apps import write_script
from lib.client import dial, is_h2, scheme
from lib.h1 import chunk, render
from lib.spooled import spool_files
from peers.fcgi import ABORT, OK_HEAD, STDIN, STDOUT, Backend, end_request, record

# Each says by $QUERY_STRING, which gets its pid, how far it is.
SCRIPTS = {
    "mid_body": 'head -c 5 >/dev/null\nsay\nexec cat >/dev/null\n',
    "after_body": 'cat >/dev/null\nsay\nexec sleep 1000\n',
    "mid_answer": 'cat >/dev/null\nprintf "Content-Type: text/plain\\n\\nmore\\n"\nsay\n'
                  'while :; do echo more; sleep 0.05; done\n',
}
SAY = '#!/bin/sh\nsay() { echo $$ >"$QUERY_STRING.new"; mv "$QUERY_STRING.new" "$QUERY_STRING"; }\n'
OK = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nok"\n'


class Application:
    """As FastCGI: reached is set when it is as far as the path says, ended holds how it heard
    that the client is gone."""

    def __init__(self):
        self.reached, self.ended = threading.Event(), []

    def __call__(self, conn):
        while True:
            request = conn.begin()
            stage = request.params["PATH_INFO"][1:]
            if stage == "ok":
                conn.stdin(request)
                conn.send(record(STDOUT, request.number, OK_HEAD + b"ok"))
            else:
                how = self.work(conn, request.number, stage)
                self.ended.append(how)
                if how == "closed":
                    return
            conn.send(end_request(request.number))
            if not request.keeps:
                return

    def work(self, conn, number, stage):
        while True:
            kind, _, content = conn.record()
            if kind == STDIN and (stage == "mid_body" or not content):
                break
        if stage == "mid_answer":
            conn.send(record(STDOUT, number, OK_HEAD + b"more\n"))
        self.reached.set()
        return conn.wait_end()


def ini(place):
    return f"""
        [site main]
        root = {place}/public
        [route main /fcgi/]
        pool = app
        [route main /spooled/]
        pool = app
        request_body = spool
        [route main /cgi/]
        pool = scripts
        root = {place}/cgi
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 1
        [pool scripts]
        cgi = on
        max_requests = 1
        """


@pytest.fixture
def gateway(place, start):
    for name, text in SCRIPTS.items():
        write_script(place / "cgi" / name, SAY + text)
    write_script(place / "cgi/ok", OK)
    application = Application()
    with Backend(f"{place}/app.sock", application) as backend:
        gateway = start(ini(place), spool_memory="16K")
        gateway.application, gateway.backend = application, backend
        yield gateway
        assert backend.errors == []


def send_request(client, proto, path, part, whole):
    """A POST of which part has come, or all of it."""
    size = [("Content-Length", str(len(part) + (0 if whole else 10)))]
    if is_h2(proto):
        number = client.request("POST", path, size, scheme=scheme(proto), end=False)
        frame = DataFrame(number, data=part)
        if whole:
            frame.flags.add("END_STREAM")
        client.send(frame)
        return number
    client.send(render("POST", path, size) + part)
    return None


def go_away(client, number, how):
    if how == "reset_stream":
        client.send(RstStreamFrame(number, error_code=8))
        return
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


WAYS = [("h1", "cut"), ("h1s", "cut"), ("h2", "cut"), ("h2", "reset_stream"), ("h2c", "cut"),
        ("h2c", "reset_stream")]


@pytest.mark.threads
@pytest.mark.parametrize("proto, how", WAYS)
@pytest.mark.parametrize("stage", SCRIPTS)
def test_application(gateway, stage, proto, how):
    application = gateway.application
    with dial(proto, gateway) as client:
        number = send_request(client, proto, f"/fcgi/{stage}", b"hello", stage != "mid_body")
        assert application.reached.wait(10)
        assert application.ended == []
        go_away(client, number, how)
        proc.wait_until(lambda: application.ended, 10, "word of it to the application")
    assert application.ended == ["abort"], "FCGI_ABORT_REQUEST, and time to end"
    assert gateway.get("/fcgi/ok").body == b"ok"
    (line,) = gateway.wait_access(f"/fcgi/{stage}")
    assert "pool=app" in line


@pytest.mark.threads
@pytest.mark.parametrize("proto, how", WAYS)
@pytest.mark.parametrize("stage", SCRIPTS)
def test_script(gateway, place, stage, proto, how):
    file = place / "pid"
    with dial(proto, gateway) as client:
        number = send_request(client, proto, f"/cgi/{stage}?{file}", b"hello",
                              stage != "mid_body")
        proc.wait_until(file.exists, 10, "the script")
        pid = int(file.read_text())
        assert proc.alive(pid)
        go_away(client, number, how)
        proc.wait_until(lambda: not proc.alive(pid), 10, "the script's end")
    assert gateway.get("/cgi/ok").body == b"ok"
    (line,) = gateway.wait_access(f"/cgi/{stage}")
    assert "signal=" in line or "exit=" in line


@pytest.mark.parametrize("proto, how", WAYS)
def test_body_that_is_collected(gateway, proto, how):
    """Nobody was asked, and the file is gone."""
    size = 256 << 10
    with dial(proto, gateway) as client:
        number = None
        if is_h2(proto):
            client.wait(lambda: client.peer_settings)
            number = client.request("POST", "/spooled/x", scheme=scheme(proto), end=False)
            client.send_body(number, b"x" * size, end=False)
        else:
            client.send(b"POST /spooled/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                        b"\r\n\r\n" + chunk(b"x" * size))
        proc.wait_until(lambda: sum(spool_files(gateway)) >= size // 2, 10, "a spool file")
        go_away(client, number, how)
        proc.wait_until(lambda: not spool_files(gateway), 10, "the end of the file")
    assert gateway.backend.requests == []
    assert gateway.get("/spooled/ok").body == b"ok"


@pytest.mark.parametrize("proto", ["h1", "h1s", "h2", "h2c"])
def test_head(gateway, proto):
    """Half a head is no request."""
    with dial(proto, gateway) as client:
        if is_h2(proto):
            fields = [(":method", "GET"), (":scheme", scheme(proto)), (":path", "/fcgi/x"),
                      (":authority", "x")]
            number = client.open_stream()
            client.send(client.headers_frame(number, fields, end_headers=False))
        else:
            client.send(b"GET /fcgi/x HTTP/1.1\r\nHost: x\r\n")
        go_away(client, None, "cut")
    assert gateway.get("/fcgi/ok").body == b"ok"
    assert [request.params["PATH_INFO"] for request in gateway.backend.requests] == ["/ok"]
    assert not [line for line in gateway.access_lines() if "/fcgi/x" in line]


def test_application_that_does_not_listen(place, start):
    """It is asked to end and does not: cut off after abort_timeout, and its place is free."""
    reached, cut = threading.Event(), threading.Event()

    def serve(conn):
        request = conn.request()
        if request.params["PATH_INFO"] == "/ok":
            conn.send(record(STDOUT, request.number, OK_HEAD + b"ok") + end_request(request.number))
            return
        reached.set()
        assert conn.record()[0] == ABORT
        if conn.wait_end() == "closed":
            cut.set()

    with Backend(f"{place}/app.sock", serve) as backend:
        gateway = start(ini(place).replace(
            "max_requests = 1", "max_requests = 1\n        abort_timeout = 300ms", 1))
        with dial("h2", gateway) as client:
            number = client.request(path="/fcgi/deaf")
            assert reached.wait(10)
            go_away(client, number, "reset_stream")
            assert gateway.get("/fcgi/ok").body == b"ok"
            assert cut.wait(10)
        assert backend.errors == []
