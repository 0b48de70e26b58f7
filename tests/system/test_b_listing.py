"""listing = on: a folder without an index is answered with what is in it."""
import html
import json
import os
import re

import pytest

from lib.apps import write_file, write_script
from lib.client import dial
from lib.gateway import BINARY, Gateway, refused
from lib.ports import free_port

PROTOCOLS = ("h1", "h2", "h2c")
JSON = [("accept", "application/json")]
TIMES = {"a.txt": 1000000000, "B.txt": 1000000300, "c.bin": 1000000200}
HOSTILE = b"<b>&\"'%41 ?#:\n\xff\xe2\x80\xae.txt"
COUNT = 10050  # more than is shown


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    root = place / "public"
    write_file(root / "plain/a.txt", "a" * 10)
    write_file(root / "plain/B.txt", "b" * 3000)
    write_file(root / "plain/c.bin", "c" * 200)
    for name, at in TIMES.items():
        os.utime(root / "plain" / name, (at, at))
    write_file(root / "plain/sub/x", "x")
    write_file(root / "plain/.hidden", "x")
    write_file(root / "indexed/index.html", "index")
    write_file(root / "odd/a:b", "colon")
    with open(os.fsencode(root / "odd") + b"/" + HOSTILE, "w") as file:
        file.write("hostile")
    write_file(place / "outside/secret", "secret")
    write_file(root / "links/file", "x")
    os.symlink("file", root / "links/inside")
    os.symlink(place / "outside", root / "links/outside")
    os.symlink("nowhere", root / "links/dangling")
    os.mkfifo(root / "links/fifo")
    (root / "empty").mkdir()
    write_file(root / "off/x", "x")
    with Gateway(place, f"""
        [site main]
        root = {root}
        listing = on
        [route main /]
        [route main /off/]
        listing = off
        [route main /shown/]
        root = {root}/plain
        hidden = on
        """) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def many(module_place):
    """A folder of COUNT files."""
    folder = module_place / "public/many"
    folder.mkdir(parents=True)
    for i in range(COUNT):
        os.close(os.open(folder / f"{i:05}", os.O_CREAT | os.O_WRONLY))


@pytest.fixture(params=PROTOCOLS)
def proto(request):
    return request.param


def names(response):
    return [entry["name"] for entry in json.loads(response.body)["entries"]]


@pytest.mark.parametrize("folder, found", [("plain", False), ("shown", True)])
def test_hidden(gateway, proto, folder, found):
    """What is not found is not listed."""
    listed = names(gateway.fetch(proto, f"/{folder}/", headers=JSON))
    assert "a.txt" in listed and (".hidden" in listed) == found
    assert gateway.fetch(proto, f"/{folder}/.hidden").status == (200 if found else 404)


def test_html(gateway, proto):
    response = gateway.fetch(proto, "/plain/")
    assert response.status == 200
    assert response.get("content-type") == "text/html; charset=utf-8"
    assert response.get("vary") == "Accept"
    page = response.text
    assert "<title>/plain/</title>" in page and page.endswith("</html>\n")
    rows = re.findall(r'<tr><td><a href="([^"]*)">([^<]*)</a></td><td>([^<]*)</td><td>'
                      r'(?:<time datetime="([^"]*)">([^<]*)</time>)?</td></tr>', page)
    assert [row[:3] for row in rows] == [
        ("../", "../", ""), ("./sub/", "sub/", ""), ("./a.txt", "a.txt", "10 B"),
        ("./B.txt", "B.txt", "2.9 KiB"), ("./c.bin", "c.bin", "200 B")]
    assert rows[2][3:] == ("2001-09-09T01:46:40Z", "2001-09-09 01:46")
    assert "hidden" not in page


def test_json(gateway, proto):
    response = gateway.fetch(proto, "/plain/", headers=JSON)
    assert response.get("content-type") == "application/json"
    found = json.loads(response.body)
    assert (found["path"], found["complete"]) == ("/plain/", True)
    assert found["entries"][1] == {"name": "a.txt", "href": "./a.txt", "type": "file",
                                   "size": 10, "modified": "2001-09-09T01:46:40Z"}
    assert found["entries"][0]["type"] == "folder" and "size" not in found["entries"][0]


def test_text(gateway, proto):
    response = gateway.fetch(proto, "/plain/", headers=[("accept", "text/plain")])
    assert response.text == "sub/\na.txt\nB.txt\nc.bin\n"


# The query, and the order of what is in the folder: it stays in front.
ORDERS = [
    ("", ["a.txt", "B.txt", "c.bin"]),
    ("?sort=name&order=desc", ["c.bin", "B.txt", "a.txt"]),
    ("?sort=size", ["a.txt", "c.bin", "B.txt"]),
    ("?sort=size&order=desc", ["B.txt", "c.bin", "a.txt"]),
    ("?sort=date", ["a.txt", "c.bin", "B.txt"]),
    ("?order=desc&sort=date", ["B.txt", "c.bin", "a.txt"]),
    ("?sort=colour&order=odd&x", ["a.txt", "B.txt", "c.bin"]),
]


