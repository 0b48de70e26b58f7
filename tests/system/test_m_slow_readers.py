"""Many slow readers of large answers: little memory, bounded disk, and a pool that goes on.

A reader that takes 4 KiB/s would need hours for its 64 MiB; what counts is the plateau, when
response_spool_limit bytes of each wait and every application is held back.
"""
import contextlib
import hashlib
import io
import selectors
import threading

import pytest
from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from lib import proc
from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.h1 import connect, render
from lib.spooled import spool_files
from peers.fcgi import OK_HEAD, STDOUT, Backend, answer, end_request, record
from test_m_memory import MIB, Watch, digest_of

SIZE = 64 * MIB
PIECE = bytes(range(251)) * 261  # 65511 bytes
N_PIECES = SIZE // len(PIECE)
BODY_DIGEST = digest_of([PIECE] * N_PIECES)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Sender:
    """The application: 64 MiB for ?big, else a word.  Knows how much was taken from it."""

    def __init__(self):
        self.sent = 0
        self.lock = threading.Lock()

    def __call__(self, conn):
        while True:
            request = conn.request()
            if request.params["QUERY_STRING"] == "big":
                number, piece = request.number, record(STDOUT, request.number, PIECE)
                conn.send(record(STDOUT, number, OK_HEAD))
                for _ in range(N_PIECES):
                    conn.send(piece)
                    with self.lock:
                        self.sent += len(PIECE)
                conn.send(record(STDOUT, number) + end_request(number))
            else:
                conn.send(answer(request.number, OK_HEAD + b"served\n"))
            if not request.keeps:
                return


class Trickle(threading.Thread):
    """Takes 4 KiB/s from each socket, in small steps."""

    def __init__(self, socks):
        super().__init__()
        self.socks, self.done = list(socks), threading.Event()
        self.first = []  # what the first one got

    def run(self):
        selector = selectors.DefaultSelector()
        for sock in self.socks:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ)
        while not self.done.wait(0.25):
            for key, _ in selector.select(0):
                data = key.fileobj.recv(1024)
                if key.fileobj is self.socks[0]:
                    self.first.append(data)
        selector.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


def plateau(sender, least):
    """Nothing more is taken from the applications: the same for a second, and enough."""
    last = [-1, 0]

    def still():
        last[1] = last[1] + 1 if sender.sent == last[0] else 0
        last[0] = sender.sent
        return last[1] >= 10 and sender.sent >= least
    proc.wait_until(still, 120, "a plateau", every=0.1)


def read_rest(sock, parts):
    """The digest of a chunked body, of which parts came already; at full speed."""
    sock.settimeout(60)
    while not parts[-1].endswith(b"\r\n0\r\n\r\n"):
        parts.append(sock.recv(1 << 18))
        assert parts[-1], "cut off"
    data, made = io.BytesIO(b"".join(parts)), hashlib.sha256()
    while data.readline() != b"\r\n":
        pass
    while size := int(data.readline(), 16):
        made.update(data.read(size))
        assert data.read(2) == b"\r\n"
    return made.hexdigest()


def site(place, readers, limit):
    return f"""
        [site main]
        root = {place}/public
        response_spool_limit = {limit}
        [route main /app/]
        pool = app
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = {readers + 8}
        """


def readers_of_h1(gateway, n):
    socks = []
    for _ in range(n):
        sock = connect(gateway.address(), rcvbuf=4096)
        sock.sendall(render("GET", "/app/?big"))
        socks.append(sock)
    return socks


@pytest.mark.parametrize("n, limit", [
    pytest.param(10, 1 * MIB, id="10"),
    pytest.param(200, 4 * MIB, id="200", marks=pytest.mark.heavy)])
def test_slow_readers(place, start, n, limit):
    sender = Sender()
    with Backend(f"{place}/app.sock", sender) as backend:
        gateway = start(site(place, n, limit), write_timeout="300s")
        gateway.get("/app/")  # what the first request makes is not theirs
        with Watch(gateway) as watch:
            socks = readers_of_h1(gateway, n)
            with Trickle(socks) as drip:
                plateau(sender, n * limit)
                disk = spool_files(gateway)
                print(f"disk {sum(disk) / MIB:.0f} MiB in {len(disk)} files, taken from the "
                      f"applications {sender.sent / MIB:.0f} MiB")
                assert len(disk) == n
                assert max(disk) <= limit
                assert gateway.get("/app/", timeout=5).body == b"served\n"
            before = sender.sent
            assert read_rest(socks[0], drip.first) == BODY_DIGEST
            assert sender.sent > before, "the application went on when its client took some"
            for sock in socks:
                sock.close()
            proc.wait_until(lambda: not spool_files(gateway), 30, "the spools to be gone")
        watch.check(32 * MIB)
        assert not [e for e in backend.errors if not isinstance(e, OSError)]


N_FILES, KIB_EACH = 100, 96


def ask_for_file(proto, gateway):
    """A client with all windows open, which reads nothing."""
    if not is_h2(proto):
        client = dial(proto, gateway, rcvbuf=4096)
        client.request("GET", "/file")
        return client
    client = dial(proto, gateway, rcvbuf=4096,
                  settings={SettingsFrame.INITIAL_WINDOW_SIZE: SIZE})
    client.send(WindowUpdateFrame(0, window_increment=SIZE))
    client.request(path="/file", scheme=scheme(proto))
    return client


@pytest.mark.parametrize("proto", ["h1", "h1s", "h2", "h2c"])
def test_files_wait_on_the_disk(place, start, proto):
    """What a client does not take of a file waits where it is, not in memory."""
    write_file(place / "public/file", b"x" * (8 * MIB))
    gateway = start(f"[site main]\nroot = {place}/public\n", write_timeout="300s")
    gateway.fetch(proto, "/file", headers=[("Range", "bytes=0-0")])
    with Watch(gateway) as watch, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ask_for_file(proto, gateway)) for _ in range(N_FILES)]
        selectable = selectors.DefaultSelector()
        for client in clients:
            selectable.register(client.sock, selectors.EVENT_READ)
        proc.wait_until(lambda: len(selectable.select(0)) == N_FILES, 20, "all answers")
        selectable.close()
        last = []

        def still():
            last.append(proc.pss(watch.pid))
            return len(last) > 10 and len(set(last[-10:])) == 1
        proc.wait_until(still, 60, "a plateau", every=0.05)
    watch.check(N_FILES * KIB_EACH * 1024)
