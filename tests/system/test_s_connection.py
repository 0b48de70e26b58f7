"""How much of a connection there may be: its requests, its age, its key updates."""
import ctypes
import ctypes.util
import socket

import pytest
from hyperframe.frame import PingFrame

from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.frames import ENHANCE_YOUR_CALM, NO_ERROR
from lib.gateway import Gateway

REQUESTS = 5
STREAMS = 4


@pytest.fixture(scope="module")
def gateway(module_place):
    write_file(module_place / "public/index.html", "front")
    with Gateway(module_place, f"""
        [site main]
        root = {module_place}/public
        """, connection_requests=REQUESTS, h2_streams=STREAMS,
            tls_key_updates=10) as gateway:
        yield gateway


def ask(client, proto):
    number = client.request(path="/", scheme=scheme(proto))
    assert client.response(number).status == 200


@pytest.mark.parametrize("proto", ["h1", "h1s"])
def test_requests_of_a_connection(gateway, proto):
    since = gateway.mark()
    with dial(proto, gateway) as client:
        for left in reversed(range(REQUESTS)):
            response = client.fetch("GET", "/")
            assert response.status == 200
            assert (response.get("connection") == "close") == (left == 0)
        assert client.closed()
    gateway.wait_log(f"connection_requests={REQUESTS}", since)


@pytest.mark.parametrize("proto", ["h2", "h2c"])
def test_requests_of_an_h2_connection(gateway, proto):
    """GOAWAY in two steps; those that were under way meanwhile are answered."""
    with dial(proto, gateway) as client:
        for _ in range(REQUESTS - 1):
            ask(client, proto)
        client.ping()
        assert client.goaway is None
        client.auto = False  # no answer to the PING yet
        ask(client, proto)
        assert client.wait(lambda: client.goaway)
        assert client.goaway.last_stream_id == (1 << 31) - 1
        assert client.goaway.error_code == NO_ERROR
        ask(client, proto)
        client.send(PingFrame(0, opaque_data=b"h2cgi ok", flags=["ACK"]))
        assert client.wait_eof()
        assert client.goaway.last_stream_id == 2 * (REQUESTS + 1) - 1


@pytest.mark.parametrize("proto", ["h2", "h2c"])
def test_who_does_not_hear_the_notice(gateway, proto):
    """No answer to the PING, request after request: after two rounds of all streams the last
    one is named."""
    with dial(proto, gateway, auto=False) as client:
        for _ in range(REQUESTS + 2 * STREAMS):
            ask(client, proto)
        assert client.wait_eof()
        assert client.goaway.last_stream_id == 2 * (REQUESTS + 2 * STREAMS) - 1


@pytest.mark.parametrize("proto", ["h1", "h2"])
def test_age(place, start, proto):
    write_file(place / "public/index.html", "front")
    gateway = start(f"""
        [site main]
        root = {place}/public
        """, connection_age="300ms")
    with dial(proto, gateway) as client:
        if is_h2(proto):
            ask(client, proto)
            assert client.wait_eof()
            assert client.goaway.error_code == NO_ERROR
        else:
            assert client.fetch("GET", "/").status == 200
            assert client.closed()
    gateway.wait_log("connection_age=300ms")


class RawTls:
    """A TLS 1.3 client on libssl, which Python's ssl does not let change its keys."""

    UPDATE_REQUESTED = 1

    def __init__(self, address, protocol):
        self.lib = lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        self.sock = socket.create_connection(address, timeout=10)
        self.sock.setblocking(True)
        self.ctx = lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method()))
        self.ssl = ctypes.c_void_p(lib.SSL_new(ctypes.c_void_p(self.ctx)))
        alpn = bytes([len(protocol)]) + protocol
        assert lib.SSL_set_alpn_protos(self.ssl, alpn, len(alpn)) == 0
        lib.SSL_set_fd(self.ssl, self.sock.fileno())
        assert lib.SSL_connect(self.ssl) == 1

    def update_keys(self):
        return self.lib.SSL_key_update(self.ssl, self.UPDATE_REQUESTED) == 1 and \
            self.lib.SSL_do_handshake(self.ssl) == 1

    def write(self, data):
        return self.lib.SSL_write(self.ssl, data, len(data)) == len(data)

    def read_all(self):
        buffer, parts = ctypes.create_string_buffer(16384), []
        while (n := self.lib.SSL_read(self.ssl, buffer, len(buffer))) > 0:
            parts.append(buffer.raw[:n])
        return b"".join(parts)

    def close(self):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(ctypes.c_void_p(self.ctx))
        self.sock.close()


@pytest.mark.parametrize("proto", ["h2", "http/1.1"])
def test_key_updates(gateway, proto):
    since = gateway.mark()
    client = RawTls(gateway.address(tls=True), proto.encode())
    if proto == "h2":
        client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    # No more than it takes: who writes to an end that is gone cannot read what it said before.
    for _ in range(11):
        assert client.update_keys()
    data = client.read_all()
    client.close()
    line = gateway.wait_log("key updates", since)
    assert "11 key updates or renegotiations, limit 10" in line
    if proto == "h2":  # GOAWAY(ENHANCE_YOUR_CALM)
        at = data.index(b"\0\0\x08\7\0\0\0\0\0")
        assert int.from_bytes(data[at + 13:at + 17], "big") == ENHANCE_YOUR_CALM
