"""HTTP/2 frame by frame over TLS and plain: preface, flow control, malformed heads, ends."""
import signal
import socket
import subprocess

import httpx
import pytest
from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame,
                              PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from lib.apps import need, write_file
from lib.client import curl, dial
from lib.frames import (CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,
                        FRAME_SIZE_ERROR, H2, NO_ERROR, PREFACE, PROTOCOL_ERROR,
                        REFUSED_STREAM, STREAM_CLOSED)
from lib.gateway import Gateway
from lib.h1 import H1, render, tls_context
from lib.message import Refused, Truncated
from peers.fcgi import OK_HEAD, Backend, keeping

INDEX = b"front page\n"


def respond(request):
    head = OK_HEAD
    fields = "".join(f"{name}={value}\n" for name, value in request.pairs
                     if name in ("REQUEST_METHOD", "QUERY_STRING", "HTTP_PRIORITY"))
    return head + fields.encode() + b"%d:" % len(request.body) + request.body


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", INDEX)
    write_file(place / "public/big", b"0123456789abcdef" * (1 << 18))  # 4 MiB
    with Backend(str(place / "app.sock"), keeping(respond)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            [route main /limited/]
            pool = app
            body_limit = 100K
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            gateway.backend = backend
            yield gateway
        assert backend.errors == []


@pytest.fixture(params=["h2", "h2c"])
def proto(request):
    return request.param


@pytest.fixture
def client(gateway, proto):
    with dial(proto, gateway) as client:
        yield client


def get(path="/", **extra):
    fields = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": path}
    fields.update({name.replace("_", "-"): value for name, value in extra.items()})
    return list(fields.items())


# ---- which protocol ----

@pytest.mark.parametrize("offered, chosen", [
    (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"),
    (["h2"], "h2"), ([], None)])
def test_alpn(gateway, offered, chosen):
    with H1(gateway.address(tls=True), tls=True, context=tls_context(offered)) as client:
        assert client.sock.selected_alpn_protocol() == chosen
        if chosen != "h2":
            assert client.fetch("GET", "/").body == INDEX


def test_alpn_without_common_protocol(gateway):
    import ssl
    try:
        with H1(gateway.address(tls=True), tls=True, context=tls_context(["spdy/3"])) as client:
            assert client.sock.selected_alpn_protocol() is None
            assert client.fetch("GET", "/").body == INDEX
    except ssl.SSLError as error:
        assert "no application protocol" in str(error).lower().replace("_", " ")


def test_preface_tells_on_the_plain_port(gateway):
    with H2(gateway.address(), tls=False) as two, H1(gateway.address()) as one:
        assert two.fetch(scheme="http").body == INDEX
        assert one.fetch("GET", "/").body == INDEX


def test_preface_byte_by_byte(gateway, proto):
    with dial(proto, gateway, preface=False) as client:
        for byte in PREFACE + SettingsFrame(0).serialize():
            client.raw(bytes([byte]))
        assert client.fetch().body == INDEX


def test_preface_and_request_in_one_write(gateway, proto):
    with dial(proto, gateway, preface=False) as client:
        number = client.open_stream()
        client.raw(PREFACE + SettingsFrame(0).serialize() +
                   client.headers_frame(number, get()).serialize())
        assert client.response(number).body == INDEX


@pytest.mark.parametrize("start", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI / HTTP/1.1\r\n\r\n",
                                   b"PRIX * HTTP/2.0\r\n\r\n"])
def test_almost_a_preface_on_the_plain_port(gateway, start):
    """Not HTTP/2, so an HTTP/1.1 parser's refusal (or a GOAWAY); never silence."""
    with H1(gateway.address()) as client:
        client.send(start)
        data = client.take_all()
        assert data.startswith(b"HTTP/1.1 4") or data.startswith(b"HTTP/1.1 5") \
            or b"\x07\0\0\0\0\0" in data or data == b""


def test_wrong_preface_under_tls(gateway):
    with H2(gateway.address(tls=True), tls=True, preface=False) as client:
        client.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.wait_eof()


def test_first_frame_must_be_settings(gateway, proto):
    with dial(proto, gateway, preface=False) as client:
        client.raw(PREFACE)
        client.send(PingFrame(0, opaque_data=b"12345678"))
        assert client.wait_goaway() == PROTOCOL_ERROR


def test_server_settings(client):
    """RFC 9113 3.4, 6.5.2; RFC 9218 2.1."""
    client.wait(lambda: client.peer_settings)
    settings = client.peer_settings
    assert settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    assert settings[SettingsFrame.MAX_HEADER_LIST_SIZE] == 65536
    assert settings[9] == 1  # SETTINGS_NO_RFC7540_PRIORITIES
    assert settings.get(SettingsFrame.ENABLE_PUSH, 0) == 0


# ---- ordinary requests ----

def test_request(client):
    response = client.fetch()
    assert (response.status, response.body) == (200, INDEX)
    assert response.get("date") and response.get("server")
    assert response.get("connection") is None


def test_many_at_once(client):
    """A hundred streams in one write, answers in any order."""
    numbers = [client.open_stream() for _ in range(100)]
    client.send(*[client.headers_frame(number, get(f"/app/?{number}")) for number in numbers])
    for number in numbers:
        assert f"QUERY_STRING={number}\n" in client.response(number).text


def test_more_than_max_concurrent_streams(gateway, proto):
    """RFC 9113 5.1.2: the one over the limit is refused, the others are served."""
    with dial(proto, gateway) as client:
        client.wait(lambda: client.peer_settings)
        numbers = [client.request("POST", "/app/x", [], None, scheme="https", end=False)
                   for _ in range(100)]
        over = client.request("POST", "/app/x", end=False)
        with pytest.raises(Refused) as caught:
            client.response(over)
        if caught.value.goaway is not None:  # who has acknowledged the limit should know it
            assert caught.value.goaway == PROTOCOL_ERROR
        else:
            assert caught.value.code in (REFUSED_STREAM, PROTOCOL_ERROR)
            for number in numbers:
                client.send_body(number, b"x")
            for number in numbers:
                assert client.response(number).text.endswith("1:x")


def test_body_with_and_without_length(client):
    for headers in ([("content-length", "5")], []):
        number = client.request("POST", "/app/x", headers, b"hello")
        assert client.response(number).text.endswith("5:hello")


def test_trailers_after_a_body(client):
    """Request trailers are taken and dropped."""
    number = client.request("POST", "/app/x", end=False)
    client.send(DataFrame(number, data=b"hello"))
    client.send(client.headers_frame(number, [("x-sum", "1")]))
    assert client.response(number).text.endswith("5:hello")


def test_padding_and_empty_data(client):
    number = client.request("POST", "/app/x", end=False)
    for data in (b"he", b"", b"llo"):
        client.send(DataFrame(number, data=data, pad_length=200, flags=["PADDED"]))
    client.send(DataFrame(number, flags=["END_STREAM"]))
    assert client.response(number).text.endswith("5:hello")


def test_head_in_continuations(client):
    number = client.open_stream()
    block = client.encoder.encode(get(x_long="v" * 3000))
    frames = [HeadersFrame(number, data=block[:10], flags=["END_STREAM"])]
    frames += [ContinuationFrame(number, data=block[10:1000])]
    frames += [ContinuationFrame(number, data=block[1000:], flags=["END_HEADERS"])]
    client.send(*frames)
    assert client.response(number).body == INDEX


def test_head_request(client):
    for path in ("/", "/big", "/app/x", "/nowhere"):
        response = client.fetch("HEAD", path)
        assert response.body == b""


def test_expect_continue(client):
    number = client.request("POST", "/app/x", [("expect", "100-continue")], end=False)
    assert client.wait(lambda: client.streams[number].response.interim)
    assert client.streams[number].response.interim[0].status == 100
    client.send_body(number, b"hello")
    assert client.response(number).text.endswith("5:hello")


def test_priority_is_taken(client):
    """RFC 7540 priority and RFC 9218's field do no harm; the field reaches applications."""
    number = client.open_stream()
    frame = client.headers_frame(number, get("/app/x", priority="u=1, i"))
    frame.flags.add("PRIORITY")
    frame.depends_on, frame.stream_weight, frame.exclusive = 0, 10, False
    client.send(frame, PriorityFrame(number, depends_on=0, stream_weight=3))
    assert "HTTP_PRIORITY=u=1, i\n" in client.response(number).text


def test_unknown_frames_and_settings_are_ignored(client):
    client.raw(b"\0\0\4\xfa\0\0\0\0\0abcd" + b"\0\0\4\xfb\0\0\0\0\x63abcd")
    client.send(SettingsFrame(0, settings={0xf0f0: 7}))
    assert client.fetch().body == INDEX


# ---- flow control ----

@pytest.mark.parametrize("window", [1, 100, 16384, 65535, 1 << 20])
def test_response_keeps_to_the_stream_window(gateway, proto, window):
    if window == 1:
        path, size = "/", len(INDEX)
    else:
        path, size = "/big", 4 << 20
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: window}
    with dial(proto, gateway, settings=settings, flow=False) as client:
        number = client.request(path=path)
        granted = min(window, 65535)
        client.send(WindowUpdateFrame(0, window_increment=1 << 30))
        granted = window
        while not client.streams[number].ended and granted < 40 * window:
            assert client.wait(lambda: len(client.body_so_far(number)) >= min(granted, size))
            assert client.ping()  # nothing more is under way
            assert len(client.body_so_far(number)) <= granted
            client.send(WindowUpdateFrame(number, window_increment=window))
            granted += window
        client.flow = True
        client.send(WindowUpdateFrame(number, window_increment=1 << 24))
        assert len(client.response(number).body) == size


