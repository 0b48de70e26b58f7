"""try: front controllers over CGI and FastCGI, as applications and their manuals expect them."""
import gzip
import os

import pytest

from lib.apps import ENV_SCRIPT, write_file, write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway, refused
from peers.fcgi import Backend, keeping

PROTOCOLS = ("h1", "h2", "h2c")


def respond(request):
    text = "".join(f"{name}={value}\n" for name, value in request.pairs).encode("latin-1")
    return b"Content-Type: text/plain\r\n\r\n" + text + b"BODY=" + request.body + b"\n"


@pytest.fixture(scope="module")
def gateway(module_place):
    place, root = module_place, module_place / "public"
    for name in ("style.css", "about.html", "sub/index.html", "empty/file", "a b.txt", "fallback.html",
                 "index.php", "old.php", "both", "both.html", "docs/index.html", "exact"):
        write_file(root / name, name)
    write_script(place / "cgi/index.php", ENV_SCRIPT)
    os.symlink("/etc/passwd", root / "out")
    write_file(root / "z.txt", "z.txt")
    write_file(root / "z.txt.gz", gzip.compress(b"z.txt"))
    with Backend(str(place / "app.sock"), keeping(respond)) as backend:
        with Gateway(place, f"""
            [site main]
            host = *
            root = {root}
            try = $uri $uri/ /index.php
            [route main *.php]
            pool = app
            [route main /plain/]
            root = {root}
            try = off
            [route main /own/]
            root = {root}
            try = $uri $uri.html /own/fallback.html
            [site cgi]
            host = cgi.example
            root = {root}
            try = $uri $uri/ /run/index.php$uri
            [route cgi /run/]
            pool = scripts
            root = {place}/cgi
            internal = on
            [site path]
            host = path.example
            root = {root}
            try = $uri /index.php$uri?from=$uri&$args
            [route path *.php]
            pool = app
            [site html]
            host = html.example
            root = {root}
            try = $uri.html $uri.php $uri/index.html =404
            [route html *.php]
            pool = app
            [site gone]
            host = gone.example
            root = {root}
            try = $uri =410
            [site hidden]
            host = hidden.example
            root = {root}
            try = $uri =403
            [site folder]
            host = folder.example
            root = {root}
            try = $uri/ /fallback.html
            [site app]
            host = app.example
            root = {root}
            listing = on
            precompressed = on
            [route app /]
            pool = app
            try = $uri $uri/ $uri.html
            [route app /list/]
            pool = app
            root = {root}
            listing = on
            try = $uri $uri/
            [route app /static/]
            pool = app
            root = {root}
            index = style.css
            try = $uri/ $uri /static/front?x=$uri
            [route app /prog/]
            pool = scripts
            script = {place}/cgi/index.php
            root = {root}
            try = $uri $uri/
            [route app /other/]
            pool = app
            try = $uri /prog/main
            [route app = /exact]
            pool = app
            root = {root}
            try = $uri
            [route app /none/]
            pool = app
            [site listed]
            host = listed.example
            root = {root}
            listing = on
            try = $uri $uri/ =404
            [site loop]
            host = loop.example
            root = {root}
            try = $uri /nowhere
            [route loop /a/]
            try = /b/x
            [route loop /b/]
            try = /a/x
            [pool app]
            connect = unix:{place}/app.sock
            [pool scripts]
            cgi = on
            max_requests = 2
            """) as gateway:
            yield gateway
        assert backend.errors == []


FRONT = {"SCRIPT_NAME": "/index.php", "PATH_INFO": None, "QUERY_STRING": ""}


def front(target, **more):
    return {**FRONT, "REQUEST_URI": target, **more}


def app(script, info, **more):
    return {"SCRIPT_NAME": script, "PATH_INFO": info, **more}


