"""unsent: a program where no route runs it is not shown, however its name is written."""
import gzip
import os

import pytest

from lib.apps import write_file, write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway, run_h2cgi

PROTOCOLS = ("h1", "h2", "h2c")
SECRET = b"$password = 'tell nobody';\n"

NAMES = ("config.php", "CONFIG.PHP", "x.pHp", "lib.inc", "a.phtml", "a.phar", "a.phps", "go.cgi", "go.fcgi",
         "do.pl", "do.py", "index.html~", "config.php~", "shop/config.php", "shop/r.lsp", "sub/index.php", "r.lsp",
         "out/x.py", "typed/x.py", "named/x.py", "free/x.php", "inner/x.php", "guarded/x.php",
         "tried/x.php", "own/x.tcl", "own/x.php", "app/x.php")
GOOD = ("plain.txt", "php", "config.php.txt", "config.php.d/readme", "tried/x.txt", "own/x.html", "app/x.css")


@pytest.fixture(scope="module")
def gateway(module_place):
    place, root = module_place, module_place / "public"
    for name in NAMES:
        write_file(root / name, SECRET)
    for name in GOOD:
        write_file(root / name, name)
    write_file(root / "config.php.gz", gzip.compress(SECRET))
    write_file(root / "404.html", "no page")
    os.symlink("config.php", root / "link.txt")
    os.symlink("plain.txt", root / "link.php")
    write_script(place / "cgi/show", """\
        #!/bin/sh
        printf 'X-Accel-Redirect: %s\\r\\n\\r\\n' "$PATH_INFO"
        """)
    write_script(place / "cgi/front", """\
        #!/bin/sh
        printf 'Content-Type: text/plain\\r\\n\\r\\nfront'
        """)
    with Gateway(place, f"""
        [site main]
        host = *
        root = {root}
        precompressed = on
        [route main /shop/]
        root = {root}/shop
        [route main *.lsp]
        pool = scripts
        [route main /out/]
        unsent = off
        [route main /typed/]
        type.py = text/x-python
        [route main /named/*.py]
        [route main /own/]
        unsent = .tcl
        [route main /inner/]
        internal = on
        [route main /guarded/]
        internal = on
        unsent = .php
        [route main /tried/]
        try = $uri /front/
        [route main /app/]
        pool = scripts
        script = {place}/cgi/front
        try = $uri
        [route main /front/]
        pool = scripts
        script = {place}/cgi/front
        [route main /show/]
        pool = scripts
        script = {place}/cgi/show
        accel_redirect = /inner/ /guarded/
        [site free]
        host = free.example
        root = {root}
        unsent = off
        [route free *.lsp]
        pool = scripts
        [route free /none]
        [pool scripts]
        cgi = on
        max_requests = 2
        """) as gateway:
        yield gateway


REFUSED = [f"/{name}" for name in NAMES if "/" not in name and name != "r.lsp"] + [
    "/config%2ephp", "/config.ph%70", "//config.php", "/./sub/../config.php", "/config.php?x", "/link.php",
    "/sub/index.php", "/shop/config.php", "/own/x.tcl",
    "/shop/r.lsp",  # of a pool elsewhere
]
SENT = ["/out/x.py", "/typed/x.py", "/named/x.py", "/show/inner/x.php", "/link.txt",
        "/own/x.php"]  # its own list has no .php


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_rows(gateway, proto):
    wrong = []
    more = {"scheme": scheme(proto)} if is_h2(proto) else {}
    with dial(proto, gateway) as client:
        def ask(target, **kw):
            return client.fetch("GET", target, **more, **kw)

        for target in REFUSED:
            for headers in ([], [("Range", "bytes=0-3")], [("Accept-Encoding", "gzip")]):
                r = ask(target, headers=headers)
                if r.status != 403 or b"password" in r.body or b"$pas" in r.body:
                    wrong.append((target, headers, r.status))
        for target in SENT:
            if ask(target).body != SECRET:
                wrong.append((target, "not sent"))
        for name in GOOD:
            r = ask(f"/{name}")
            if (r.status, r.body) != (200, name.encode()):
                wrong.append((name, r.status))
        # the file is passed over where there is something else
        for target in ("/tried/x.php", "/app/x.php", "/app/X.PHP"):
            if ask(target).body != b"front":
                wrong.append((target, "not the application's"))
        for name in ("config.php", "do.py", "index.html~", "CONFIG.PHP"):
            if ask(f"/{name}", host="free.example").body != SECRET:
                wrong.append((name, "unsent = off"))
    assert wrong == []


def test_what_a_route_hands_out(gateway):
    """internal = on has none of the site's, but its own."""
    assert gateway.get("/show/inner/x.php").body == SECRET
    assert gateway.get("/show/guarded/x.php").status == 403
    assert gateway.get("/inner/x.php").status == 404


def test_log(gateway):
    assert gateway.get("/config.php").status == 403
    gateway.wait_log(r'the text of a program is not sent as a file \(unsent\).*site=main route="/" path="/')


def test_wrong_values(place):
    ini = place / "h2cgi.ini"
    for value, words in (("off .php", "unsent = off: must be off, or ends of names"),
                         ("*.php", "unsent = *.php: must be"), ("/x.php", "unsent = /x.php: must be")):
        ini.write_text(f"[listen a]\naddress = 127.0.0.1:1\n[site b]\nroot = {place}\nunsent = {value}\n")
        run = run_h2cgi("check", "-c", str(ini))
        assert run.returncode == 1 and "h2cgi.ini:5: " in run.stderr and words in run.stderr
