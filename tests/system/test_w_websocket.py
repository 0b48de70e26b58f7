"""websocket = on: Upgrade over HTTP/1.1 and extended CONNECT over HTTP/2 to an application."""
import contextlib
import os
import signal
import subprocess
import threading

import pytest

from lib import proc
from lib.apps import app, need, write_file, write_script
from lib.client import dial
from lib.gateway import Gateway, refused
from lib.h1 import H1
from lib.websocket import (ACCEPT, BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame,
                           handshake)
from peers.fcgi import STDIN, STDOUT, Backend, end_request, record

PROTOCOLS = ("h1", "h1s", "h2", "h2c")
H1S, H2S = ("h1", "h1s"), ("h2", "h2c")
SANITIZED = bool(os.environ.get("H2CGI_SAN"))  # freed memory is kept then

# Makes its own answer and frames, without a library.
SCRIPT = r"""#!/usr/bin/python3
import base64, hashlib, os, sys
env, inp, out = os.environ, sys.stdin.buffer, sys.stdout.buffer
def say(data):
    out.write(data)
    out.flush()
if env.get("HTTP_UPGRADE") != "websocket":
    say(b"Content-Type: text/plain\r\n\r\nno WebSocket")
    sys.exit()
accept = base64.b64encode(hashlib.sha1(
    (env["HTTP_SEC_WEBSOCKET_KEY"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
line = b"HTTP/1.1 101 Switching Protocols" if "nph" in env["QUERY_STRING"] else b"Status: 101"
say(line + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept
    + b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
while len(head := inp.read(2)) == 2:
    n, mask = head[1] & 127, inp.read(4)
    data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(inp.read(n)))
    if data == b"env":
        data = "\n".join(f"{k}={v}" for k, v in sorted(env.items()) if k in (
            "REQUEST_METHOD", "SERVER_PROTOCOL", "HTTP_UPGRADE", "HTTP_CONNECTION",
            "HTTP_SEC_WEBSOCKET_VERSION", "HTTP_SEC_WEBSOCKET_PROTOCOL", "CONTENT_LENGTH",
            "HTTP_ORIGIN", "QUERY_STRING", "PATH_INFO")).encode()
        say(bytes([0x81, 126]) + len(data).to_bytes(2, "big") + data)
        continue
    say(bytes([head[0], n]) + data)
    if head[0] & 15 == 8:
        break
open(env["MARKS"] + "/ended-" + env["QUERY_STRING"], "w").close()
"""


class Scripted:
    """serve of a FastCGI application: answers with head, then does what a test says."""

    def __init__(self):
        self.head = b"Status: 101\r\n\r\n"
        self.then = lambda conn, request: None

    def __call__(self, conn):
        request = conn.begin()
        conn.send(record(STDOUT, request.number, self.head))
        self.then(conn, request)
        conn.send(end_request(request.number))
        if not request.keeps:
            return
        conn.wait_end()


def stdin_piece(conn):
    kind, _, content = conn.record()
    assert kind == STDIN, kind
    return content


@pytest.fixture(scope="module")
def backend(module_place):
    with Backend(str(module_place / "app.sock"), Scripted()) as found:
        yield found
        assert not found.errors


