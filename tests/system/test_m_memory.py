"""Big bodies with little memory; descriptors, threads and memory after many connections.

The figures hold for the plain build; under a sanitizer only the results are looked at.
"""
import hashlib
import os
import socket
import subprocess
import threading
import time
from collections import Counter

import pytest

from lib import proc
from lib.apps import app, need, write_file, write_script
from lib.client import CURL_ARGS, dial, is_h2, scheme
from lib.h1 import H1, connect, render

MIB = 1 << 20
HEAVY = 256 * MIB
GIANT = 1024 * MIB
ALLOWED = 32 * MIB
SANITIZED = bool(os.environ.get("H2CGI_SAN"))
PROTOCOLS = ("h1", "h1s", "h2", "h2c")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def digest_of(byte_blocks):
    made = hashlib.sha256()
    for block in byte_blocks:
        made.update(block)
    return made.hexdigest()


BLOCK = bytes(range(251)) * 261  # 65511 bytes


def source_file(place, size):
    """A file of size bytes and its digest."""
    path, left, made = place / "upload", size, hashlib.sha256()
    with open(path, "wb") as f:
        while left:
            block = BLOCK[:left]
            f.write(block)
            made.update(block)
            left -= len(block)
    return path, made.hexdigest()


class Watch:
    """The highest PSS of the gateway process while it is open."""

    def __init__(self, gateway):
        self.pid = gateway.gateway_pid()
        self.idle = self.most = proc.pss(self.pid)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, proc.pss(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def check(self, allowed=ALLOWED):
        above = self.most - self.idle
        print(f"idle {self.idle / MIB:.1f} MiB, most {self.most / MIB:.1f} MiB")
        if not SANITIZED:
            assert above < allowed, f"{above / MIB:.1f} MiB above idle"


def start_gateway(place, start, **keys):
    write_script(place / "cgi/sum", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                 "sha256sum\n")
    write_script(place / "cgi/cat", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                 "exec cat\n")
    write_script(place / "cgi/down", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                 "exec head -c $QUERY_STRING /dev/zero\n")
    write_script(place / "cgi/unread", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                 f"while [ ! -e {place}/go ]; do sleep 0.05; done\necho not read\n")
    write_file(place / "public/index.html", "front\n")
    return start(f"""
        [site main]
        root = {place}/public
        [route main /]
        root = {place}/public
        [route main /cgi/]
        pool = scripts
        root = {place}/cgi
        [route main /fcgi/echo/]
        pool = echo
        [route main /fcgi/sink/]
        pool = sink
        [route main /fcgi/download/]
        pool = download
        [pool scripts]
        cgi = on
        max_requests = 2
        timeout = 300s
        [pool echo]
        spawn = {app('echo')}
        [pool sink]
        spawn = {app('sink')}
        [pool download]
        spawn = {app('download')}
        """, body_timeout="120s", write_timeout="120s", **keys)


@pytest.fixture
def gateway(place, start):
    return start_gateway(place, start)


def curl_to_digest(gateway, proto, path, *args):
    """SHA-256 and size of what curl gets."""
    run = subprocess.Popen(
        [need("curl"), "-sS", "-k", "-f", "--max-time", "300", *CURL_ARGS[proto], *args,
         gateway.url(proto, path)], stdout=subprocess.PIPE)
    made, size = hashlib.sha256(), 0
    while block := run.stdout.read(1 << 16):
        made.update(block)
        size += len(block)
    assert run.wait(10) == 0
    return made.hexdigest(), size


def sizes():
    return [pytest.param(24 * MIB, id="24M"),
            pytest.param(HEAVY, id="256M", marks=pytest.mark.heavy)]


def expected_download(size):
    block = bytes(i % 251 for i in range(65536))
    return digest_of([block] * (size // 65536) + [block[:size % 65536]])


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("size", sizes())
def test_download(gateway, proto, size):
    with Watch(gateway) as watch:
        assert curl_to_digest(gateway, proto, f"/fcgi/download/?bytes={size}") == (
            expected_download(size), size)
        zeros = digest_of([b"\0" * MIB] * (size // MIB))
        assert curl_to_digest(gateway, proto, f"/cgi/down?{size}") == (zeros, size)
    watch.check()


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("size", sizes())
@pytest.mark.parametrize("length", ["known", "unknown"])
def test_upload(gateway, place, proto, size, length):
    """To a script that takes its digest; known length streams, unknown is spooled."""
    file, digest = source_file(place, size)
    args = ["-T", str(file)] if length == "known" else ["-T", "-", "-X", "POST"]
    with Watch(gateway) as watch:
        run = subprocess.run(
            [need("curl"), "-sS", "-k", "-f", "--max-time", "300", "-H", "Expect:",
             *CURL_ARGS[proto], *args, gateway.url(proto, "/cgi/sum")],
            stdin=open(file, "rb"), capture_output=True, text=True, timeout=320)
    assert run.stdout.split()[0] == digest, run.stderr
    watch.check()


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("path", ["/cgi/cat", "/fcgi/echo/"])
def test_echo_while_it_is_sent(gateway, place, proto, path):
    size = 24 * MIB
    file, digest = source_file(place, size)
    with Watch(gateway) as watch:
        assert curl_to_digest(gateway, proto, path, "-X", "POST", "-H", "Expect:", "-T",
                              str(file)) == (digest, size)
    watch.check()


@pytest.fixture(scope="module")
def giant(module_place):
    return source_file(module_place, GIANT)


@pytest.mark.heavy
@pytest.mark.parametrize("proto, path", [
    ("h1", "/cgi/cat"), ("h2", "/cgi/cat"), ("h2c", "/cgi/cat"),
    ("h1", "/fcgi/echo/"), ("h2", "/fcgi/echo/")])
def test_full_duplex(place, start, giant, proto, path):
    """1 GiB out and in at once: far more than anything between could hold, so whoever waited
    for one end of it would wait for ever."""
    gateway = start_gateway(place, start, h2_stream_window="1M")
    file, digest = giant
    with Watch(gateway) as watch:
        assert curl_to_digest(gateway, proto, path, "-X", "POST", "-H", "Expect:", "-T",
                              str(file)) == (digest, GIANT)
    watch.check()


def slow_then_fast(sock, rate, seconds):
    """Read rate bytes a second for seconds, then at full speed; digest and size of all."""
    made, size, begin = hashlib.sha256(), 0, time.monotonic()
    while True:
        elapsed = time.monotonic() - begin
        if elapsed < seconds and size > elapsed * rate:
            time.sleep(0.02)  # slowness is the test
            continue
        block = sock.recv(8192 if elapsed < seconds else 1 << 18)
        if not block:
            return made.hexdigest(), size
        made.update(block)
        size += len(block)


@pytest.mark.parametrize("tls", [False, True], ids=["h1", "h1s"])
@pytest.mark.parametrize("size, seconds", [
    pytest.param(64 * MIB, 3, id="64M"),
    pytest.param(HEAVY, 10, id="256M", marks=pytest.mark.heavy)])
def test_slow_reader(gateway, tls, size, seconds):
    """64 KiB/s, then full speed: all there, and little memory meanwhile."""
    with Watch(gateway) as watch:
        with connect(gateway.address(tls), tls, timeout=60, rcvbuf=65536) as sock:
            sock.sendall(b"GET /fcgi/download/?bytes=%d HTTP/1.0\r\nHost: x\r\n\r\n" % size)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            assert head.startswith(b"HTTP/1.1 200")
            assert slow_then_fast(sock, 65536, seconds) == (expected_download(size), size)
    watch.check()


@pytest.mark.parametrize("proto", ["h2", "h2c"])
@pytest.mark.parametrize("size, seconds", [
    pytest.param(64 * MIB, 3, id="64M"),
    pytest.param(HEAVY, 10, id="256M", marks=pytest.mark.heavy)])
def test_slow_reader_of_http2(gateway, proto, size, seconds):
    run = subprocess.Popen(
        [need("curl"), "-sS", "-k", "-f", "-N", "--max-time", "300", *CURL_ARGS[proto],
         gateway.url(proto, f"/fcgi/download/?bytes={size}")], stdout=subprocess.PIPE)

    class Pipe:
        @staticmethod
        def recv(n):
            return os.read(run.stdout.fileno(), n)

    with Watch(gateway) as watch:
        assert slow_then_fast(Pipe, 65536, seconds) == (expected_download(size), size)
    assert run.wait(10) == 0
    watch.check()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_script_that_never_reads(gateway, place, proto):
    """The client is held back; nothing piles up, and the answer comes."""
    with Watch(gateway) as watch, dial(proto, gateway) as client:
        if is_h2(proto):
            client.wait(lambda: client.peer_settings)
            number = client.request("POST", "/cgi/unread", [("content-length", str(HEAVY))],
                                    scheme=scheme(proto), end=False)
            sent = client.send_until_stuck(number, HEAVY)
            (place / "go").touch()
            response = client.response(number)
        else:
            client.send(render("POST", "/cgi/unread", [("Content-Length", str(HEAVY))]))
            sent = send_until_stuck(client.sock, HEAVY)
            (place / "go").touch()
            response = client.response()
        assert response.body == b"not read\n"
        assert sent < ALLOWED, "the gateway took what nobody reads"
    watch.check()


def send_until_stuck(sock, size):
    """Send until the socket takes nothing for half a second; how much went."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < size:
            sent += sock.send(BLOCK)
    except TimeoutError:
        pass
    sock.settimeout(15)
    return sent


# ---- many connections ----

def rounds_client(gateway, proto):
    with dial(proto, gateway) as client:
        if is_h2(proto):
            assert client.fetch(scheme=scheme(proto)).status == 200
        else:
            assert client.fetch("GET", "/").status == 200


def opened_and_closed(gateway, n):
    for i in range(n):
        rounds_client(gateway, PROTOCOLS[i % 4])


def vanishing(gateway, n):
    """Clients that go in the middle: of a head, a body, a response, a handshake."""
    for i in range(n):
        kind = i % 5
        try:
            if kind == 0:
                sock = connect(gateway.address())
                sock.sendall(b"GET / HTTP/1.1\r\nHo")
            elif kind == 1:
                sock = connect(gateway.address())
                sock.sendall(render("POST", "/cgi/sum", [("Content-Length", "100000")]) + b"x")
            elif kind == 2:
                sock = connect(gateway.address(), rcvbuf=4096)
                sock.sendall(render("GET", "/fcgi/download/?bytes=3000000"))
                sock.recv(1)
            elif kind == 3:
                sock = connect(gateway.address(tls=True))
                sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
            else:
                client = dial("h2", gateway)
                client.request(path="/fcgi/download/?bytes=3000000")
                sock = client.sock
            if i % 2:  # a reset instead of an orderly end
                reset(sock)
            sock.close()
        except OSError:
            pass


def reset(sock):
    import struct
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def held(gateway):
    """(kinds of descriptors and how many of each, thread names) of the gateway."""
    pid = gateway.gateway_pid()
    kinds = Counter(target.split(":")[0] for target in proc.descriptors(pid).values())
    return kinds, Counter(proc.thread_names(pid))


def settled(gateway, same_as=None):
    """What it holds once its connections are gone.  Writer threads end 2 s after their last
    work, so it must hold still for 3 s, or become the same as before within 30 s."""
    last, since, begin = None, 0, time.monotonic()
    while True:
        now, moment = held(gateway), time.monotonic()
        if now != last:
            last, since = now, moment
        if now == same_as or moment - begin > 30 or not same_as and moment - since > 3:
            return now
        time.sleep(0.05)


@pytest.mark.threads
@pytest.mark.parametrize("n", [pytest.param(200, id="200"),
                               pytest.param(1000, id="1000", marks=pytest.mark.heavy)])
def test_connections_leave_nothing(gateway, n):
    """Three rounds opened and closed and vanished: rounds 2 and 3 leave the same."""
    seen, memory = [], []
    for i in range(3):
        opened_and_closed(gateway, n)
        vanishing(gateway, n)
        proc.wait_until(lambda: gateway.get("/cgi/down?10").status == 200, 30, "a free pool")
        seen.append(settled(gateway, seen[1] if i == 2 else None))
        memory.append(proc.pss(gateway.gateway_pid()))
    print("descriptors and threads after each round:", *seen, sep="\n")
    print("PSS after each round:", *(f"{each / MIB:.1f} MiB" for each in memory))
    assert seen[1] == seen[2]
    if not SANITIZED:
        assert abs(memory[1] - memory[2]) < 2 * MIB, "PSS"


def test_a_thousand_at_once(gateway):
    """Idle ones cost memory, no threads."""
    before = proc.n_threads(gateway.gateway_pid())
    clients = [H1(gateway.address()) for _ in range(1000)]
    for client in clients:
        client.request("GET", "/")
    for client in clients:
        assert client.response().status == 200
    assert proc.n_threads(gateway.gateway_pid()) - before <= 64
    for client in clients:
        client.close()
