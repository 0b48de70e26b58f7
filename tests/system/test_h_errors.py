"""What HTTP/2 forbids: bad heads end a stream, bad frames the connection (RFC 9113 5.4)."""
import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame

from lib.client import dial
from lib.frames import (COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,
                        FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM,
                        STREAM_CLOSED)
from lib.h2site import INDEX, client, gateway, get, proto  # noqa: F401
from lib.message import Refused, Truncated

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