def test_response_keeps_to_the_connection_window(gateway, proto):
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 24}
    with dial(proto, gateway, settings=settings, flow=False) as client:
        one, two = client.request(path="/big"), client.request(path="/big")

        def total():
            return len(client.body_so_far(one)) + len(client.body_so_far(two))

        assert client.wait(lambda: total() >= 65535)
        assert client.ping()
        assert total() == 65535
        client.send(WindowUpdateFrame(0, window_increment=1 << 24))
        assert len(client.response(one).body) == len(client.response(two).body) == 4 << 20


def test_window_zero_then_open(gateway, proto):
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 0}
    with dial(proto, gateway, settings=settings) as client:
        number = client.request()
        assert client.wait(lambda: client.streams[number].has_head)
        assert client.ping()
        assert client.body_so_far(number) == b""
        client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65535}))
        assert client.response(number).body == INDEX


def test_window_made_negative(gateway, proto):
    """RFC 9113 6.9.2: a smaller INITIAL_WINDOW_SIZE counts for open streams too."""
    with dial(proto, gateway, flow=False) as client:
        client.send(WindowUpdateFrame(0, window_increment=1 << 24))
        number = client.request(path="/big")
        assert client.wait(lambda: len(client.body_so_far(number)) == 65535)
        client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0}))
        client.send(WindowUpdateFrame(number, window_increment=65535))  # back to 0
        assert client.ping()
        assert len(client.body_so_far(number)) == 65535
        client.send(WindowUpdateFrame(number, window_increment=1 << 24))
        assert len(client.response(number).body) == 4 << 20


