"""Connections that finish TLS and the HTTP/2 preface and then do nothing."""

import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = 4
ACK = 1


def frame(kind, flags):
    """A frame without payload on stream 0 (RFC 9113 4.1)."""
    return struct.pack(">BHBBI", 0, 0, kind, flags, 0)


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise ConnectionError("closed by the server")
        data += piece
    return data


def greet(s):
    """Preface and SETTINGS both ways; back when the server has acknowledged ours."""
    s.sendall(PREFACE + frame(SETTINGS, 0))
    while True:
        head = read_exactly(s, 9)
        read_exactly(s, int.from_bytes(head[:3], "big"))
        if head[3] == SETTINGS and head[4] & ACK:
            return
        if head[3] == SETTINGS:
            s.sendall(frame(SETTINGS, ACK))


def connect_many(port, n):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    made = []
    for _ in range(n):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))
        greet(s)
        made.append(s)
    return made
