"""HTTP/2 over TLS and plain: preface, ALPN, settings, ordinary requests, other clients."""
import ssl
import subprocess

import pytest
from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame,
                              PriorityFrame, SettingsFrame)

from lib.apps import need
from lib.client import curl, dial
from lib.frames import H2, PREFACE, PROTOCOL_ERROR, REFUSED_STREAM
from lib.h1 import H1, render, tls_context
from lib.h2site import INDEX, client, gateway, get, proto  # noqa: F401
from lib.message import Refused


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
    import httpx  # takes as long as all other modules, in each worker of pytest
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
