"""Bodies that wait: in memory, in a file, at a limit, on a full disk; in both directions."""
import os
import socket
import subprocess
import time

import pytest

from lib import proc
from lib.apps import write_file
from lib.gateway import is_root
from lib.h1 import H1, chunk, render
from lib.spooled import spool_files
from peers.fcgi import OK_HEAD, STDOUT, Backend, echo, end_request, keeping, record

KIB, MIB = 1 << 10, 1 << 20
MEMORY = 64 * KIB
DATA = bytes(range(251)) * (MIB // 251 + 1)


def site(place, site_keys="", **keys):
    write_file(place / "public/index.html", "front\n")
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n{site_keys}[route main /]\n"
            f"root = {place}/public\n[route main /app/]\npool = app\n"
            f"[route main /spool/]\npool = app\nrequest_body = spool\n"
            f"[pool app]\nconnect = unix:{place}/app.sock\n{lines}")


@pytest.fixture
def backend(place):
    with Backend(str(place / "app.sock"), keeping(echo)) as backend:
        yield backend
        assert backend.errors == []


def pieces(data, size=10000):
    """As a body of unknown length."""
    return [data[i:i + size] for i in range(0, len(data), size)]


# ---- request bodies: from memory to a file ----

@pytest.mark.parametrize("size", [0, 1, MEMORY - 1, MEMORY, MEMORY + 1, MEMORY + 200 * KIB])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_sizes(place, start, backend, proto, size, known):
    gateway = start(site(place), spool_memory=MEMORY)
    data = DATA[:size]
    response = gateway.fetch(proto, "/spool/x", method="POST",
                             body=data if known else pieces(data))
    assert (response.status, response.body) == (200, data)
    assert backend.requests[0].params["CONTENT_LENGTH"] == str(size)
    assert spool_files(gateway) == []


def test_up_to_spool_memory_no_disk_is_needed(place, start, backend, proto):
    """The folder is gone: what fits is served, what does not is refused, and so on."""
    gateway = start(site(place), spool_memory=MEMORY)
    os.rmdir(place / "spool")
    for size in (MEMORY - 1, MEMORY):
        response = gateway.fetch(proto, "/spool/x", method="POST", body=DATA[:size])
        assert response.body == DATA[:size]
    # 64 KiB more wait to be written at once.
    assert gateway.fetch(proto, "/spool/x", method="POST",
                         body=DATA[:MEMORY + 128 * KIB]).status == 507
    gateway.wait_log("spool_dir cannot be written")
    assert gateway.fetch(proto, "/spool/x", method="POST", body=b"ok").body == b"ok"


def test_a_file_while_the_body_comes(place, start, backend):
    """Most of it is on the disk, and all of it is given back."""
    gateway = start(site(place), spool_memory=MEMORY)
    with H1(gateway.address()) as client:
        client.send(render("POST", "/spool/x", [("Transfer-Encoding", "chunked")]) +
                    chunk(DATA[:MIB]))
        proc.wait_until(lambda: sum(spool_files(gateway)) > MIB - MEMORY - 256 * KIB, 10,
                        "a file")
        assert backend.requests == []
        client.send(chunk(b""))
        assert client.response().body == DATA[:MIB]
    assert spool_files(gateway) == []


def test_no_names(place, start, backend):
    gateway = start(site(place), spool_memory="1K")
    with H1(gateway.address()) as client:
        client.send(render("POST", "/spool/x", [("Transfer-Encoding", "chunked")]) +
                    chunk(DATA[:MIB]))
        proc.wait_until(lambda: spool_files(gateway), 10, "a file")
        assert list((place / "spool").iterdir()) == []
        client.send(chunk(b""))
        assert client.response().body == DATA[:MIB]


# ---- spool_limit ----

def test_spool_limit(place, start, backend, proto):
    """503 and a log line; nobody is asked; small bodies go on."""
    gateway = start(site(place), spool_memory="16K", spool_limit="100K")
    assert gateway.fetch(proto, "/app/x", method="POST", body=pieces(DATA[:MIB])).status == 503
    gateway.wait_log("spool_limit reached")
    assert backend.requests == []
    assert gateway.fetch(proto, "/app/x", method="POST", body=[b"ok"]).body == b"ok"


def test_spool_limit_is_over_all(place, start, backend, proto):
    """Each would fit; what they are together does not, and the first is not harmed."""
    gateway = start(site(place), spool_memory="16K", spool_limit="1M")
    body = DATA[:900 * KIB]
    with H1(gateway.address()) as first:
        first.send(render("POST", "/spool/x", [("Transfer-Encoding", "chunked")]) + chunk(body))
        proc.wait_until(lambda: sum(spool_files(gateway)) > 700 * KIB, 10, "the first's file")
        assert gateway.fetch(proto, "/spool/x", method="POST", body=body).status == 503
        gateway.wait_log("spool_limit reached")
        first.send(chunk(b""))
        assert first.response().body == body
    assert gateway.fetch(proto, "/spool/x", method="POST", body=body).body == body


