"""HTTP/1.1 over a raw socket: sends exactly what it is told, reads strictly."""
import socket
import ssl

from lib.message import Refused, Response, Truncated


def tls_context(alpn=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connect(address, tls=False, timeout=15, context=None, sni="localhost", rcvbuf=None,
            source=None, before=b""):
    """A connected socket to (host, port) or a unix path, with TLS if asked.  before: bytes in
    front of everything, TLS too."""
    family = socket.AF_UNIX if isinstance(address, str) else (
        socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if source:  # any of 127.0.0.0/8: a client of its own
        sock.bind((source, 0))
    sock.connect(address)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if before:
        sock.sendall(before)
    if tls:
        sock = (context or tls_context()).wrap_socket(sock, server_hostname=sni)
    return sock


def render(method, path, headers=(), body=None, host="localhost"):
    """A request's bytes; body None: none, bytes: Content-Length, iterable: chunked."""
    lines = [f"{method} {path} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    given = {name.lower() for name, _ in headers}
    if isinstance(body, bytes) and "content-length" not in given:
        lines.append(f"Content-Length: {len(body)}")
    elif body is not None and not isinstance(body, bytes):
        lines.append("Transfer-Encoding: chunked")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if body is None:
        return head
    if isinstance(body, bytes):
        return head + body
    return head + b"".join(chunk(piece) for piece in body) + chunk(b"")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class H1:
    """One connection."""

    def __init__(self, address, tls=False, **options):
        self.sock = connect(address, tls, **options)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, path, headers=(), body=None, host="localhost"):
        self.send(render(method, path, headers, body, host))

    def fetch(self, method, path, headers=(), body=None, host="localhost"):
        self.request(method, path, headers, body, host)
        return self.response(method)

    # ---- reading ----

    def more(self):
        """Take what the socket has; False at its end."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError, BrokenPipeError):
            return False
        self.buffer += data
        return bool(data)

    def take_line(self):
        while b"\n" not in self.buffer:
            if not self.more():
                return None
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"line without CR: {line!r}"
        return line[:-1].decode("latin-1")

    def take(self, n):
        """Exactly n bytes, fewer if the connection ended."""
        parts, have = [self.buffer[:n]], min(n, len(self.buffer))
        self.buffer = self.buffer[n:]
        while have < n:
            if not self.more():
                break
            parts.append(self.buffer[:n - have])
            self.buffer = self.buffer[n - have:]
            have += len(parts[-1])
        return b"".join(parts)

    def take_all(self):
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def head(self):
        """Status line and fields of the next head."""
        line = self.take_line()
        if line is None:
            raise Refused()
        version, _, rest = line.partition(" ")
        code, _, reason = rest.partition(" ")
        assert version == "HTTP/1.1", f"status line {line!r}"
        response = Response(int(code), reason, version)
        response.headers = self.fields()
        return response

    def fields(self):
        found = []
        while True:
            line = self.take_line()
            if line is None:
                raise Refused()
            if line == "":
                return found
            name, colon, value = line.partition(":")
            assert colon and name == name.strip() and name, f"field line {line!r}"
            found.append((name.lower(), value.strip(" \t")))

    def response(self, method="GET"):
        """The next final response with its body; 1xx heads are in .interim."""
        interim = []
        response = self.head()
        while response.status < 200:
            interim.append(response)
            response = self.head()
        response.interim = interim
        if method != "HEAD" and response.status not in (204, 304):
            self.body(response)
        return response

    def body(self, response):
        coding = response.get("transfer-encoding")
        length = response.get("content-length")
        assert not (coding and length), "Transfer-Encoding with Content-Length"
        if coding:
            assert coding == "chunked"
            self.chunked(response)
        elif length is not None:
            response.body = self.take(int(length))
            if len(response.body) < int(length):
                raise Truncated(response)
        else:
            response.body = self.take_all()

    def chunked(self, response):
        parts = []
        while True:
            line = self.take_line()
            size = int(line.split(";")[0], 16) if line else -1
            if size > 0:
                parts.append(self.take(size))
                if len(parts[-1]) < size or self.take(2) != b"\r\n":
                    size = -1
            if size < 0:
                response.body = b"".join(parts)
                raise Truncated(response)
            if size == 0:
                response.body = b"".join(parts)
                response.trailers = self.fields()
                return

    def closed(self):
        """Wait for the end of the connection; False if there was data or time ran out."""
        try:
            while self.more():
                pass
        except (TimeoutError, socket.timeout):
            return False
        return self.buffer == b""
