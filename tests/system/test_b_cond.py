"""The rows of cond_rows.py over HTTP/1.1 and HTTP/2, all of a protocol on one connection."""
import email.utils
import os
import time

import pytest

from cond_rows import HUGE, ROWS, SIZE
from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway

DATA = bytes(i * 7 & 255 for i in range(SIZE))
MTIME = 1700000000


@pytest.fixture(scope="module")
def gateway(module_place):
    public = module_place / "public"
    os.utime(write_file(public / "data", DATA), (MTIME, MTIME))
    os.utime(write_file(public / "empty", ""), (MTIME, MTIME))
    soon = time.time() + 3600
    os.utime(write_file(public / "future", DATA), (soon, soon))
    (public / "folder").mkdir()
    with open(public / "huge", "wb") as huge:
        huge.seek(HUGE - 16)
        huge.write(DATA[-16:])
    os.utime(public / "huge", (MTIME, MTIME))
    with Gateway(module_place, f"""
        [site main]
        root = {public}
        """) as gateway:
        yield gateway


def bytes_of(path, first, last):
    if path != "/huge":
        return DATA[first:last + 1]
    return bytes(DATA[SIZE - HUGE + i] if i >= HUGE - 16 else 0 for i in range(first, last + 1))


def size_of(path):
    return {"/huge": HUGE, "/empty": 0}.get(path, SIZE)


def words(etag, modified):
    """What stands in the rows' fields for what is known only now; the longer words first."""
    at = email.utils.parsedate_to_datetime(modified)
    minute = 60
    earlier = email.utils.formatdate(at.timestamp() - minute, usegmt=True)
    rfc850 = "%A, %d-%b-%y %H:%M:%S GMT"
    return {
        "ETAG": etag, "BARE": etag.strip('"'),
        "RFC850-EARLIER": time.strftime(rfc850, time.gmtime(at.timestamp() - minute)),
        "RFC850": time.strftime(rfc850, time.gmtime(at.timestamp())),
        "ASCTIME": time.asctime(time.gmtime(at.timestamp())),
        "EARLIER": earlier,
        "LATER": email.utils.formatdate(at.timestamp() + minute, usegmt=True),
        "MODIFIED": modified,
    }


def filled(value, found):
    for word, text in found.items():
        value = value.replace(word, text)
    return value


def split_parts(response):
    """[(Content-Range, Content-Type, bytes)] of a multipart/byteranges, strictly."""
    kind, _, boundary = response.get("content-type").partition("; boundary=")
    assert kind == "multipart/byteranges" and 1 <= len(boundary) <= 70
    mark = b"--" + boundary.encode()
    assert response.body.startswith(mark + b"\r\n") and response.body.endswith(mark + b"--\r\n")
    found = []
    for piece in response.body.split(mark)[1:-1]:
        head, _, body = piece[2:].partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        assert set(fields) == {"Content-Type", "Content-Range"} and body.endswith(b"\r\n")
        found.append((fields["Content-Range"], fields["Content-Type"], body[:-2]))
    return found


def check_part(row, response):
    size, kind = size_of(row.path), "application/octet-stream"
    expected = [(f"bytes {first}-{last}/{size}", kind, bytes_of(row.path, first, last))
                for first, last in row.parts]
    if len(expected) == 1:
        found = [(response.get("content-range"), response.get("content-type"), response.body)]
    else:
        assert response.get("content-range") is None  # 15.3.7.2
        found = split_parts(response)
    assert found == expected
    assert response.get("content-length") == str(len(response.body))


def check(row, response, etag):
    assert response.status == row.status
    assert bool(response.body) <= (row.method != "HEAD")
    if row.status in (200, 206, 304):
        assert response.get("etag") == etag  # 15.3.7, 15.4.5
    if row.status == 200:
        assert response.get("content-length") == str(size_of(row.path))
        assert response.get("accept-ranges") == "bytes"  # 14.3
        assert response.body == (b"" if row.method == "HEAD" else DATA[:size_of(row.path)])
    elif row.status == 206:
        check_part(row, response)
    elif row.status == 304:  # 15.4.5
        assert response.body == b""
        assert response.get("content-type") is response.get("last-modified") is None
    elif row.status == 416:
        assert response.get("content-range") == f"bytes */{size_of(row.path)}"
    if row.status != 206:
        assert response.get("content-range") is None or row.status == 416


def known(fetch):
    """The validators of each file, as the gateway says them."""
    found = {}
    for path in ("/data", "/empty", "/huge", "/future"):
        response = fetch("HEAD", path)
        assert response.status == 200 and response.get("etag")[0] == response.get("etag")[-1] == '"'
        found[path] = words(response.get("etag"), response.get("last-modified"))
    assert len({each["ETAG"] for each in found.values()}) == len(found)
    assert found["/data"]["MODIFIED"] == email.utils.formatdate(MTIME, usegmt=True)
    return found


def ask(fetch, row, here):
    fields = [(name, filled(value, here)) for name, value in row.fields]
    return fetch(row.method, row.path, fields)


def within_a_second(fetch, row):
    """A file that is newer than now has the date of now: asked for again if that went on."""
    while True:
        before = fetch("HEAD", row.path)
        here = words(before.get("etag"), before.get("last-modified"))
        response = ask(fetch, row, here)
        if fetch("HEAD", row.path).get("last-modified") == before.get("last-modified"):
            return here, response


@pytest.mark.parametrize("proto", ["h1", "h2", "h2c"])
def test_rows(gateway, proto):
    assert len(ROWS) >= 120 and len({row.name for row in ROWS}) == len(ROWS)
    failed = []
    with dial(proto, gateway) as client:
        more = {"scheme": scheme(proto)} if is_h2(proto) else {}

        def fetch(method, path, fields=()):
            return client.fetch(method, path, fields, **more)

        found = known(fetch)
        for row in ROWS:
            here = found.get(row.path, found["/data"])
            if row.path == "/future":
                here, response = within_a_second(fetch, row)
            else:
                response = ask(fetch, row, here)
            try:
                check(row, response, here["ETAG"])
            except (AssertionError, ValueError) as error:
                failed.append(f"{row.name[:100]}: {response.status} {error}"[:300])
    assert failed == []


def test_boundary_is_new_each_time(gateway):
    """What is in a file must not pass for the end of a part."""
    fields = [("Range", "bytes=0-0,-1")]
    first, second = (gateway.get("/data", headers=fields) for _ in range(2))
    assert first.get("content-type") != second.get("content-type")


def test_two_parts_of_gigabytes(gateway, proto):
    """Announced as long as they are; the client reads the first of it and goes."""
    fields = [("range", "bytes=0-2999999999,4000000000-4999999999")]
    with dial(proto, gateway, **({"flow": False} if is_h2(proto) else {"rcvbuf": 4096})) as client:
        if is_h2(proto):
            number = client.request("GET", "/huge", fields, scheme=scheme(proto))
            client.wait(lambda: client.streams[number].has_head)
            head = client.streams[number].response
        else:
            client.request("GET", "/huge", fields)
            data = b""
            while b"\r\n\r\n" not in data:
                data += client.sock.recv(1024)
            lines = data.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
            head = dict((name.lower(), value) for name, value in
                        (line.split(": ", 1) for line in lines))
    assert 4000000000 < int(head.get("content-length")) < 4000001000
