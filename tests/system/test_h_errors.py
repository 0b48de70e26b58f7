"""Requests by HTTP/2 that are well formed and refused: an answer, and the connection goes on.
What is malformed, and what breaks the connection, is in h2_rows."""
import pytest
from hyperframe.frame import ContinuationFrame, HeadersFrame

from lib.client import dial
from lib.h2site import INDEX, client, gateway, get, proto  # noqa: F401


@pytest.mark.parametrize("path, status", [("/bad%zz", 400), ("/a%00", 400), ("/../x", 400)])
def test_bad_path_is_400(client, path, status):
    """Well-formed for HTTP/2, refused by the router: an answer, not a reset."""
    number = client.send_headers(get(path))
    assert client.response(number).status == status


@pytest.mark.parametrize("fields, status", [
    ([(":method", "CONNECT"), (":authority", "localhost:80")], 405),
    ([(":method", "OPTIONS"), (":scheme", "https"), (":authority", "localhost"),
      (":path", "*")], 204)], ids=["connect", "asterisk"])
def test_connect_and_asterisk_do_not_reach_applications(gateway, client, fields, status):
    n = len(gateway.backend.requests)
    assert client.response(client.send_headers(fields)).status == status
    assert client.fetch().body == INDEX
    assert len(gateway.backend.requests) == n


def test_head_too_large(gateway, proto):
    """431 where the list is over the announced size; the connection goes on."""
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
