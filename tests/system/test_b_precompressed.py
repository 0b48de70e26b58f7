"""precompressed: FILE.br, .zst and .gz beside FILE; type.EXT and charset."""
import os

import pytest

from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway, refused

MTIME = 1700000000
PROTOCOLS = ("h1", "h2", "h2c")


@pytest.fixture(scope="module")
def gateway(module_place):
    root = module_place / "public"
    for name in ("all.css", "all.css.br", "all.css.zst", "all.css.gz", "one.js", "one.js.gz",
                 "none.txt", "old.css", "old.css.br", "old.css.gz", "index.html", "index.html.br",
                 "page.html", "a.thing", "b.thing.gz", "deep/all.css", ".env", ".env.gz",
                 "w.wasm", "notes.LOG", "x.latin", "../secret.br"):
        os.utime(write_file(root / name, name), (MTIME, MTIME))
    os.utime(root / "old.css.br", (MTIME - 1, MTIME - 1))
    os.utime(root / "old.css.gz", ns=(MTIME * 10**9, MTIME * 10**9))
    os.utime(root / "old.css", ns=(MTIME * 10**9 + 500, MTIME * 10**9 + 500))
    (root / "deep/all.css.br").mkdir()
    os.symlink("../secret.br", root / "page.html.br")
    with Gateway(module_place, f"""
        [site main]
        host = *
        root = {root}
        precompressed = on
        type.thing = text/x-thing
        type.css = text/css; charset=x-own
        [route main /some/]
        root = {root}
        precompressed = gzip br
        type.THING = application/x-thing
        charset = iso-8859-1
        [route main /off/]
        root = {root}
        precompressed = off
        charset = off
        [site off]
        host = off.example
        root = {root}
        """) as gateway:
        yield gateway


BR, ZSTD, GZIP = ".br", ".zst", ".gz"
# path, Accept-Encoding, the form that comes, Vary
FORMS = [
    ("/all.css", None, "", True),
    ("/all.css", "", "", True),
    ("/all.css", "gzip", GZIP, True),
    ("/all.css", "x-gzip", GZIP, True),
    ("/all.css", "gzip, deflate, br, zstd", BR, True),
    ("/all.css", "gzip, deflate, zstd", ZSTD, True),
    ("/all.css", "br;q=0.1, gzip;q=0.9", GZIP, True),
    ("/all.css", "br;q=0, *", ZSTD, True),
    ("/all.css", "*;q=0", "", True),
    ("/all.css", "identity, gzip;q=0.5", "", True),
    ("/all.css", "identity;q=0", "", True),  # nothing it takes: the page all the same
    ("/all.css", "deflate", "", True),
    ("/one.js", "br, gzip;q=0.1", GZIP, True),
    ("/one.js", "br", "", True),
    ("/none.txt", "br, gzip", "", False),
    ("/none.txt", None, "", False),
    ("/old.css", "br", "", True),  # older by a second: forgotten
    ("/old.css", "br, gzip;q=0.5", GZIP, True),  # the same second: some tools keep no fraction
    ("/", "br", BR, True),  # through the index
    ("/deep/all.css", "br", "", False),  # a folder is no form
    ("/page.html", "br", "", False),  # a link that leads outside
    ("/all.css.gz", "gzip", "", False),  # asked for as itself
    ("/some/all.css", "zstd, gzip;q=0.5", GZIP, True),
    ("/some/all.css", "zstd", "", True),
    ("/off/all.css", "br", "", False),
]
TYPES = {
    "/all.css": "text/css; charset=x-own", "/one.js": "text/javascript; charset=utf-8",
    "/a.thing": "text/x-thing; charset=utf-8", "/page.html": "text/html",
    "/some/a.thing": "application/x-thing", "/some/all.css": "text/css; charset=x-own",
    "/some/none.txt": "text/plain; charset=iso-8859-1",
    "/some/page.html": "text/html; charset=iso-8859-1", "/off/none.txt": "text/plain",
    "/off/a.thing": "text/x-thing", "/off/all.css": "text/css; charset=x-own",
    "/w.wasm": "application/wasm",
}


