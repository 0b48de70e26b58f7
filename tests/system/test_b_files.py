"""Static files: types, index, validators, conditions, one range; RFC 9110 8, 13, 14."""
import email.utils
import hashlib
import os

import pytest

from lib.apps import write_file
from lib.gateway import Gateway
from lib.h1 import H1

DATA = bytes(range(256)) * 4  # 1024 bytes
MTIME = 1700000000
MODIFIED = email.utils.formatdate(MTIME, usegmt=True)
EARLIER = email.utils.formatdate(MTIME - 60, usegmt=True)
LATER = email.utils.formatdate(MTIME + 60, usegmt=True)


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


# fields (ETAG stands for the file's), status; RFC 9110 13.1, 13.2.2
CONDITIONS = [
    ([("If-Modified-Since", MODIFIED)], 304),
    ([("If-Modified-Since", LATER)], 304),
    ([("If-Modified-Since", EARLIER)], 200),
    ([("If-Modified-Since", "not a date")], 200),
    ([("If-None-Match", "ETAG")], 304),
    ([("If-None-Match", "W/ETAG")], 304),
    ([("If-None-Match", '"other", ETAG')], 304),
    ([("If-None-Match", '"other"')], 200),
    ([("If-None-Match", "*")], 304),
    ([("If-None-Match", '"other"'), ("If-Modified-Since", MODIFIED)], 200),  # 13.2.2: ignored
    ([("If-None-Match", "ETAG"), ("If-Modified-Since", EARLIER)], 304),
    ([("If-Match", "ETAG")], 200),
    ([("If-Match", "*")], 200),
    ([("If-Match", '"other"')], 412),
    ([("If-Match", "W/ETAG")], 412),  # 13.1.1: strong comparison
    ([("If-Unmodified-Since", MODIFIED)], 200),
    ([("If-Unmodified-Since", EARLIER)], 412),
    ([("If-Match", "ETAG"), ("If-Unmodified-Since", EARLIER)], 200),
]


@pytest.mark.parametrize("row", CONDITIONS, ids=lambda row: "+".join(n for n, _ in row[0]))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(gateway, method, row):
    fields, status = row
    with H1(gateway.address()) as client:
        etag = client.fetch("GET", "/data.bin").get("etag")
        fields = [(name, value.replace("ETAG", etag)) for name, value in fields]
        response = client.fetch(method, "/data.bin", fields)
        assert response.status == status
        if status == 304:
            assert response.get("etag") == etag
            assert response.get("content-type") is None
        if status == 200 and method == "GET":
            assert response.body == DATA
        assert client.fetch("GET", "/empty").status == 200  # still in step


def test_not_modified_over_http2(gateway):
    etag = gateway.fetch("h2", "/data.bin").get("etag")
    response = gateway.fetch("h2", "/data.bin", headers=[("If-None-Match", etag)])
    assert (response.status, response.body) == (304, b"")


# Range, status, first and last byte of the part; RFC 9110 14.1.2, 14.2
RANGES = [
    ("bytes=0-0", 206, 0, 0),
    ("bytes=0-99", 206, 0, 99),
    ("bytes=100-199", 206, 100, 199),
    ("bytes=1023-1023", 206, 1023, 1023),
    ("bytes=1000-", 206, 1000, 1023),
    ("bytes=1000-2000", 206, 1000, 1023),
    ("bytes=0-18446744073709551615", 206, 0, 1023),
    ("bytes=-1", 206, 1023, 1023),
    ("bytes=-100", 206, 924, 1023),
    ("bytes=-1024", 206, 0, 1023),
    ("bytes=-5000", 206, 0, 1023),
    ("Bytes=0-9", 206, 0, 9),
    ("bytes=1024-", 416, None, None),
    ("bytes=5000-6000", 416, None, None),
    ("bytes=-0", 416, None, None),
    ("bytes=9-5", 200, None, None),
    ("bytes=a-b", 200, None, None),
    ("bytes=5", 200, None, None),
    ("bytes=-", 200, None, None),
    ("bytes=--5", 200, None, None),
    ("lines=1-2", 200, None, None),
    ("bytes 0-5", 200, None, None),
    ("bytes=99999999999999999999999-", 416, None, None),
    ("bytes=0-0,5-9", 200, None, None),  # several ranges come later: the whole file
]


@pytest.mark.parametrize("spec, status, first, last", RANGES)
def test_range(gateway, spec, status, first, last):
    response = gateway.get("/data.bin", headers=[("Range", spec)])
    assert response.status == status
    if status == 206:
        assert response.body == DATA[first:last + 1]
        assert response.get("content-range") == f"bytes {first}-{last}/1024"
    elif status == 416:
        assert response.get("content-range") == "bytes */1024"
    else:
        assert response.body == DATA
        assert response.get("content-range") is None


def test_range_over_http2(gateway):
    response = gateway.fetch("h2", "/data.bin", headers=[("range", "bytes=10-19")])
    assert (response.status, response.body) == (206, DATA[10:20])


def test_range_of_a_big_file(gateway, proto):
    response = gateway.fetch(proto, "/big", headers=[("Range", "bytes=5000000-8999999")])
    with open(gateway.place / "public/big", "rb") as f:
        f.seek(5000000)
        assert response.body == f.read(4000000)


def test_range_of_an_empty_file(gateway):
    response = gateway.get("/empty", headers=[("Range", "bytes=0-")])
    assert response.status == 416


def test_range_is_ignored_for_head(gateway):
    """RFC 9110 14.2: defined for GET only."""
    response = gateway.get("/data.bin", method="HEAD", headers=[("Range", "bytes=0-9")])
    assert response.status == 200
    assert response.get("content-length") == "1024"


def test_condition_before_range(gateway):
    etag = gateway.get("/data.bin").get("etag")
    response = gateway.get("/data.bin", headers=[("Range", "bytes=0-9"),
                                                 ("If-None-Match", etag)])
    assert response.status == 304


@pytest.mark.parametrize("value, status", [
    ("ETAG", 206), ('"other"', 200), ("W/ETAG", 200), (EARLIER, 200), (MODIFIED, 206)])
def test_if_range(gateway, value, status):
    """RFC 9110 13.1.5; a date is strong here: the file is much older than a second."""
    etag = gateway.get("/data.bin").get("etag")
    response = gateway.get("/data.bin", headers=[("Range", "bytes=0-9"),
                                                 ("If-Range", value.replace("ETAG", etag))])
    assert response.status == status


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