# site, target, what comes: a status, a body, or what the application sees
ROWS = [
    ("main", "/style.css", b"style.css"),
    ("main", "/", front("/")),  # no index.html: the folder has no index
    ("main", "/sub/", b"sub/index.html"),
    ("main", "/sub", 301),
    ("main", "/a%20b.txt", b"a b.txt"),
    ("main", "/index.php", front("/index.php")),
    ("main", "/index.php/x/y", front("/index.php/x/y", PATH_INFO="/x/y")),
    ("main", "/blog/2024/a-post", front("/blog/2024/a-post")),
    ("main", "/blog/?p=1&q=%20a", front("/blog/?p=1&q=%20a", QUERY_STRING="p=1&q=%20a")),
    ("main", "/blog?", front("/blog?")),
    ("main", "/empty/", front("/empty/")),  # a folder without index
    ("main", "/empty", front("/empty")),
    ("main", "/style.css/more", front("/style.css/more")),
    ("main", "/out", front("/out")),  # a link that leads outside
    ("main", "/.git/config", front("/.git/config")),
    ("main", "/tags/a%2Fb", front("/tags/a%2Fb")),  # an encoded slash
    ("main", "/%C3%A4", front("/%C3%A4")),
    ("main", "//double//slash", front("//double//slash")),
    ("main", "/no.php", 404),  # a script is looked for where its route is
    ("main", "/plain/style.css", b"style.css"),
    ("main", "/plain/nowhere", 404),
    ("main", "/own/style.css", b"style.css"),
    ("main", "/own/about", b"about.html"),
    ("main", "/own/nowhere", b"fallback.html"),
    ("cgi", "/style.css", b"style.css"),
    ("cgi", "/x/y?z", {"SCRIPT_NAME": "/run/index.php", "PATH_INFO": "/x/y",
                       "QUERY_STRING": "z", "REQUEST_URI": "/x/y?z"}),
    ("cgi", "/a%20b/c%3Fd", {"SCRIPT_NAME": "/run/index.php", "PATH_INFO": "/a b/c?d",
                             "QUERY_STRING": ""}),
    ("cgi", "/run/index.php", 404),  # internal
    ("path", "/x/y?z=1", {"SCRIPT_NAME": "/index.php", "PATH_INFO": "/x/y",
                          "QUERY_STRING": "from=/x/y&z=1", "REQUEST_URI": "/x/y?z=1"}),
    ("path", "/x&y", {"PATH_INFO": "/x&y", "QUERY_STRING": "from=/x%26y&"}),
    ("html", "/about", b"about.html"),
    ("html", "/both", b"both.html"),
    ("html", "/old", {"SCRIPT_NAME": "/old.php", "REQUEST_URI": "/old"}),  # run, not shown
    ("html", "/docs", b"docs/index.html"),
    ("html", "/nowhere", 404),
    ("html", "/style.css", 404),  # $uri is not among them
    ("gone", "/nowhere", 410),
    ("gone", "/sub", 410),
    ("gone", "/style.css", b"style.css"),
    ("hidden", "/nowhere", 403),
    ("folder", "/style.css", b"fallback.html"),
    ("folder", "/docs/", b"docs/index.html"),
    # a pool's own: files first, all else is the pool's
    ("app", "/style.css", b"style.css"),
    ("app", "/z.txt", b"z.txt"),
    ("app", "/sub/", b"sub/index.html"),
    ("app", "/sub", 301),
    ("app", "/about", b"about.html"),  # the last word: $uri.html
    ("app", "/exact", b"exact"),
    ("app", "/", app("", "/")),  # the site's listing is not a pool's
    ("app", "/empty", app("", "/empty")),
    ("app", "/empty/", app("", "/empty/")),
    ("app", "/nowhere/at?a=b", app("", "/nowhere/at", QUERY_STRING="a=b")),
    ("app", "/style.css/more", app("", "/style.css/more")),
    ("app", "/a%2Fb", app("", "/a/b", REQUEST_URI="/a%2Fb")),
    ("app", "/a%2Ftxt/%20", app("", "/a/txt/ ")),
    ("app", "/.git/config", app("", "/.git/config")),
    ("app", "/out", app("", "/out")),
    ("app", "/list/style.css", b"style.css"),
    ("app", "/list/empty", 301),
    ("app", "/list/empty/", b'"file"'),
    ("app", "/list/nowhere", app("/list", "/nowhere")),
    ("app", "/static/about.html", b"about.html"),
    ("app", "/static/", b"style.css"),  # its index, of the same route
    ("app", "/static/nowhere", app("/static", "/front", QUERY_STRING="x=/static/nowhere")),
    ("app", "/prog/style.css", b"style.css"),
    ("app", "/prog/x/y?z", app("/prog", "/x/y", QUERY_STRING="z", REQUEST_URI="/prog/x/y?z")),
    ("app", "/other/x", app("/prog", "/main", REQUEST_URI="/other/x")),
    ("app", "/none/style.css", app("/none", "/style.css")),  # the next route has none
    ("listed", "/empty/", b'"file"'),
    ("listed", "/empty", 301),
    ("listed", "/sub/", b"sub/index.html"),
    ("listed", "/nowhere/", 404),
    ("loop", "/x", 404),
    ("loop", "/a/x", 404),
]


