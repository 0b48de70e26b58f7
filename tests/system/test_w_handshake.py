"""websocket = on: handshakes, good, mistaken and hostile (RFC 6455 4.2, RFC 8441 4)."""
import pytest

from hyperframe.frame import SettingsFrame

from lib.apps import app, write_file
from lib.client import dial
from lib.gateway import Gateway
from lib.message import Refused
from lib.websocket import (ENABLE_CONNECT_PROTOCOL, KEY, answered, connect_fields, handshake,
                           new_key)


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/file", b"file")
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        [route main /echo]
        pool = echo
        websocket = on
        [pool echo]
        spawn = {app("websocket")} --threads 8
        requests_per_process = 8
        """) as gateway:
        yield gateway


# ---- over HTTP/1.1 ----

def but(**changes):
    """The fields of a good one, some changed; None leaves one out, a list repeats it."""
    names = {"upgrade": "Upgrade", "connection": "Connection", "version": "Sec-WebSocket-Version",
             "key": "Sec-WebSocket-Key"}
    values = {"upgrade": "websocket", "connection": "Upgrade", "version": "13", "key": KEY}
    values.update(changes)
    return [(names[name], value) for name, given in values.items() if given is not None
            for value in (given if isinstance(given, list) else [given])]


H1_ROWS = [
    ("key missing", "GET", but(key=None), 400),
    ("key empty", "GET", but(key=""), 400),
    ("key twice", "GET", but(key=[KEY, new_key()]), 400),
    ("key of 15 bytes", "GET", but(key="AAAAAAAAAAAAAAAAAAAA"), 400),
    ("key of 17 bytes", "GET", but(key="AAAAAAAAAAAAAAAAAAAAAAA="), 400),
    ("key of 24 others", "GET", but(key="!" * 24), 400),
    ("key with bits behind its end", "GET", but(key="dGhlIHNhbXBsZSBub25jZR=="), 400),
    ("key with a space", "GET", but(key="dGhlIHNhbXBsZS Bub25jZQ="), 400),
    ("key too long", "GET", but(key=KEY * 50), 400),
    ("version missing", "GET", but(version=None), 400),
    ("version twice", "GET", but(version=["13", "13"]), 400),
    ("version list", "GET", but(version="13, 8"), 426),
    ("version 8", "GET", but(version="8"), 426),
    ("version 013", "GET", but(version="013"), 426),
    ("version none", "GET", but(version=""), 426),
    ("connection missing", "GET", but(connection=None), 400),
    ("connection close", "GET", but(connection="close"), 400),
    ("connection names more", "GET", but(connection="keep-alive, uPGRADE"), 101),
    ("upgrade in capitals", "GET", but(upgrade="WebSocket"), 101),
    ("upgrade in a list", "GET", but(upgrade="h2c, websocket"), 101),
    ("upgrade in two fields", "GET", but(upgrade=["h2c", "websocket"]), 101),
    ("upgrade with a version", "GET", but(upgrade="websocket/13"), 200),
    ("upgrade to h2c", "GET", but(upgrade="h2c"), 200),
    ("head", "HEAD", but(), 400),
    ("post", "POST", but(), 400),
    ("post with a body", "POST", but() + [("Content-Length", "2")], 400),
    ("get with a body", "GET", but() + [("Content-Length", "2")], 400),
    ("get in chunks", "GET", but() + [("Transfer-Encoding", "chunked")], 400),
    ("get with no body", "GET", but() + [("Content-Length", "0")], 101),
]


@pytest.mark.parametrize("method, fields, status", [row[1:] for row in H1_ROWS],
                         ids=[row[0] for row in H1_ROWS])
def test_handshake_h1(gateway, method, fields, status):
    with dial("h1", gateway) as client:
        client.request(method, "/echo", fields)
        body = dict(fields)
        if body.get("Content-Length") == "2":
            client.send(b"ab")
        elif "Transfer-Encoding" in body:
            client.send(b"0\r\n\r\n")
        response = client.head()
        assert response.status == status
        if status in (400, 426):
            assert response.get("sec-websocket-version") == "13"
        assert response.get("upgrade") == ("websocket" if status in (101, 426) else None)
        assert ("Upgrade" in response.all("connection")) == (status in (101, 426))


def test_handshake_of_http_1_0(gateway):
    with dial("h1", gateway) as client:
        lines = "".join(f"{name}: {value}\r\n" for name, value in handshake())
        client.send(f"GET /echo HTTP/1.0\r\nHost: localhost\r\n{lines}\r\n".encode())
        assert answered(client).status == 200


# ---- over HTTP/2 ----

GOOD = connect_fields("/echo") + [("sec-websocket-version", "13")]


def without(name):
    return [(key, value) for key, value in GOOD if key != name]


def changed(name, value):
    return [(key, value if key == name else old) for key, old in GOOD]


H2_ROWS = [
    ("no :path", without(":path"), "reset"),
    ("no :scheme", without(":scheme"), "reset"),
    ("no :authority", without(":authority"), "reset"),
    (":protocol twice", [GOOD[1]] + GOOD, "reset"),
    (":protocol behind a field", without(":protocol") + [GOOD[1]], "reset"),
    (":protocol with GET", changed(":method", "GET"), "reset"),
    ("CONNECT with :path and no :protocol", without(":protocol"), "reset"),
    ("another :protocol", changed(":protocol", "connect-udp"), 501),
    ("an empty :protocol", changed(":protocol", ""), "reset"),
    (":protocol with a space", changed(":protocol", "web socket"), "reset"),
    (":protocol in capitals", changed(":protocol", "WebSocket"), 200),
    ("version missing", without("sec-websocket-version"), 400),
    ("version 8", changed("sec-websocket-version", "8"), 400),
    ("content-length", GOOD + [("content-length", "5")], 400),
    ("a key, which is not used", GOOD + [("sec-websocket-key", "x")], 200),
    ("upgrade", GOOD + [("upgrade", "websocket")], "reset"),
    ("connection", GOOD + [("connection", "upgrade")], "reset"),
    ("an expectation", GOOD + [("expect", "100-continue")], 200),
    ("path of another", changed(":path", "/%2e%2e/%2e%2e/x"), 400),
]


@pytest.mark.parametrize("fields, result", [row[1:] for row in H2_ROWS],
                         ids=[row[0] for row in H2_ROWS])
def test_handshake_h2(gateway, fields, result):
    with dial("h2", gateway) as client:
        number = client.send_headers(fields, end=False)
        stream = client.streams[number]
        assert client.wait(lambda: stream.has_head or stream.reset is not None)
        assert (result == "reset") == (not stream.has_head)
        if stream.has_head:
            assert stream.response.status == result
        if stream.has_head and result != 200:
            # It has no request that could end: the answer is complete at once, then the reset.
            assert client.wait(lambda: stream.ended)
        assert client.fetch("GET", "/file").status == 200


def test_connect_with_end_stream(gateway):
    with dial("h2", gateway) as client:
        assert client.response(client.send_headers(GOOD, end=True)).status == 400


def test_setting_only_where_it_is_on(start, place):
    write_file(place / "public/file", b"file")
    gateway = start(f"""
        [site main]
        root = {place}/public
        """)
    with dial("h2", gateway) as client:
        assert client.fetch("GET", "/file").status == 200
        assert SettingsFrame.MAX_CONCURRENT_STREAMS in client.peer_settings
        assert ENABLE_CONNECT_PROTOCOL not in client.peer_settings
        with pytest.raises(Refused):
            client.response(client.send_headers(GOOD, end=False))
