"""The rows of h1_rows.py, each as a client that sends all at once and as one that sends byte by
byte; and the same bytes through the parsers alone, in every split."""
import os
import subprocess
from pathlib import Path

import pytest

from h1_rows import ROWS
from lib.apps import write_file
from lib.gateway import BINARY, Gateway
from lib.h1 import H1
from peers.fcgi import Backend, keeping

PAGE = b"front page\n"
PROBE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PIECES = 600  # of a row that is sent in pieces: single bytes, where it has no more


def respond(request):
    """What it was given, as NAME=VALUE lines; or what its path says."""
    params = request.params
    if params["PATH_INFO"] in ("/204", "/304"):
        return f"Status: {params['PATH_INFO'][1:]}\r\n\r\n".encode()
    text = "".join(f"{name}={value}\n" for name, value in request.pairs).encode("latin-1")
    text += b"stdin=" + request.body.replace(b"\n", b"\\n").replace(b"\r", b"\\r") + b"\n"
    length = b"Content-Length: %d\r\n" % len(text) if params["PATH_INFO"] == "/len" else b""
    return b"Content-Type: text/plain; charset=latin1\r\n" + length + b"\r\n" + text


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", PAGE)
    with Backend(str(place / "app.sock"), keeping(respond)) as backend:
        with Gateway(place, f"""
            [site main]
            host = *
            root = {place}/public
            [route main /app/]
            pool = app
            [route main /limited/]
            pool = app
            body_limit = 8
            [site other]
            host = b.example
            [route other /app/]
            pool = app
            env.SITE = other
            [site top]
            host = top.example
            [route top /]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """, tls=False) as gateway:
            yield gateway
        assert backend.errors == []


def row_id(row):
    name = f"{row.section}-{row.name}".replace(" ", "_")
    return name.encode("ascii", "backslashreplace").decode()


def send(client, data, piece):
    """Refusals come before all is sent, and the client goes on sending (RFC 9112 9.6)."""
    try:
        for at in range(0, len(data), piece):
            client.send(data[at:at + piece])
    except OSError:
        pass


def seen(response):
    """NAME=VALUE lines, of Latin-1."""
    lines = response.body.decode("latin-1").split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def check_last(row, response):
    for name, value in row.fields.items():
        assert response.get(name) == value, name
    if row.interim is not None:
        assert tuple(each.status for each in response.interim) == row.interim
    if row.sees:
        env = seen(response)
        wanted = {name: value and value.replace("\n", "\\n").replace("\r", "\\r")
                  for name, value in row.sees.items()}
        assert {name: env.get(name) for name in wanted} == wanted
    if row.head:
        assert response.body == b""
    elif response.status >= 400:
        assert int(response.get("content-length")) == len(response.body) > 0
        assert response.get("content-type").startswith("text/html")


def check(gateway, row, piece):
    with H1(gateway.address()) as client:
        send(client, row.sends, piece)
        if row.half:
            client.sock.shutdown(1)
        response = None
        for i, status in enumerate(row.answers):
            response = client.response("HEAD" if row.head else "GET")
            assert response.status == status, f"answer {i + 1}"
            last = i + 1 == len(row.answers)
            if not last or row.stays:
                assert response.get("connection") in (None, "keep-alive"), f"answer {i + 1}"
            elif row.stays is False and not row.half:
                assert response.get("connection") == "close"
        if response:
            check_last(row, response)
        if row.stays:
            client.send(PROBE)
            assert client.response().body == PAGE
        elif row.stays is False:
            assert client.closed()
            assert row.answers or client.buffer == b""


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_row(gateway, row):
    check(gateway, row, max(len(row.sends), 1))
    check(gateway, row, 1 + len(row.sends) // PIECES)


def test_there_are_as_many_rows_as_promised():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) >= 300


@pytest.mark.parametrize("target", ["h1parse", "h1chunk"])
def test_segments_do_not_matter(module_place, target):
    """The fuzz targets assert that a head, or a body, gives the same in any two pieces and byte
    by byte; the first two bytes of an input say where it is cut."""
    folder = module_place / target
    folder.mkdir()
    for i, row in enumerate(ROWS):
        data = row.sends
        if target == "h1chunk":
            head, _, data = data.partition(b"\r\n\r\n")
            if b"chunked" not in head:
                continue
        for j in range(4):
            cut = (j * len(data) // 4 + j) % 65536
            (folder / f"{i}-{j}").write_bytes(cut.to_bytes(2, "big") + data)
    build = Path(os.environ.get("H2CGI_BUILD", BINARY.parent))
    done = subprocess.run([build / "replay" / f"fuzz_{target}", folder], capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) == len(list(folder.iterdir())) >= 400
