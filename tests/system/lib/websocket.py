"""A WebSocket client over HTTP/1.1 and HTTP/2 (RFC 6455, RFC 8441), frame by frame."""
import base64
import os
import socket
import struct

from hyperframe.frame import DataFrame, RstStreamFrame

from lib.client import dial, is_h2, scheme
from lib.frames import CANCEL

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ENABLE_CONNECT_PROTOCOL = 8
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(key=KEY):
    return [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key)]


def connect_fields(path, host="localhost", scheme="https", protocol="websocket"):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", scheme),
            (":path", path), (":authority", host)]


def frame(op, data=b"", fin=True, mask=None):
    """A client's frame: masked."""
    mask = os.urandom(4) if mask is None else mask
    n = len(data)
    size = (struct.pack("!B", 0x80 | n) if n < 126 else
            struct.pack("!BH", 0xfe, n) if n < 65536 else struct.pack("!BQ", 0xff, n))
    return bytes([op | (0x80 if fin else 0)]) + size + mask + masked(data, mask)


def masked(data, mask):
    if mask == b"\0\0\0\0":
        return data
    n = len(data)
    key = (mask * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big")


class WebSocket:
    """One, on a connection of its own unless client is given (HTTP/2).  The handshake's answer
    is .response; what comes behind it is read with take() and message()."""

    def __init__(self, proto, gateway, path, fields=(), key=KEY, host="localhost", client=None,
                 early=b"", **options):
        self.h2 = is_h2(proto)
        self.owns = client is None
        self.client = client or dial(proto, gateway, **options)
        if self.h2:
            self.open_h2(proto, path, host, fields, early)
        else:
            self.client.request("GET", path, [*handshake(key), *fields], host=host)
            if early:
                self.client.send(early)
            self.response = self.client.head()
            if self.response.status not in (101, 204):
                self.client.body(self.response)

    def open_h2(self, proto, path, host, fields, early):
        client = self.client
        assert client.wait(lambda: client.peer_settings.get(ENABLE_CONNECT_PROTOCOL) == 1)
        fields = [*connect_fields(path, host, scheme(proto)), ("sec-websocket-version", "13"),
                  *((name.lower(), value) for name, value in fields)]
        self.number = client.send_headers(fields, end=False)
        self.stream = client.streams[self.number]
        if early:
            self.send(early)
        client.wait(lambda: self.stream.has_head or self.stream.reset is not None)
        self.response = self.stream.response
        self.taken = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.owns:
            self.client.close()

    @property
    def is_open(self):
        return self.response.status == (200 if self.h2 else 101)

    # ---- raw bytes ----

    def send(self, data):
        if self.h2:
            self.client.send_body(self.number, data, end=False)
        else:
            self.client.send(data)

    def end(self):
        """Our side is over, the other may go on."""
        if self.h2:
            self.client.send(DataFrame(self.number, flags=["END_STREAM"]))
        else:
            # Not SSLSocket's, after which nothing could be read.
            socket.socket.shutdown(self.client.sock, socket.SHUT_WR)

    def take(self, n):
        """n bytes; fewer if the other side ended."""
        if not self.h2:
            return self.client.take(n)
        stream = self.stream

        def have():
            self.taken += b"".join(stream.parts)
            stream.parts.clear()
            return len(self.taken) >= n or stream.ended or stream.reset is not None
        assert self.client.wait(have, 60) or self.client.eof
        data, self.taken = self.taken[:n], self.taken[n:]
        return data

    def ended(self):
        """Did the other side end as it should, with nothing more to say?"""
        if not self.h2:
            return self.client.closed()
        self.client.wait(lambda: self.stream.ended or self.stream.reset is not None)
        return self.stream.ended and not self.taken and not any(self.stream.parts)

    def cut(self):
        """Go without a word."""
        if self.h2:
            self.client.send(RstStreamFrame(self.number, error_code=CANCEL))
        else:
            self.client.close()

    # ---- frames ----

    def message(self):
        """(opcode, data) of the next frame, None at the end."""
        head = self.take(2)
        if len(head) < 2:
            return None
        n = head[1]
        if n == 126:
            n, = struct.unpack("!H", self.take(2))
        elif n == 127:
            n, = struct.unpack("!Q", self.take(8))
        return head[0] & 15, self.take(n)

    def say(self, data, op=TEXT):
        self.send(frame(op, data))

    def echo(self, data, op=TEXT):
        self.say(data, op)
        return self.message()


def answered(client):
    """The ordinary response to a handshake over HTTP/1.1."""
    response = client.head()
    client.body(response)
    return response


def new_key():
    return base64.b64encode(os.urandom(16)).decode()


