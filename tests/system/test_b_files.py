"""Static files: types, index, validators; RFC 9110 8.  Conditions and ranges: test_b_cond.py."""
import email.utils
import hashlib
import os

import pytest

from lib.apps import write_file
from lib.gateway import Gateway

DATA = bytes(range(256)) * 4  # 1024 bytes
MTIME = 1700000000
MODIFIED = email.utils.formatdate(MTIME, usegmt=True)


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name in ("data.bin", "page.html", "style.css", "script.js", "note.txt", "pic.png",
                 "plain", "archive.tar.gz", "odd.h2cgi-unknown", "vector.svg"):
        os.utime(write_file(place / "public" / name, DATA), (MTIME, MTIME))
    write_file(place / "public/index.html", "front\n")
    write_file(place / "public/sub/index.html", "sub\n")
    write_file(place / "public/second/two.html", "two\n")
    write_file(place / "public/noindex/file", "x")
    write_file(place / "public/empty", "")
    write_file(place / "public/with space & more", "spaced\n")
    write_file(place / "public/\u00e4\u00f6", "umlaut\n")
    big = write_file(place / "public/big", os.urandom(1 << 20) * 9)
    os.utime(big, (MTIME, MTIME))
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        index = index.html two.html
        """) as gateway:
        yield gateway


@pytest.mark.parametrize("path, kind", [
    ("/page.html", "text/html"),
    ("/style.css", "text/css"),
    ("/script.js", "text/javascript|application/javascript"),
    ("/note.txt", "text/plain"),
    ("/pic.png", "image/png"),
    ("/vector.svg", "image/svg+xml"),
    ("/archive.tar.gz", "application/gzip|application/x-gzip"),
    ("/odd.h2cgi-unknown", "application/octet-stream"),
    ("/plain", "application/octet-stream"),
])
def test_media_type(gateway, path, kind):
    response = gateway.get(path)
    assert response.status == 200
    assert response.get("content-type").split(";")[0] in kind.split("|")


@pytest.mark.parametrize("path, body", [
    ("/", b"front\n"),
    ("/index.html", b"front\n"),
    ("/sub/", b"sub\n"),
    ("/second/", b"two\n"),
    ("/empty", b""),
    ("/data.bin", DATA),
    ("//data.bin", DATA),
    ("/sub/../data.bin", DATA),
    ("/with%20space%20&%20more", b"spaced\n"),
    ("/%c3%a4%C3%B6", b"umlaut\n"),
    ("/data.bin?query", DATA),
])
def test_file(gateway, proto, path, body):
    response = gateway.fetch(proto, path)
    assert (response.status, response.body) == (200, body)
    assert response.get("content-length") == str(len(body))
    assert response.get("accept-ranges") == "bytes"


@pytest.mark.parametrize("path, status", [
    ("/nowhere", 404), ("/sub/nowhere", 404), ("/data.bin/", 404), ("/data.bin/more", 404),
    ("/noindex/", 403), ("/noindex", 301), ("/" + "x" * 300, 404), ("/" + "a/" * 2000, 404),
])
def test_no_file(gateway, proto, path, status):
    assert gateway.fetch(proto, path).status == status


def test_big_file(gateway, proto):
    response = gateway.fetch(proto, "/big")
    expected = (gateway.place / "public/big").read_bytes()
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(expected).digest()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROB"])
def test_other_methods(gateway, proto, method):
    response = gateway.fetch(proto, "/data.bin", method=method)
    assert response.status == 405
    assert {"GET", "HEAD"} <= set(response.get("allow").replace(" ", "").split(","))


def test_validators(gateway, proto):
    response = gateway.fetch(proto, "/data.bin")
    assert response.get("last-modified") == MODIFIED
    etag = response.get("etag")
    assert etag.startswith('"') and etag.endswith('"') and len(etag) > 3
    assert gateway.fetch(proto, "/page.html").get("etag") is not None


def test_etag_changes_with_the_file(gateway):
    path = gateway.place / "public/changing"
    write_file(path, "one")
    first = gateway.get("/changing").get("etag")
    write_file(path, "three")
    assert gateway.get("/changing").get("etag") != first


def test_range_of_a_big_file(gateway, proto):
    response = gateway.fetch(proto, "/big", headers=[("Range", "bytes=5000000-8999999")])
    with open(gateway.place / "public/big", "rb") as f:
        f.seek(5000000)
        assert response.body == f.read(4000000)


def test_file_that_shrinks_ends_the_response(gateway, proto):
    """Less than announced is truncated, and the gateway goes on."""
    from lib.client import dial, is_h2, scheme
    from lib.message import Refused, Truncated
    path = write_file(gateway.place / f"public/shrinking-{proto}", b"x" * (64 << 20))
    options = {"flow": False} if is_h2(proto) else {"rcvbuf": 4096}
    with dial(proto, gateway, **options) as client:
        if is_h2(proto):
            number = client.request("GET", f"/shrinking-{proto}", scheme=scheme(proto))
            client.wait(lambda: client.streams[number].has_head)
            os.truncate(path, 1000)
            client.flow = True
            from hyperframe.frame import WindowUpdateFrame
            client.send(WindowUpdateFrame(0, window_increment=1 << 30),
                        WindowUpdateFrame(number, window_increment=1 << 30))
            with pytest.raises((Truncated, Refused)):
                client.response(number)
        else:
            client.request("GET", f"/shrinking-{proto}")
            client.more()
            os.truncate(path, 1000)
            with pytest.raises(Truncated):
                client.response()
    assert gateway.fetch(proto, "/data.bin").body == DATA