def check(expected, response):
    if isinstance(expected, int):
        assert response.status == expected
        return
    assert response.status == 200
    if isinstance(expected, bytes):
        listed = expected.startswith(b'"') and expected in response.body
        assert response.body == expected or listed
        return
    env = response.env
    assert {name: env.get(name) or None if name == "PATH_INFO" else env.get(name)
            for name in expected} == expected


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_rows(gateway, proto):
    failed = []
    with dial(proto, gateway) as client:
        more = {"scheme": scheme(proto)} if is_h2(proto) else {}
        for site, target, expected in ROWS:
            response = client.fetch("GET", target, host=f"{site}.example",
                                    headers=[("Accept", "application/json")], **more)
            try:
                check(expected, response)
            except AssertionError as error:
                failed.append(f"{site} {target}: {response.status} {error}"[:400])
    assert failed == []


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_methods(gateway, proto):
    """The application has what is no file, whatever the method; a file is no application."""
    response = gateway.fetch(proto, "/api/things", method="POST", body=b"a=1",
                             headers=[("content-length", "3")] if is_h2(proto) else ())
    assert response.status == 200 and response.env["REQUEST_METHOD"] == "POST"
    assert response.env["BODY"] == "a=1" and response.env["SCRIPT_NAME"] == "/index.php"
    assert gateway.fetch(proto, "/style.css", method="POST", body=b"a").status == 405
    assert gateway.fetch(proto, "/style.css", headers=[("Range", "bytes=0-4")]).body == b"style"


def test_location_of_a_folder(gateway):
    assert gateway.get("/sub?x").get("location") == "/sub/?x"


@pytest.mark.parametrize("value, words", [
    ("$uri", "the last of the list is where all others end"),
    ("$uri $uri/", "the last of the list"),
    ("=404 $uri /x", "a status is the last"),
    ("$uri =200", "one of =403, =404 and =410"),
    ("$uri index.php", "absolute path"),
    ("$uri https://a.example/", "a path of the site"),
    ("$uri?x /index.php", "has no query"),
    ("$url /index.php", 'did you mean "uri"'),
])
def test_wrong_values(place, value, words):
    said = refused(place, f"try = {value}")
    assert said.startswith("5: try = ") and words in said


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_a_file_in_front_of_a_pool(gateway, proto):
    """It is a file as any: conditions, ranges, forms beside it; the pool is not asked."""
    def ask(target, method="GET", **more):
        return gateway.fetch(proto, target, method=method, host="app.example",
                             headers=list(more.items()))

    whole = ask("/style.css")
    assert ask("/style.css", Range="bytes=0-4").body == b"style"
    assert ask("/style.css", **{"If-None-Match": whole.get("etag")}).status == 304
    assert ask("/style.css", "HEAD").get("content-length") == "9"
    assert ask("/style.css", "POST").status == 405
    assert ask("/none.css", "POST").env["REQUEST_METHOD"] == "POST"
    form = ask("/z.txt", **{"Accept-Encoding": "gzip"})
    assert form.get("content-encoding") == "gzip" and gzip.decompress(form.body) == b"z.txt"


@pytest.mark.parametrize("lines, words", [
    ("[route main *.php]\npool = p\ntry = $uri",
     "try in a route to scripts (*.php) would send them as files"),
    ("[route main /c/]\npool = q\nroot = /srv\ntry = $uri",
     "with it the route needs script"),
    ("[route main /]\npool = p\ntry = $uri =404", "the pool would never be asked"),
    ("[route main /]\npool = p\ntry = $uri x.php", "absolute path"),
    ("[route main /]\npool = p\ntry = $uri?a", "has no query"),
    ("[route main /]\npool = p\nlisting = on", '"listing" has no meaning in a route to a pool'),
    ("[route main /]\npool = p\nprecompressed = on", '"precompressed" has no meaning'),
    ("[site n]\nhost = n.example\n[route n /]\npool = p\ntry = $uri",
     "neither the route nor its site has a root"),
])
def test_wrong_in_front_of_a_pool(place, lines, words):
    said = refused(place, lines, "[pool p]\nconnect = unix:/x\n[pool q]\ncgi = on\n")
    assert words in said and said.count("\n") == 1
