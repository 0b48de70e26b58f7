"""A FastCGI client, small enough to do anything wrong on purpose.

    with Client(path) as c:
        answer = c.request("/srv/x.sh", body=b"...", QUERY_STRING="a=1")
        answer.status, answer.fields, answer.body, answer.stderr, answer.app_status
"""
import os
import socket
import struct
import threading
import time
from pathlib import Path

from peers.fcgi import (ABORT, BEGIN, END, KEEP_CONN, PARAMS, STDERR, STDIN, STDOUT, record,
                        stream)

RESPONDER = 1

BUILD = Path(__file__).resolve().parents[2] / "build"
# Beside the gateway that is tested, unless it is named itself.
RUNNER = os.environ.get("H2CGI_RUN") or str(
    Path(os.environ.get("H2CGI", BUILD / "h2cgi")).absolute().with_name("h2cgi-run"))


def pairs(variables):
    """FastCGI 3.4 name-value pairs."""
    def length(n):
        return struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 1 << 31)

    out = b""
    for name, value in variables:
        name = name.encode() if isinstance(name, str) else name
        value = value.encode() if isinstance(value, str) else value
        out += length(len(name)) + length(len(value)) + name + value
    return out


def head(script, number=1, keep=False, role=RESPONDER, **variables):
    """BEGIN and PARAMS of a request."""
    items = {"REQUEST_METHOD": "GET", "SCRIPT_FILENAME": str(script), "QUERY_STRING": "",
             "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1"}
    items.update(variables)
    shown = [(k, str(v)) for k, v in items.items() if v is not None]
    begin = struct.pack(">HB5x", role, KEEP_CONN if keep else 0)
    return record(BEGIN, number, begin) + stream(PARAMS, number, pairs(shown))


class Answer:
    """What came of one request."""

    def __init__(self):
        self.stdout = b""
        self.stderr = b""
        self.app_status = None
        self.protocol_status = None
        self.records = []  # (type, length), in order
        self.first_at = None
        self.done_at = None

    def _split(self):
        if self.stdout.startswith(b"\n"):  # no head at all, for scripts of one line
            return b"", self.stdout[1:]
        for end in (b"\r\n\r\n", b"\n\n"):
            if end in self.stdout:
                return self.stdout.split(end, 1)
        return self.stdout, b""

    @property
    def fields(self):
        lines = self._split()[0].decode("latin-1").splitlines()
        return {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}

    @property
    def status(self):
        return int(self.fields.get("status", "200")[:3])

    @property
    def body(self):
        return self._split()[1]

    @property
    def text(self):
        return self.body.decode("latin-1")


class Client:
    """address: a unix path, or (host, port)."""

    def __init__(self, address, timeout=20):
        tcp = isinstance(address, tuple)
        self.sock = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(address if tcp else str(address))
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _take(self, n):
        while len(self.pending) < n:
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.pending += more
        out, self.pending = self.pending[:n], self.pending[n:]
        return out

    def read_record(self):
        version, kind, number, length, padding, _ = struct.unpack(">BBHHBB", self._take(8))
        assert version == 1
        content = self._take(length + padding)[:length]
        return kind, number, content

    def read_answer(self, number=1, sink=None):
        """Up to END_REQUEST.  sink takes the output instead of answer.stdout."""
        a, parts = Answer(), []
        while True:
            kind, got, content = self.read_record()
            assert got == number, f"record of request {got}"
            a.records.append((kind, len(content)))
            if kind == STDOUT:
                a.first_at = a.first_at or time.monotonic()
                sink(content) if sink else parts.append(content)
            elif kind == STDERR:
                a.stderr += content
            elif kind == END:
                a.app_status, a.protocol_status = struct.unpack(">IB3x", content)
                a.stdout, a.done_at = b"".join(parts), time.monotonic()
                return a

    def at_eof(self):
        """Whether the peer closed the connection."""
        try:
            return self.pending == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def request(self, script, body=None, number=1, keep=False, sink=None, **variables):
        """One request and its answer; the body is sent while the answer is read."""
        if body is not None:
            variables.setdefault("CONTENT_LENGTH", len(body))
            variables.setdefault("REQUEST_METHOD", "POST")
        start = head(script, number, keep, **variables)
        if not body:
            self.send(start + record(STDIN, number))
            return self.read_answer(number, sink)

        def feed():
            try:
                self.send(start)
                for i in range(0, len(body), 65528):
                    self.send(record(STDIN, number, body[i:i + 65528]))
                self.send(record(STDIN, number))
            except OSError:
                pass  # the test sees it on the other side

        feeder = threading.Thread(target=feed)
        feeder.start()
        answer = self.read_answer(number, sink)
        feeder.join()
        return answer

    def abort(self, number=1):
        self.send(record(ABORT, number))
