"""Slow readers and slow senders, a thousand of each, at once.

The readers take 64 bytes each half second of 8 MiB, half of them of a file, half from a pool whose
application is spooled; the senders are slowloris: heads and bodies, on HTTP/1.1 and HTTP/2, that
never end.
"""
import time

import pytest

from lib import proc, slow
from lib.apps import write_file
from lib.h1 import H1
from lib.spooled import spool_files
from peers.fcgi import OK_HEAD, STDOUT, Backend, end_request, record
from test_m_memory import MIB, SANITIZED

SIZE = 8 * MIB
PIECE = b"x" * 32768
PER_CONNECTION = 96 * 1024
FEW = 8 * MIB  # beside it while they are few: before memory is short, each may have 128 KiB
WRITERS = 8
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def big(conn):
    """The application: 8 MiB for each request."""
    while True:
        request = conn.request()
        conn.send(record(STDOUT, request.number, OK_HEAD))
        for _ in range(SIZE // len(PIECE)):
            conn.send(record(STDOUT, request.number, PIECE))
        conn.send(record(STDOUT, request.number) + end_request(request.number))
        if not request.keeps:
            return


class Watched:
    """What is looked at between the steps of the slow ones."""

    def __init__(self, gateway, beside):
        self.gateway, self.beside = gateway, beside
        self.pid = gateway.gateway_pid()
        self.idle = proc.pss(self.pid)
        self.most = self.threads = self.most_held = self.spooled = 0
        self.slowest = 0.0

    def look(self, held):
        begin = time.monotonic()
        assert self.beside.fetch("GET", "/").status == 200
        self.slowest = max(self.slowest, time.monotonic() - begin)
        self.most = max(self.most, proc.pss(self.pid))
        self.threads = max(self.threads, proc.thread_names(self.pid).count("writer"))
        self.most_held = max(self.most_held, held)
        self.spooled = max(self.spooled, sum(spool_files(self.gateway)))


def held_times(clients):
    """{kind: (shortest, longest)} in seconds, of those that were cut off."""
    found = {}
    for client in clients:
        found.setdefault(client.kind, []).append(client.held_s)
    return {kind: (min(times), max(times)) for kind, times in found.items()}


@pytest.mark.parametrize("n", [
    pytest.param(40, id="40"), pytest.param(1000, id="1000", marks=pytest.mark.bench)])
def test_slow_clients(place, start, n):
    slow.allow_descriptors(4 * n + 200)
    seconds = 5 if n < 1000 else 20  # of each time
    with Backend(f"{place}/app.sock", big) as backend:
        gateway = start(f"""
            [site main]
            root = {place}/public
            request_body = spool
            [route main /big]
            pool = app
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            max_requests = 64
            queue = {n}
            queue_timeout = 120s
            """, writers=WRITERS, spool_limit="16G", head_timeout=f"{seconds}s", body_timeout=f"{seconds}s",
            write_timeout=f"{seconds}s", idle_timeout=f"{seconds}s", response_min_rate="4K",
            body_min_rate="4K", max_connections=10000)
        write_file(place / "public/index.html", "front")
        write_file(place / "public/file", b"x" * SIZE)
        gateway.get("/")
        with H1(gateway.address()) as beside:
            beside.sock.settimeout(20)
            watched = Watched(gateway, beside)
            clients = slow.open_all(gateway.address(), n, n)
            left = slow.drive(clients, watched.look, 60 + 8 * seconds)
        n_started = len(backend.requests)
        times = held_times([client for client in clients if client.ended])
        per_connection = (watched.most - watched.idle) / (2 * n)
        print(f"{n} readers, {n} senders: {per_connection / 1024:.1f} KiB a connection (PSS "
              f"{watched.idle / MIB:.1f} -> {watched.most / MIB:.1f} MiB), {watched.threads} "
              f"writers, {watched.spooled / MIB:.0f} MiB spooled, beside {watched.slowest:.2f} s")
        for kind, (least, most) in times.items():
            print(f"    {kind}: held {least:.1f} to {most:.1f} s")
        for client in left:
            client.end()
        assert not left, f"{len(left)} not cut off: {sorted({c.kind for c in left})}"
        assert watched.threads <= WRITERS
        if not SANITIZED:
            room = 2 * n * PER_CONNECTION + (FEW if n < 1000 else 0)
            assert watched.most - watched.idle < room
        assert n_started <= n, "no sender's request reached the application"
        proc.wait_until(lambda: not spool_files(gateway), 30, "the spools to be gone")