def test_upload_is_held_to_the_window(place, start, proto):
    """An application that does not read stops the client: memory stays bounded."""
    import threading
    go = threading.Event()

    def serve(conn):
        request = conn.begin()
        go.wait(20)
        conn.stdin(request)
        from peers.fcgi import answer
        conn.send(answer(request.number, OK_HEAD + b"%d" % len(request.body)))

    with Backend(str(place / "app.sock"), serve):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """)
        size = 16 << 20
        with dial(proto, gateway) as client:
            client.wait(lambda: client.peer_settings)
            number = client.request("POST", "/x", [("content-length", str(size))], end=False)
            sent = client.send_until_stuck(number, size)
            assert sent < 4 << 20, "the gateway took what nobody reads"
            go.set()
            client.send_body(number, b"x" * (size - sent))
            assert client.response(number, 60).body == str(size).encode()


def test_credit_of_refused_bodies_is_given_back(client):
    """Bodies that nobody reads (404, 413, reset) must not eat the connection's window."""
    client.wait(lambda: client.peer_settings)
    for i in range(60):
        path = ("/nowhere", "/limited/x")[i % 2]
        number = client.request("POST", path, end=False)
        client.send_body(number, b"x" * 60000)
        if i % 3 == 0:
            client.send(RstStreamFrame(number, error_code=CANCEL))
        else:
            try:
                assert client.response(number).status in (404, 405, 200)
            except (Refused, Truncated):
                pass
    number = client.request("POST", "/app/x", [], b"y" * 200000)
    assert len(client.response(number).body) > 200000


