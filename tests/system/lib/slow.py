"""Thousands of slow clients in one thread: readers of large answers, senders of heads and bodies.

None is faster than the gateway's rates allow, so each is to be cut off; until then it holds its
connection.
"""
import resource
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_WINDOW = (1 << 31) - 1


def allow_descriptors(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, max(n, hard)))


def frame(kind, flags, number, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", number) + payload


def literal(name, value):
    """RFC 7541 6.2.2, short and without Huffman."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def h2_head(method, path, end, *fields):
    block = literal(b":method", method) + literal(b":scheme", b"http") + \
        literal(b":authority", b"localhost") + literal(b":path", path)
    for name, value in fields:
        block += literal(name, value)
    return frame(1, 4 | (1 if end else 0), 1, block)


def h2_start(window):
    """Preface, SETTINGS with this initial window, and a connection window as large as may be."""
    return PREFACE + frame(4, 0, 0, struct.pack(">HI", 4, window)) + \
        frame(8, 0, 0, struct.pack(">I", MAX_WINDOW - 65535))


# What is sent first, and what again and again: all of them slow in a way of their own.
KINDS = {
    "h1 reader": (b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    "h2 reader": (h2_start(MAX_WINDOW) + h2_head(b"GET", b"/big", True), b""),
    "h1 file": (b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
    "h2 file": (h2_start(MAX_WINDOW) + h2_head(b"GET", b"/file", True), b""),
    "h1 head": (b"GET /big HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n"),
    "h1 body": (b"POST /app/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
                b"x"),
    "h2 head": (h2_start(65535) + frame(1, 0, 1, literal(b"a", b"b")), b""),
    "h2 body": (h2_start(65535) + h2_head(b"POST", b"/app/", False), frame(0, 0, 1, b"x")),
}
READERS = ("h1 reader", "h2 reader", "h1 file", "h2 file")
SENDERS = ("h1 head", "h1 body", "h2 head", "h2 body")


class Slow:
    """One client."""

    def __init__(self, kind, address):
        self.kind, (first, self.again) = kind, KINDS[kind]
        self.sock = socket.socket()
        if kind in READERS:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(address)
        self.sock.sendall(first)
        self.sock.setblocking(False)
        self.begun, self.ended = time.monotonic(), None

    def step(self):
        """Read or send a little.  False: it was cut off, whatever is left to be read."""
        if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        try:
            if self.again:
                self.sock.send(self.again)
            return self.sock.recv(64) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def end(self):
        self.ended = time.monotonic()
        self.sock.close()

    @property
    def held_s(self):
        return self.ended - self.begun


def open_all(address, n_readers, n_senders):
    clients = [Slow(READERS[i % len(READERS)], address) for i in range(n_readers)]
    return clients + [Slow(SENDERS[i % len(SENDERS)], address) for i in range(n_senders)]


def drive(clients, look, timeout, every=0.5):
    """Steps of all, look() between, until all were cut off or time is up; those left."""
    deadline, left = time.monotonic() + timeout, list(clients)
    while left and time.monotonic() < deadline:
        begin = time.monotonic()
        still = []
        for client in left:
            if client.step():
                still.append(client)
            else:
                client.end()
        left = still
        look(len(left))
        time.sleep(max(0, begin + every - time.monotonic()))
    return left