def test_spool_is_freed(place, start, backend):
    """The limit is over what is under way, not over all that ever was."""
    gateway = start(site(place), spool_memory="16K", spool_limit="400K")
    for _ in range(10):
        response = gateway.get("/app/x", method="POST", body=pieces(DATA[:300000]))
        assert response.body == DATA[:300000]


# ---- a full disk ----

@pytest.fixture
def small_disk(place):
    """spool_dir on a file system of 64 KiB."""
    (place / "spool").mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "none",
                            place / "spool"], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mount.stderr}")
    yield
    subprocess.run(["umount", "-l", place / "spool"], check=True)


def full(gateway, proto):
    """A body that does not fit: 507, a line, and the next request works."""
    response = gateway.fetch(proto, "/app/x", method="POST", body=pieces(DATA[:MIB]))
    assert response.status == 507
    gateway.wait_log("spool_dir cannot be written")
    assert gateway.fetch(proto, "/app/x", method="POST", body=[b"ok"]).body == b"ok"


@pytest.mark.skipif(not is_root(), reason="mounting takes root")
def test_full_disk(small_disk, place, start, backend, proto):
    gateway = start(site(place), spool_memory="16K")
    full(gateway, proto)
    gateway.stop()


def test_largest_file(place, start, backend, proto):
    """ulimit -f is as a full disk, and does not end the gateway with a signal."""
    gateway = start(site(place), spool_memory="16K", prefix=["prlimit", "--fsize=98304"],
                    user="www-data" if is_root() else None)
    full(gateway, proto)


# ---- responses ----

def test_response_spool_frees_the_application(place, start, backend):
    """A client that reads nothing does not hold the pool's only place."""
    data = DATA[:MIB] * 4
    backend.serve = keeping(lambda request: OK_HEAD + data)
    gateway = start(site(place, max_requests=1))
    with H1(gateway.address(), rcvbuf=4096) as slow:
        slow.request("GET", "/app/x")
        for _ in range(3):
            assert gateway.get("/app/x").body == data
        assert slow.response().body == data


class Flow:
    """An application that sends n MiB and knows how much was taken from it."""

    def __init__(self, n):
        self.n, self.sent = n, 0
        self.block = DATA[:32 * KIB]

    def __call__(self, conn):
        request = conn.request()
        conn.send(record(STDOUT, request.number, OK_HEAD))
        for _ in range(self.n * 32):
            conn.send(record(STDOUT, request.number, self.block))
            self.sent += len(self.block)
        conn.send(end_request(request.number))

    def stalls(self, rounds=25):
        """Nothing was taken over many looks."""
        first = self.sent
        for _ in range(rounds):
            time.sleep(0.01)
            if self.sent != first:
                return False
        return first > 0

    def wait_stall(self):
        proc.wait_until(self.stalls, 20, "a stalled application")


def waits_and_gets_all(gateway, flow, most):
    """The application waits for a client that reads nothing, which then gets everything."""
    with H1(gateway.address(), rcvbuf=4096) as slow:
        slow.request("GET", "/app/x")
        flow.wait_stall()
        assert flow.sent < most
        assert gateway.get("/index.html").body == b"front\n"
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)  # it has shown enough
        assert slow.response().body == flow.block * 32 * flow.n
    assert " error " not in gateway.log()


def test_response_stream_makes_the_application_wait(place, start, backend):
    """response_body = stream: back-pressure reaches the application."""
    backend.serve = flow = Flow(32)
    gateway = start(site(place, "response_body = stream\n"))
    waits_and_gets_all(gateway, flow, 12 * MIB)


def test_response_at_spool_limit_waits(place, start, backend):
    """A response that finds the disk's share taken is not cut: its application waits."""
    backend.serve = flow = Flow(16)
    gateway = start(site(place), spool_memory="16K", spool_limit="300K")
    waits_and_gets_all(gateway, flow, 12 * MIB)


@pytest.mark.skipif(not is_root(), reason="mounting takes root")
def test_response_on_a_full_disk_waits(small_disk, place, start, backend):
    backend.serve = flow = Flow(16)
    gateway = start(site(place), spool_memory="16K")
    waits_and_gets_all(gateway, flow, 12 * MIB)
    gateway.stop()


def test_response_at_its_own_limit_waits(place, start, backend):
    backend.serve = flow = Flow(16)
    gateway = start(site(place, "response_spool_limit = 256K\n"))
    waits_and_gets_all(gateway, flow, 12 * MIB)
