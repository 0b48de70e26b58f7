"""FastCGI applications that do what a test says, right or wrong.

A Backend listens and runs serve(conn) in a thread per connection.  serve reads the request
(conn.request()) and sends records; when it returns the connection is closed.
"""
import os
import socket
import struct
import threading
from dataclasses import dataclass, field

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA = 1, 2, 3, 4, 5, 6, 7, 8
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
KEEP_CONN = 1
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = 0, 1, 2, 3


def record(kind, number, content=b"", padding=0, version=1):
    """One record as it is on the wire (FastCGI 3.3)."""
    return struct.pack(">BBHHBB", version, kind, number, len(content), padding,
                       0) + content + b"\0" * padding


def stream(kind, number, data, piece=32768, padding=0, close=True):
    """data as records of at most piece bytes, then the empty one."""
    parts = [record(kind, number, data[i:i + piece], padding)
             for i in range(0, len(data), piece)]
    if close:
        parts.append(record(kind, number))
    return b"".join(parts)


def end_request(number, app_status=0, protocol_status=REQUEST_COMPLETE):
    return record(END, number, struct.pack(">IB3x", app_status & 0xffffffff, protocol_status))


def answer(number, data, padding=0, piece=32768):
    """A whole response in records."""
    return stream(STDOUT, number, data, piece, padding) + end_request(number)


def parse_pairs(data):
    """FastCGI 3.4 name-value pairs as a list."""
    pairs, at = [], 0

    def length():
        nonlocal at
        if data[at] < 128:
            at += 1
            return data[at - 1]
        at += 4
        return struct.unpack(">I", data[at - 4:at])[0] & 0x7fffffff

    while at < len(data):
        name_len, value_len = length(), length()
        name = data[at:at + name_len].decode("latin-1")
        value = data[at + name_len:at + name_len + value_len].decode("latin-1")
        at += name_len + value_len
        pairs.append((name, value))
    assert at == len(data), "pairs end inside a value"
    return pairs


@dataclass
class Request:
    number: int = 0
    role: int = 0
    flags: int = 0
    pairs: list = field(default_factory=list)
    body: bytes = b""
    data: bytes = b""  # a filter's

    @property
    def params(self):
        found = dict(self.pairs)
        assert len(found) == len(self.pairs), "a variable was sent twice"
        return found

    @property
    def keeps(self):
        return bool(self.flags & KEEP_CONN)


class Ended(Exception):
    """The gateway closed the connection."""


class Conn:
    """One accepted connection, as serve sees it."""

    def __init__(self, sock, backend):
        self.sock, self.backend = sock, backend
        self.aborted = threading.Event()

    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise Ended()
            data += piece
        return data

    def record(self):
        """(type, id, content) of the next record."""
        version, kind, number, length, padding = struct.unpack(">BBHHBx", self.read(8))
        assert version == 1
        content = self.read(length + padding)[:length]
        if kind == ABORT:
            self.aborted.set()
        return kind, number, content

    def begin(self):
        """BEGIN_REQUEST and PARAMS; management records in between are left unanswered."""
        request, params = Request(), b""
        while True:
            kind, number, content = self.record()
            if kind == BEGIN:
                request.number = number
                request.role, request.flags = struct.unpack(">HB5x", content)
            elif kind == PARAMS and content:
                params += content
            elif kind == PARAMS:
                request.pairs = parse_pairs(params)
                self.backend.requests.append(request)
                return request

    def stdin(self, request):
        """The body to its end; Ended or .aborted tell of another end."""
        parts = []
        while True:
            kind, _, content = self.record()
            if kind == STDIN and not content:
                request.body = b"".join(parts)
                return request.body
            if kind == STDIN:
                parts.append(content)
            if kind == ABORT:
                return None

    def data(self, request):
        """A filter's file to its end (FastCGI 6.4)."""
        parts = []
        while True:
            kind, _, content = self.record()
            assert kind == DATA, f"record type {kind} amid DATA"
            if not content:
                request.data = b"".join(parts)
                return request.data
            parts.append(content)

    def request(self):
        """All of it; a filter's DATA too."""
        request = self.begin()
        self.stdin(request)
        if request.role == FILTER:
            self.data(request)
        return request

    def send(self, data):
        self.sock.sendall(data)

    def wait_end(self):
        """Until the gateway closes or aborts; which of the two."""
        try:
            while True:
                kind, _, _ = self.record()
                if kind == ABORT:
                    return "abort"
        except (Ended, OSError):
            return "closed"


class Backend:
    """address: a unix path, or (host, port).  serve(conn) may be replaced at any time."""

    def __init__(self, address, serve, backlog=256):
        family = (socket.AF_UNIX if isinstance(address, str) else
                  socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if family != socket.AF_UNIX:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(backlog)
        if family == socket.AF_UNIX:
            os.chmod(address, 0o666)
        self.serve = serve
        self.requests, self.errors = [], []
        self.n_accepted = 0
        self.open = set()
        self.lock = threading.Lock()
        self.closing = False
        self.healthy = False  # for serves that go wrong until it is set
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.n_accepted += 1
                self.open.add(sock)
            threading.Thread(target=self.run, args=(sock,), daemon=True).start()

    def run(self, sock):
        try:
            self.serve(Conn(sock, self))
        except (Ended, OSError):
            pass
        except Exception as error:  # shown by the test that looks at .errors
            self.errors.append(error)
        finally:
            sock.close()
            with self.lock:
                self.open.discard(sock)

    def close(self):
        """Stop listening and cut every connection."""
        if self.closing:
            return
        self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


OK_HEAD = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def keeping(respond):
    """serve for an application that answers request after request with respond(request)
    -> bytes of a CGI response, and keeps the connection where it is asked to."""
    def serve(conn):
        while True:
            request = conn.request()
            conn.send(answer(request.number, respond(request)))
            if not request.keeps:
                return
    return serve


def hello(request):
    return OK_HEAD + b"hello\n"


def echo(request):
    return OK_HEAD + request.body


def dump(request):
    """The variables as NAME=VALUE lines."""
    lines = [f"{name}={value}\n" for name, value in request.pairs]
    return OK_HEAD + "".join(lines).encode("latin-1")