def visit(proto, gateway):
    client = dial(proto, gateway)
    more = {"scheme": scheme(proto)} if is_h2(proto) else {}
    return client, lambda path, *fields, method="GET": client.fetch(method, path, fields, **more)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_forms(gateway, proto):
    client, fetch = visit(proto, gateway)
    failed = []
    coding = {"": None, BR: "br", ZSTD: "zstd", GZIP: "gzip"}
    for path, accept, form, vary in FORMS:
        response = fetch(path, *([] if accept is None else [("accept-encoding", accept)]))
        name = ("/index.html" if path == "/" else path).replace("/some", "").replace("/off", "")
        got = (response.status, response.body.decode(), response.get("content-encoding"),
               response.get("vary"))
        want = (200, name[1:] + form, coding[form], "Accept-Encoding" if vary else None)
        if got != want:
            failed.append((path, accept, got, want))
    client.close()
    assert failed == []


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_each_form_is_a_representation(gateway, proto):
    """RFC 9110 8.8.3.3: own tag; conditions and ranges are the form's; the type is the file's."""
    client, fetch = visit(proto, gateway)
    found = {coding: fetch("/all.css", ("accept-encoding", coding))
             for coding in ("identity", "br", "zstd", "gzip")}
    assert len({each.get("etag") for each in found.values()}) == 4
    for coding, whole in found.items():
        assert whole.get("content-type") == TYPES["/all.css"]
        accept = ("accept-encoding", coding)
        same = fetch("/all.css", accept, ("if-none-match", whole.get("etag")))
        assert (same.status, same.get("vary"), same.get("etag")) == \
            (304, "Accept-Encoding", whole.get("etag"))
        part = fetch("/all.css", accept, ("range", "bytes=-3"), ("if-range", whole.get("etag")))
        assert (part.status, part.body) == (206, whole.body[-3:])
        assert part.get("content-range").endswith(f"/{len(whole.body)}")
        assert part.get("content-encoding") == whole.get("content-encoding")
        assert fetch("/all.css", accept, ("range", "bytes=50-")).status == 416
        head = fetch("/all.css", accept, method="HEAD")
        assert head.get("content-length") == str(len(whole.body)) and head.body == b""
        assert head.get("content-encoding") == whole.get("content-encoding")
    tag = found["br"].get("etag")
    assert fetch("/all.css", ("accept-encoding", "gzip"), ("if-none-match", tag)).status == 200
    assert fetch("/all.css", ("accept-encoding", "gzip"), ("if-match", tag)).status == 412
    client.close()


def test_hidden_has_no_forms(gateway):
    for path in ("/.env", "/.env.gz"):
        assert gateway.get(path, headers=[("Accept-Encoding", "gzip")]).status == 404


def test_off_is_the_default(gateway):
    response = gateway.get("/all.css", host="off.example", headers=[("Accept-Encoding", "br")])
    assert (response.body, response.get("vary")) == (b"all.css", None)
    assert response.get("content-type") == "text/css; charset=utf-8"


def test_types(gateway):
    client, fetch = visit("h1", gateway)
    assert {path: fetch(path).get("content-type") for path in TYPES} == TYPES
    client.close()


@pytest.mark.parametrize("line, words", [
    ("precompressed = deflate", "must be on, off, or some of br, zstd and gzip"),
    ("precompressed = on br", "must be on, off, or some of br, zstd and gzip"),
    ("type.css = css", "a media type is TYPE/SUBTYPE"),
    ("type.css = text/css; charset", "a media type is TYPE/SUBTYPE"),
    ("type.tar.gz = application/gzip", "what follows the last dot"),
    ("charset = utf 8", "must be auto, off or the name of a charset"),
])
def test_wrong_values(place, line, words):
    said = refused(place, line)
    assert said.startswith("5: ") and words in said