# ---- malformed heads: RST_STREAM PROTOCOL_ERROR, and the connection goes on ----

MALFORMED = [
    ("upper_case_name", get() + [("X-Upper", "1")]),
    ("space_in_name", get() + [("x y", "1")]),
    ("colon_in_name", get() + [("x:y", "1")]),
    ("empty_name", get() + [("", "1")]),
    ("nul_in_value", get() + [("x", "a\0b")]),
    ("cr_in_value", get() + [("x", "a\rb")]),
    ("lf_in_value", get() + [("x", "a\nb")]),
    ("connection", get() + [("connection", "keep-alive")]),
    ("keep_alive", get() + [("keep-alive", "1")]),
    ("proxy_connection", get() + [("proxy-connection", "1")]),
    ("transfer_encoding", get() + [("transfer-encoding", "chunked")]),
    ("upgrade", get() + [("upgrade", "h2c")]),
    ("te_gzip", get() + [("te", "gzip")]),
    ("pseudo_after_field", [("x", "1")] + get()),
    ("no_method", get()[1:]),
    ("no_scheme", [f for f in get() if f[0] != ":scheme"]),
    ("no_path", [f for f in get() if f[0] != ":path"]),
    ("empty_path", get("")),
    ("two_methods", get()[:1] + get()),
    ("two_paths", get() + [(":path", "/")]),
    ("status_in_request", [(":status", "200")] + get()),
    ("unknown_pseudo", [(":own", "1")] + get()),
    ("userinfo", [(":method", "GET"), (":scheme", "https"), (":authority", "u@localhost"),
                  (":path", "/")]),
    ("host_against_authority", get() + [("host", "other.example")]),
    ("two_hosts", [f for f in get() if f[0] != ":authority"] + [("host", "a"), ("host", "a")]),
    ("bad_authority", [(":method", "GET"), (":scheme", "https"), (":authority", "a b"),
                       (":path", "/")]),
    ("length_not_a_number", get() + [("content-length", "x")]),
    ("two_lengths", get() + [("content-length", "1"), ("content-length", "2")]),
    ("length_without_body", get() + [("content-length", "5")]),
    ("path_without_slash", get("index.html")),
]


@pytest.mark.parametrize("row", MALFORMED, ids=lambda row: row[0])
def test_malformed_head(gateway, client, row):
    n = len(gateway.backend.requests)
    number = client.send_headers(row[1])
    with pytest.raises(Refused) as caught:
        client.response(number)
    if caught.value.code is None:  # a connection error is stricter, and allowed
        assert caught.value.goaway in (PROTOCOL_ERROR, COMPRESSION_ERROR)
    else:
        assert caught.value.code == PROTOCOL_ERROR
        assert client.fetch().body == INDEX, "the connection did not go on"
    assert len(gateway.backend.requests) == n


def test_te_trailers_is_fine(client):
    number = client.send_headers(get() + [("te", "trailers")])
    assert client.response(number).body == INDEX