@pytest.fixture
def scripted(backend):
    backend.serve = Scripted()
    return backend.serve


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    write_file(place / "public/file", b"file")
    write_file(place / "passwords", b"")
    (place / "marks").mkdir()
    (place / "marks").chmod(0o777)
    write_script(place / "cgi/echo", SCRIPT)
    # by a shell: a machine under load may take a second to start python
    write_script(place / "cgi/raw", "#!/bin/sh\nprintf 'Status: 101\\r\\n\\r\\n'\nexec cat\n")
    ini = f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        websocket = on
        [route main /echo]
        pool = echo
        websocket = on
        [route main /plain]
        pool = echo
        [route main /hasty/]
        pool = hasty
        websocket = on
        [route main /private/]
        pool = app
        websocket = on
        auth = basic
        auth_file = {place}/passwords
        [route main /moved]
        redirect = /echo
        [route main /cgi/]
        root = {place}/cgi
        pool = cgi
        websocket = on
        env.MARKS = {place}/marks
        [route main /short/]
        pool = app
        websocket = on
        websocket_timeout = 300ms
        [route main /few/]
        pool = app
        websocket = on
        requests_at_once = 1
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 1200
        keepalive = 0
        [pool hasty]
        connect = unix:{place}/app.sock
        keepalive = 0
        read_timeout = 1s
        timeout = 1s
        [pool echo]
        spawn = {app("websocket")} --threads 8
        requests_per_process = 8
        [route main /brief/]
        root = {place}/cgi
        pool = brief
        websocket = on
        [pool cgi]
        cgi = on
        [pool brief]
        cgi = on
        timeout = 1s
        """
    with Gateway(place, ini, body_timeout="300ms", write_timeout="30s") as gateway:
        yield gateway


# ---- it works ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_fastcgi_echo(gateway, proto):
    with WebSocket(proto, gateway, f"/echo?{proto}.") as ws:
        assert ws.is_open
        if proto in H1S:
            assert ws.response.get("sec-websocket-accept") == ACCEPT
            assert ws.response.get("upgrade") == "websocket"
            assert ws.response.all("connection") == ["Upgrade"]
        else:
            assert not [name for name, _ in ws.response.headers if name in (
                "sec-websocket-accept", "upgrade", "connection", "content-length")]
        assert ws.echo(b"hello") == (TEXT, b"hello")
        assert ws.echo(b"x" * 100000, BINARY) == (BINARY, b"x" * 100000)
        assert ws.echo(b"ping", PING) == (PONG, b"ping")
        assert ws.echo(b"\x03\xe8", CLOSE) == (CLOSE, b"\x03\xe8")
        assert ws.ended()
    line, = gateway.wait_access(rf"/echo\?{proto}\.")
    wanted = '"GET /echo?{}. HTTP/1.1" 101 1' if proto in H1S else '"CONNECT /echo?{}. HTTP/2" 200 1'
    assert wanted.format(proto) in line


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("query", ["", "nph"])
def test_cgi_echo(gateway, proto, query):
    name = f"ended-{query}&{proto}"
    fields = [("Sec-WebSocket-Protocol", "chat"), ("Origin", "https://localhost")]
    with WebSocket(proto, gateway, f"/cgi/echo?{query}&{proto}", fields) as ws:
        assert ws.is_open
        assert ws.response.get("sec-websocket-protocol") == "chat"
        assert not ws.response.get("x-accel-buffering")
        assert ws.echo(b"hello") == (TEXT, b"hello")
        env = ws.echo(b"env")[1].decode().split("\n")
        assert env == ["HTTP_CONNECTION=Upgrade", "HTTP_ORIGIN=https://localhost",
                       "HTTP_SEC_WEBSOCKET_PROTOCOL=chat", "HTTP_SEC_WEBSOCKET_VERSION=13",
                       "HTTP_UPGRADE=websocket", f"QUERY_STRING={query}&{proto}",
                       "REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1"]
        ws.end()
        proc.wait_until((gateway.place / "marks" / name).exists, 10, "the script's end")
        assert ws.ended()


@pytest.mark.parametrize("proto", ("h1", "h2"))
def test_outlives_the_times_of_requests(gateway, scripted, proto):
    """body_timeout is 300 ms, read_timeout and timeout of the pool are 1 s."""
    held = threading.Event()
    scripted.then = lambda conn, request: held.wait(30)
    with WebSocket(proto, gateway, "/hasty/x") as ws:
        assert ws.is_open
        ws.client.sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            while proto in H2S and ws.client.frame():  # SETTINGS and their like
                pass
            ws.client.sock.recv(1)
        held.set()
        ws.client.sock.settimeout(15)
        assert ws.ended()


def test_script_outlives_its_pools_timeout(gateway):
    with WebSocket("h1", gateway, "/brief/raw") as ws:
        ws.client.sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            ws.client.sock.recv(1)
        ws.client.sock.settimeout(15)
        ws.send(b"there")
        assert ws.take(5) == b"there"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_without_upgrade_it_is_a_request(gateway, proto):
    assert gateway.fetch(proto, "/echo").body == b"an echo over WebSocket\n"


# ---- who ends what ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_client_ends_first(gateway, scripted, proto):
    def then(conn, request):
        parts = []
        while piece := stdin_piece(conn):
            parts.append(piece)
        conn.send(record(STDOUT, request.number, b"got " + b"".join(parts)))
    scripted.then = then
    with WebSocket(proto, gateway, "/app/x") as ws:
        ws.send(b"all")
        ws.end()
        assert ws.take(7) == b"got all"
        assert ws.ended()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_application_ends_first(gateway, scripted, proto):
    scripted.then = lambda conn, request: conn.send(record(STDOUT, request.number, b"bye"))
    with WebSocket(proto, gateway, "/app/x") as ws:
        assert ws.take(3) == b"bye"
        assert ws.ended()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_head_and_bytes_in_one_record(gateway, scripted, proto):
    scripted.head = b"Status: 101 Switching\r\n\r\nraw\0"
    with WebSocket(proto, gateway, "/app/x") as ws:
        assert ws.take(4) == b"raw\0"
        assert ws.ended()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_bytes_before_the_answer(gateway, backend, scripted, proto):
    """RFC 6455 4.1 wants the client to wait; what comes early is not a request, nor lost."""
    came = threading.Event()
    seen = []

    def serve(conn):
        request = conn.begin()
        assert came.wait(20)
        conn.send(record(STDOUT, request.number, b"Status: 101\r\n\r\n"))
        while sum(map(len, seen)) < 5:
            seen.append(stdin_piece(conn))
        conn.send(record(STDOUT, request.number, b"done") + end_request(request.number))
    backend.serve = serve
    threading.Timer(0.1, came.set).start()
    with WebSocket(proto, gateway, "/app/x", early=b"early") as ws:
        assert ws.take(4) == b"done"
        assert b"".join(seen) == b"early"
        assert ws.ended()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_client_goes(gateway, scripted, proto):
    """A reset stream, or a connection that is cut: the application is aborted, or hears the end."""
    how = []

    def then(conn, request):
        while True:
            kind, _, content = conn.record()
            if kind != STDIN or not content:
                how.append(kind)
                return
    scripted.then = then
    with WebSocket(proto, gateway, "/app/x") as ws:
        ws.say(b"x")
        ws.cut()
        proc.wait_until(lambda: how, 10, "the application's end")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_application_breaks_off(gateway, backend, proto):
    def serve(conn):
        request = conn.begin()
        conn.send(record(STDOUT, request.number, b"Status: 101\r\n\r\nhalf"))
        stdin_piece(conn)
    backend.serve = serve
    with WebSocket(proto, gateway, "/app/x") as ws:
        assert ws.take(4) == b"half"
        ws.say(b"x")
        if proto in H2S:
            assert ws.client.wait(lambda: ws.stream.reset is not None)
        else:
            assert ws.client.closed()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_idle(gateway, scripted, proto):
    since = gateway.mark()
    scripted.then = lambda conn, request: conn.wait_end()
    with WebSocket(proto, gateway, "/short/x") as ws:
        assert ws.is_open
        gateway.wait_log(r"WebSocket idle.*websocket_timeout=300ms", since)
        if proto in H2S:
            assert ws.client.wait(lambda: ws.stream.reset is not None)
            assert ws.client.fetch("GET", "/file").status == 200
        else:
            assert ws.client.closed()


def test_write_timeout_is_not_for_silence(start, place):
    """One who takes nothing of what waits for him is cut off; a WebSocket for which nothing waits
    outlives him."""
    with open(write_file(place / "public/big", b""), "r+b") as big:
        big.truncate(64 << 20)
    gateway = start(f"""
        [site main]
        root = {place}/public
        [route main /echo]
        pool = echo
        websocket = on
        [pool echo]
        spawn = {app("websocket")} --threads 8
        requests_per_process = 8
        """, write_timeout="300ms")
    with WebSocket("h1", gateway, "/echo") as one, WebSocket("h2", gateway, "/echo") as two:
        with H1(gateway.address()) as late:
            late.send(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
            gateway.wait_log("write_timeout=300ms")
        for ws in (one, two):
            assert ws.echo(b"still here") == (TEXT, b"still here")


@pytest.mark.parametrize("proto", ("h1", "h2"))
def test_password_comes_first(gateway, proto):
    with WebSocket(proto, gateway, "/private/x") as ws:
        assert ws.response.status == 401
        assert ws.response.get("www-authenticate")


def test_limit_counts_them(gateway, scripted):
    scripted.then = lambda conn, request: conn.wait_end()
    with WebSocket("h1", gateway, "/few/x") as first:
        assert first.is_open
        for proto in ("h1", "h2"):
            with WebSocket(proto, gateway, "/few/x") as second:
                assert second.response.status == 429


# ---- other answers ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("status", [200, 204, 302, 403, 500])
def test_application_refuses(gateway, scripted, proto, status):
    scripted.head = (f"Status: {status}\r\nContent-Type: text/plain\r\nLocation: /x\r\n\r\n"
                     + ("" if status == 204 else "no")).encode()
    ended = []
    scripted.then = lambda conn, request: ended.append(stdin_piece(conn))
    with WebSocket(proto, gateway, "/app/x", early=b"") as ws:
        if proto in H2S:
            response = ws.client.response(ws.number)
        else:
            response = ws.response
        assert (response.status, response.body) == (status, b"" if status == 204 else b"no")
        proc.wait_until(lambda: ended == [b""], 10, "the end of STDIN")
        if proto in H1S and status != 204:
            assert ws.client.fetch("GET", "/file").body == b"file"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_answer_to_another_key(gateway, scripted, proto):
    scripted.head = b"Status: 101\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
    with WebSocket(proto, gateway, "/app/x") as ws:
        assert ws.response.status == 502


@pytest.mark.parametrize("proto", H1S)
@pytest.mark.parametrize("path", ["/plain", "/file"])
def test_upgrade_is_passed_over(gateway, proto, path):
    """RFC 9110 7.8: where it is not on, an ordinary request."""
    with dial(proto, gateway) as client:
        assert client.fetch("GET", path, handshake()).status == 200


@pytest.mark.parametrize("proto", H2S)
@pytest.mark.parametrize("path, status", [("/plain", 405), ("/file", 405), ("/none", 404),
                                          ("/moved", 302)])
def test_connect_elsewhere(gateway, proto, path, status):
    with WebSocket(proto, gateway, path) as ws:
        assert ws.response.status == status
        ws.client.response(ws.number)


# ---- flow control ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_application_that_does_not_read(gateway, scripted, proto):
    """What is sent ahead is bounded, and arrives."""
    go, sums = threading.Event(), []

    def then(conn, request):
        assert go.wait(60)
        total = 0
        while piece := stdin_piece(conn):
            total += len(piece)
        sums.append(total)
    scripted.then = then
    with WebSocket(proto, gateway, "/app/x") as ws:
        if proto in H2S:
            sent = ws.client.send_until_stuck(ws.number, 64 << 20)
        else:
            sent, piece = 0, b"x" * 65536
            ws.client.sock.settimeout(0.3)
            try:
                while sent < 64 << 20:
                    sent += ws.client.sock.send(piece)
            except OSError:
                pass
            ws.client.sock.settimeout(30)
        assert sent < 16 << 20
        go.set()
        if proto in H2S:
            ws.client.send_body(ws.number, b"", end=True)
        else:
            ws.end()
        assert ws.ended()
        assert sums == [sent] or proto == "h1s" and sums[0] >= sent


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_client_that_does_not_read(gateway, scripted, proto):
    """The application is held up, its bytes are not kept anywhere."""
    n = [0]
    size = 32 << 20

    def then(conn, request):
        piece = record(STDOUT, request.number, b"y" * 32768)
        while n[0] < size:
            conn.send(piece)
            n[0] += 32768
    scripted.then = then
    with WebSocket(proto, gateway, "/app/x", **({"flow": False} if proto in H2S else {})) as ws:
        last = -1

        def stands():
            nonlocal last
            before, last = last, n[0]
            return before == last and last
        proc.wait_until(stands, 30, "the application to be held up", every=0.25)
        assert n[0] < size
        ws.cut()


@pytest.mark.slow
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_echo_of_64_mib(gateway, proto):
    """Both ways at once, in memory that does not depend on how much it is."""
    size, piece = 64 << 20, b"0123456789abcdef" * 4096
    pid = gateway.gateway_pid()
    with WebSocket(proto, gateway, "/echo") as ws:
        assert ws.echo(b"warm") == (TEXT, b"warm")
        before, most, got = proc.pss(pid), 0, 0
        head = frame(BINARY, b"", mask=b"\0\0\0\0")[:1] + b"\xff" + size.to_bytes(8, "big")
        ws.send(head + b"\0\0\0\0")
        assert ws.take(10) == head[:1] + b"\x7f" + size.to_bytes(8, "big")
        ahead = 16 * len(piece)
        sent = 0
        while got < size:
            while sent < size and sent - got < ahead:
                ws.send(piece)
                sent += len(piece)
            assert ws.take(len(piece)) == piece
            got += len(piece)
            if got % (8 << 20) == 0:
                most = max(most, proc.pss(pid))
    assert SANITIZED or most - before < 12 << 20, (before, most)


@pytest.mark.slow
def test_a_thousand_at_once(gateway, scripted):
    """Idle ones cost little, and none of them is forgotten."""
    scripted.then = lambda conn, request: conn.send(
        record(STDOUT, request.number, stdin_piece(conn)))
    pid = gateway.gateway_pid()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(dial("h2", gateway)) for _ in range(5)]
        before = proc.pss(pid)
        those = [stack.enter_context(WebSocket("h1", gateway, "/app/x")) for _ in range(500)]
        those += [stack.enter_context(WebSocket("h2", gateway, "/app/x", client=client))
                  for client in clients for _ in range(100)]
        assert all(ws.is_open for ws in those)
        assert SANITIZED or proc.pss(pid) - before < 64 << 20
        for i, ws in enumerate(those):
            ws.send(b"%04d" % i)
        for i, ws in enumerate(those):
            assert ws.take(4) == b"%04d" % i
            assert ws.h2 or ws.ended()


# ---- drain ----

def test_drain_ends_them(start, place):
    """SIGQUIT: the application hears the end at half of drain_timeout, and says its last words."""
    heard = threading.Event()

    def serve(conn):
        request = conn.begin()
        conn.send(record(STDOUT, request.number, b"Status: 101\r\n\r\n"))
        while stdin_piece(conn):
            pass
        heard.set()
        conn.send(record(STDOUT, request.number, b"bye") + end_request(request.number))
    with Backend(str(place / "app.sock"), serve):
        gateway = start(f"""
            [site main]
            [route main /]
            pool = app
            websocket = on
            [pool app]
            connect = unix:{place}/app.sock
            """, drain_timeout="2s", head_timeout="1s")
        with WebSocket("h1", gateway, "/x") as one, WebSocket("h2", gateway, "/x") as two:
            one.say(b"x")
            two.say(b"x")
            os.kill(gateway.pid, signal.SIGQUIT)
            for ws in (one, two):
                assert ws.take(3) == b"bye"
                assert ws.ended()
            assert heard.is_set()
            gateway.finish()


# ---- clients as they are ----

NODE = r"""
const WebSocket = require("ws");
const ws = new WebSocket(process.argv[1], {rejectUnauthorized: false});
const big = Buffer.alloc(1 << 20, "x");
const seen = [];
ws.on("open", () => { ws.send("hello"); ws.send(big); ws.ping("there"); });
ws.on("message", (data, binary) => seen.push(binary ? data.equals(big) : data.toString()));
ws.on("pong", (data) => { seen.push("pong " + data); ws.close(1000, "enough"); });
ws.on("close", (code, reason) => console.log(JSON.stringify([...seen, code, "" + reason])));
ws.on("error", (error) => console.log("error: " + error.message));
"""


@pytest.mark.parametrize("proto", H1S)
def test_node_ws(gateway, proto):
    need("node")
    url = gateway.url(proto, "/echo").replace("http", "ws")
    run = subprocess.run(["node", "-e", NODE, url], capture_output=True, text=True, timeout=60,
                         env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})
    assert run.stdout == '["hello",true,"pong there",1000,"enough"]\n', run.stdout + run.stderr


PAGE = """<!doctype html><title>WebSocket</title><script>
const ws = new WebSocket(`wss://${location.host}/echo?chromium`);
ws.onopen = () => ws.send("over-" + performance.getEntriesByType("navigation")[0].nextHopProtocol);
ws.onmessage = (event) => { fetch("/file?echo-" + event.data); ws.close(1000); };
</script>"""


@pytest.mark.slow
def test_chromium_over_h2(gateway):
    """The page tells what it heard by asking for a file."""
    need("chromium")
    write_file(gateway.place / "public/page.html", PAGE.encode())
    url = f"https://localhost:{gateway.ports['https']}/page.html"
    with open(gateway.place / "chromium.log", "wb") as log:
        browser = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--ignore-certificate-errors", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-port=0",
             f"--user-data-dir={gateway.place}/chromium", url], stdout=log, stderr=log)
        try:
            gateway.wait_access(r'"GET /file\?echo-over-h2 HTTP/2" 200', timeout=100)
            gateway.wait_access(r'"CONNECT /echo\?chromium HTTP/2" 200 ', timeout=20)
        finally:
            browser.terminate()
            browser.wait(20)


# ---- the configuration ----

@pytest.mark.parametrize("line, complaint", [
    ("websocket = on", '"websocket" has no meaning in a route'),
    ("websocket_timeout = 5m", '"websocket_timeout" has no meaning in a route'),
    ("pool = app\nwebsocket = yes", "websocket"),
    ("pool = app\nwebsocket_timeout = 0", "websocket_timeout"),
])
def test_bad_configuration(place, line, complaint):
    assert complaint in refused(place, f"[route main /x/]\n{line}",
                                "[pool app]\nconnect = unix:/x.sock\n")