@pytest.mark.parametrize("row", ORDERS, ids=lambda row: row[0] or "-")
def test_order(gateway, proto, row):
    query, expected = row
    assert names(gateway.fetch(proto, "/plain/" + query, headers=JSON)) == ["sub", *expected]


def test_hostile_names(gateway, proto):
    page = gateway.fetch(proto, "/odd/").text
    assert "<b>&" not in page and page.count("<script") == 0
    shown = re.findall(r'href="(\./[^"]*)">([^<]*)<', page)
    assert len(shown) == 2
    for link, text in shown:
        assert gateway.fetch(proto, "/odd/" + link[2:]).status == 200
        assert "\n" not in html.unescape(text)
    found = json.loads(gateway.fetch(proto, "/odd/", headers=JSON).body)["entries"]
    assert {entry["href"] for entry in found} == {link for link, _ in shown}
    assert {"a:b"} < {entry["name"] for entry in found}
    lines = gateway.fetch(proto, "/odd/", headers=[("accept", "text/plain")]).text
    assert lines.count("\n") == 2


def test_links_that_lead_outside(gateway, proto):
    assert names(gateway.fetch(proto, "/links/", headers=JSON)) == ["file", "inside"]


def test_head(gateway, proto):
    response = gateway.fetch(proto, "/plain/", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert response.get("content-type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/indexed/", 200), ("GET", "/off/", 403), ("GET", "/plain", 301),
    ("POST", "/plain/", 405), ("OPTIONS", "/plain/", 204), ("GET", "/missing/", 404)])
def test_what_is_not_listed(gateway, proto, method, path, status):
    response = gateway.fetch(proto, path, method=method)
    assert response.status == status
    assert "<table>" not in response.text
    if method != "GET":
        assert response.get("allow") == "GET, HEAD, OPTIONS"


def test_empty(gateway, proto):
    assert "The folder is empty." in gateway.fetch(proto, "/empty/").text


def test_root_has_nothing_above(gateway, proto):
    assert "../" not in gateway.fetch(proto, "/").text


def test_many(gateway, many, proto):
    """Bounded, and said so; the connection goes on."""
    with dial(proto, gateway) as client:
        for _ in range(2):
            response = client.fetch("GET", "/many/", JSON)
            found = json.loads(response.body)
            assert (len(found["entries"]), found["complete"]) == (10000, False)
            assert names(response) == sorted(names(response))
        page = client.fetch("GET", "/many/")
        assert page.text.endswith("</html>\n")
        assert "only 10000 entries are shown" in page.text


def test_client_that_leaves(gateway, proto):
    """While the folder is read, or its page waits."""
    for _ in range(5):
        with dial(proto, gateway) as client:
            client.request("GET", "/many/")
    assert gateway.fetch(proto, "/plain/").status == 200


# ---- h2cgi serve ----

def test_first_page_of_serve(place):
    site = place / "www"
    write_script(site / "cgi-bin/hello", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhi'\n")
    write_file(site / "cgi-bin/readme", "no program").chmod(0o644)
    write_file(site / "sub/page.txt", "x")
    http, https = free_port(), free_port()

    class Serve(Gateway):
        def write_ini(self):
            super().write_ini()
            self.ports = {"http": http, "https": https}

        def sockets_left(self):
            return []

    command = [BINARY, "serve", site, "--http", str(http), "--https", str(https)]
    with Serve(place, "[site unused]\n", command=command) as gateway:
        seen = {"h1": "HTTP/1.1", "h1s": "HTTP/1.1 over TLS", "h2": "HTTP/2 over TLS",
                "h2c": "HTTP/2 without TLS"}
        for proto, words in seen.items():
            page = gateway.fetch(proto, "/").text
            assert f"You came by <b>{words}</b>" in page
            other = (f"http://127.0.0.1:{http}/" if proto in ("h1s", "h2")
                     else f"https://127.0.0.1:{https}/")
            assert f'<a href="{other}">' in page
            assert '<a href="/cgi-bin/hello">hello</a>' in page and "readme" not in page
            assert '<a href="./sub/">' in page
            assert re.search(r"<b>h2cgi \d+\.", page)
        assert gateway.fetch("h2", "/cgi-bin/hello").body == b"hi"
        assert "You came by" not in gateway.fetch("h2", "/sub/").text
        assert "page.txt" in gateway.fetch("h2", "/sub/").text


def test_check_names_a_wrong_value(place):
    assert refused(place, "listing = yes please").startswith("5: listing")