@pytest.mark.parametrize("data", [b"hell", b"hello!"])
def test_body_against_content_length(client, data):
    number = client.request("POST", "/app/x", [("content-length", "5")], data)
    with pytest.raises((Refused, Truncated)) as caught:
        client.response(number)
    assert caught.value.code == PROTOCOL_ERROR
    assert client.fetch().body == INDEX


@pytest.mark.parametrize("path, status", [("/bad%zz", 400), ("/a%00", 400), ("/../x", 400)])
def test_bad_path_is_400(client, path, status):
    """Well-formed for HTTP/2, refused by the router: an answer, not a reset."""
    number = client.send_headers(get(path))
    assert client.response(number).status == status


def test_connect_and_asterisk_do_not_reach_applications(gateway, client):
    n = len(gateway.backend.requests)
    for fields in ([(":method", "CONNECT"), (":authority", "localhost:80")],
                   [(":method", "OPTIONS"), (":scheme", "https"), (":authority", "localhost"),
                    (":path", "*")]):
        number = client.send_headers(fields)
        try:
            assert client.response(number).status in (200, 204, 400, 405, 501)
        except Refused as error:
            assert error.code in (PROTOCOL_ERROR, REFUSED_STREAM)
    assert len(gateway.backend.requests) == n
    assert client.fetch().body == INDEX


def test_head_too_large(gateway, proto):
    """431 or a reset where the list is over the announced size; the connection goes on."""
    with dial(proto, gateway) as client:
        number = client.open_stream()
        block = client.encoder.encode(get() + [(f"x-{i}", "v" * 1000) for i in range(90)])
        pieces = [block[i:i + 16384] for i in range(0, len(block), 16384)]
        client.send(HeadersFrame(number, data=pieces[0], flags=["END_STREAM"]),
                    *[ContinuationFrame(number, data=piece) for piece in pieces[1:-1]],
                    ContinuationFrame(number, data=pieces[-1], flags=["END_HEADERS"]))
        assert client.response(number).status == 431
        assert client.fetch().body == INDEX


def test_too_many_fields(client):
    number = client.send_headers(get() + [("x", "y")] * 200)
    assert client.response(number).status == 431
    assert client.fetch().body == INDEX


def test_hpack_bomb(client):
    """One big entry referred to again and again."""
    number = client.open_stream()
    block = client.encoder.encode(get() + [("x-big", "v" * 3900)])
    index = client.encoder.encode([("x-big", "v" * 3900)])
    client.send(HeadersFrame(number, data=block + index * 4000,
                             flags=["END_STREAM", "END_HEADERS"]))
    try:
        assert client.response(number).status == 431
    except Refused as error:
        assert error.code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, NO_ERROR) or \
            error.goaway in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, COMPRESSION_ERROR)


# ---- connection errors: name, bytes, GOAWAY codes ----

def frame(kind, flags, number, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(
        4, "big") + payload


CONNECTION_ERRORS = [
    ("data_on_stream_0", frame(0, 0, 0, b"x"), [PROTOCOL_ERROR]),
    ("data_on_idle_stream", frame(0, 0, 99, b"x"), [PROTOCOL_ERROR, STREAM_CLOSED]),
    ("headers_on_stream_0", frame(1, 5, 0, b"\x82"), [PROTOCOL_ERROR]),
    ("headers_on_even_stream", frame(1, 5, 2, b"\x82\x84\x87"), [PROTOCOL_ERROR]),
    ("rst_on_idle_stream", frame(3, 0, 99, b"\0\0\0\x08"), [PROTOCOL_ERROR]),
    ("rst_on_stream_0", frame(3, 0, 0, b"\0\0\0\x08"), [PROTOCOL_ERROR]),
    ("rst_too_short", frame(3, 0, 1, b"\0\0\0"), [FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
    ("settings_on_stream", frame(4, 0, 1), [PROTOCOL_ERROR]),
    ("settings_size", frame(4, 0, 0, b"\0" * 5), [FRAME_SIZE_ERROR]),
    ("settings_ack_with_payload", frame(4, 1, 0, b"\0" * 6), [FRAME_SIZE_ERROR]),
    ("settings_push_2", frame(4, 0, 0, b"\0\x02\0\0\0\x02"), [PROTOCOL_ERROR]),
    ("settings_window", frame(4, 0, 0, b"\0\x04\xff\xff\xff\xff"), [FLOW_CONTROL_ERROR]),
    ("settings_frame_size", frame(4, 0, 0, b"\0\x05\0\0\0\x01"), [PROTOCOL_ERROR]),
    ("push_promise", frame(5, 4, 1, b"\0\0\0\x02\x82"), [PROTOCOL_ERROR]),
    ("ping_on_stream", frame(6, 0, 1, b"12345678"), [PROTOCOL_ERROR]),
    ("ping_size", frame(6, 0, 0, b"1234567"), [FRAME_SIZE_ERROR]),
    ("goaway_on_stream", frame(7, 0, 1, b"\0" * 8), [PROTOCOL_ERROR]),
    ("goaway_size", frame(7, 0, 0, b"\0" * 7), [FRAME_SIZE_ERROR]),
    ("window_update_0", frame(8, 0, 0, b"\0\0\0\0"), [PROTOCOL_ERROR]),
    ("window_update_size", frame(8, 0, 0, b"\0\0\0"), [FRAME_SIZE_ERROR]),
    ("window_update_overflow", frame(8, 0, 0, b"\x7f\xff\xff\xff"), [FLOW_CONTROL_ERROR]),
    ("continuation_alone", frame(9, 4, 1, b"\x82"), [PROTOCOL_ERROR]),
    ("frame_too_long", frame(0xfa, 0, 0, b"x" * 16385), [FRAME_SIZE_ERROR]),
    ("bad_hpack", frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff"), [COMPRESSION_ERROR]),
    ("headers_then_ping", frame(1, 1, 1, b"\x82") + frame(6, 0, 0, b"12345678"),
     [PROTOCOL_ERROR]),
    ("headers_then_other_continuation", frame(1, 1, 1, b"\x82") + frame(9, 4, 3, b"\x84"),
     [PROTOCOL_ERROR]),
    ("padding_too_long", frame(1, 5 | 8, 1, b"\x40\x82"), [PROTOCOL_ERROR]),
]


@pytest.mark.parametrize("row", CONNECTION_ERRORS, ids=lambda row: row[0])
def test_connection_error(gateway, client, row):
    _, data, codes = row
    client.wait(lambda: client.peer_settings)
    client.raw(data)
    assert client.wait_goaway() in codes
    assert client.wait_eof()
    assert gateway.get("/").body == INDEX


def test_data_after_end_stream(client):
    number = client.request(path="/big")
    client.send(DataFrame(number, data=b"x"))
    client.wait(lambda: client.goaway or client.streams[number].reset is not None)
    code = client.goaway.error_code if client.goaway else client.streams[number].reset
    assert code in (STREAM_CLOSED, PROTOCOL_ERROR)


def test_upload_over_the_window_is_a_flow_control_error(gateway, proto):
    with dial(proto, gateway) as client:
        client.wait(lambda: client.peer_settings)
        number = client.request("POST", "/app/x", [("content-length", "90000000")], end=False)
        for _ in range(200):
            if not client.try_send(DataFrame(number, data=b"x" * 16384)):
                break
        client.wait(lambda: client.goaway or client.streams[number].reset is not None)
        code = client.goaway.error_code if client.goaway else client.streams[number].reset
        assert code == FLOW_CONTROL_ERROR


# ---- ends ----

def test_client_goaway_lets_streams_finish(client):
    from hyperframe.frame import GoAwayFrame
    number = client.request(path="/big")
    client.send(GoAwayFrame(0, last_stream_id=0, error_code=0))
    assert len(client.response(number).body) == 4 << 20
    assert client.wait_eof()


def test_client_that_half_closes_the_plain_socket(gateway):
    with H2(gateway.address(), tls=False) as client:
        number = client.request(path="/big", scheme="http")
        client.wait(lambda: client.streams[number].has_head)
        client.flow = False
        client.send(WindowUpdateFrame(0, window_increment=1 << 24),
                    WindowUpdateFrame(number, window_increment=1 << 24))
        client.sock.shutdown(socket.SHUT_WR)
        assert len(client.response(number).body) == 4 << 20


def test_drain(place, start, proto):
    """SIGQUIT: GOAWAY, what is under way finishes, then the connection and all ends."""
    import os
    import threading
    go, entered = threading.Event(), threading.Semaphore(0)

    def respond_later(request):
        entered.release()
        go.wait(20)
        return OK_HEAD + b"finished\n"

    with Backend(str(place / "app.sock"), keeping(respond_later)):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """)
        with dial(proto, gateway) as client:
            number = client.request(path="/x")
            assert entered.acquire(timeout=10)
            os.kill(gateway.pid, signal.SIGQUIT)
            assert client.wait_goaway() == NO_ERROR
            go.set()
            assert client.response(number).body == b"finished\n"
            assert client.wait_eof()
            assert client.goaway.last_stream_id == number
        gateway.finish()


def test_drain_of_http1(place, start):
    import os
    import threading
    go, entered = threading.Event(), threading.Semaphore(0)

    def respond_later(request):
        entered.release()
        go.wait(20)
        return OK_HEAD + b"finished\n"

    with Backend(str(place / "app.sock"), keeping(respond_later)):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """)
        with H1(gateway.address()) as busy, H1(gateway.address()) as idle:
            go.set()
            assert idle.fetch("GET", "/x").status == 200
            assert entered.acquire(timeout=10)
            go.clear()
            busy.request("GET", "/x")
            assert entered.acquire(timeout=10)
            os.kill(gateway.pid, signal.SIGQUIT)
            assert idle.closed()
            with pytest.raises(OSError):
                for _ in range(1000):
                    socket.create_connection(gateway.address(), timeout=1).close()
            go.set()
            response = busy.response()
            assert response.body == b"finished\n"
            assert busy.closed()
        gateway.finish()


# ---- other clients ----

def test_curl(gateway, proto):
    response = curl(proto, gateway, "/")
    assert (response.version, response.body) == ("HTTP/2", INDEX)
    response = curl(proto, gateway, "/app/x", "--data-binary", "@-", input=b"z" * 500000)
    assert response.body.endswith(b"500000:" + b"z" * 500000)


def test_curl_http11_on_the_same_ports(gateway):
    for name in ("h1", "h1s"):
        response = curl(name, gateway, "/")
        assert (response.version, response.body) == ("HTTP/1.1", INDEX)


def test_nghttp(gateway, proto):
    done = subprocess.run([need("nghttp"), "-v", "--no-verify-peer",
                           gateway.url(proto, "/"), gateway.url(proto, "/app/x?y")],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    assert done.stdout.count(":status: 200") == 2
    assert "QUERY_STRING=y" in done.stdout


def test_httpx(gateway):
    with httpx.Client(http2=True, verify=False) as client:
        response = client.post(gateway.url("h2", "/app/x"), content=b"abc")
        assert response.http_version == "HTTP/2"
        assert response.text.endswith("3:abc")


@pytest.mark.threads
def test_h2load(gateway, proto):
    done = subprocess.run([need("h2load"), "-n", "3000", "-c", "8", "-m", "16",
                           gateway.url(proto, "/app/x")],
                          capture_output=True, text=True, timeout=110)
    assert "status codes: 3000 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout


def test_render_is_not_http2(gateway):
    """The plain port keeps both apart on one address, request by request."""
    for _ in range(20):
        with H1(gateway.address()) as one:
            one.send(render("GET", "/"))
            assert one.response().body == INDEX
        with H2(gateway.address(), tls=False) as two:
            assert two.fetch(scheme="http").body == INDEX
