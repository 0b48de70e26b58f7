"""header.NAME, expires and hsts: on files, applications' answers, errors, redirects and 304."""
import calendar
import email.utils
import urllib.parse

import pytest

from lib.apps import write_file
from lib.client import is_tls
from lib.gateway import Gateway, refused
from peers.fcgi import Backend, keeping

PROTOCOLS = ("h1", "h2", "h2c")


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front\n")
    write_file(place / "public/x.css", "css\n")
    write_file(place / "public/x.PNG", "png\n")
    write_file(place / "public/data", "no extension\n")
    write_file(place / "public/down/index.html", "down\n")

    def say(request):
        """The head that the query is."""
        head = urllib.parse.unquote(request.params["QUERY_STRING"]).replace("|", "\r\n")
        return f"Content-Type: text/plain\r\n{head}\r\n\r\nbody".encode()

    with Backend(str(place / "app.sock"), keeping(say)) as backend:
        with Gateway(place, f"""
            [site main]
            host = example.org
            root = {place}/public
            header.X-Frame-Options = always DENY
            header.X-Content-Type-Options = nosniff
            header.X-Where = $request_method $host$uri
            header.X-Powered-By = remove
            header.Server = remove
            header.Vary = add X-One
            header.Vary = add X-Two
            header.X-Kind = default ours
            header.X-Copy = $http_x_copy
            expires = 1h
            expires.css = 30d public
            expires.html = no-cache
            expires.png = off
            hsts = 1y includeSubDomains
            [route main /app/]
            pool = app
            [route main /moved/]
            redirect = /there
            [route main /down/]
            root = {place}/public/down
            header.x-frame-options = SAMEORIGIN
            header.X-Where = off
            header.Server = own/1
            expires = off
            expires.html = max
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            yield gateway
        assert backend.errors == []


def ask(gateway, proto, path, **fields):
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return gateway.fetch(proto, path, headers=headers, host="example.org")


# path, status, fields that there are once, fields that there are not
HEADS = [
    ("/x.css", 200, {"x-frame-options": "DENY", "x-content-type-options": "nosniff",
                     "x-where": "GET example.org/x.css", "x-kind": "ours",
                     "cache-control": "max-age=2592000, public"}, ["server", "x-copy"]),
    ("/data", 200, {"cache-control": "max-age=3600"}, ["server"]),
    ("/", 200, {"cache-control": "no-cache", "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
                "x-where": "GET example.org/index.html"}, []),
    ("/x.PNG", 200, {"x-kind": "ours"}, ["cache-control", "expires"]),
    ("/missing.css", 404, {"x-frame-options": "DENY"},
     ["x-content-type-options", "server", "cache-control", "expires"]),
    ("/moved/", 302, {"x-frame-options": "DENY", "x-content-type-options": "nosniff"},
     ["cache-control", "expires", "server"]),
    ("/down/", 200, {"x-frame-options": "SAMEORIGIN", "server": "own/1",
                     "cache-control": "max-age=315360000"}, ["x-where"]),
    ("/down/none", 404, {}, ["x-frame-options"]),
    # an application's own word counts
    ("/app/", 200, {"cache-control": "max-age=3600", "x-kind": "ours"}, ["server"]),
    ("/app/?Cache-Control: private", 200, {"cache-control": "private"}, ["expires"]),
    ("/app/?Expires: 0", 200, {"expires": "0"}, ["cache-control"]),
    ("/app/?Set-Cookie: a=b", 200, {"set-cookie": "a=b"}, ["expires", "cache-control"]),
    ("/app/?X-Frame-Options: ALLOWALL|x-frame-options: y", 200, {"x-frame-options": "DENY"}, []),
    ("/app/?X-Kind: theirs|X-Powered-By: php|Server: apache", 200, {"x-kind": "theirs"},
     ["x-powered-by", "server"]),
    ("/app/?Status: 500|X-Powered-By: php", 500, {"x-frame-options": "DENY", "content-type":
                                                  "text/plain"},
     ["x-content-type-options", "x-powered-by", "expires"]),
]


@pytest.mark.parametrize("row", HEADS, ids=lambda row: row[0])
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_head(gateway, proto, row):
    path, status, there, absent = row
    response = ask(gateway, proto, urllib.parse.quote(path, safe="/?:;=,"))
    assert response.status == status
    assert {name: response.all(name) for name in there} == \
        {name: [value] for name, value in there.items()}
    assert [name for name in absent if response.all(name)] == []
    # RFC 6797 7.2
    hsts = ["max-age=31536000; includeSubDomains"] if is_tls(proto) else []
    assert response.all("strict-transport-security") == hsts
    assert len(response.all("date")) == 1


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_added(gateway, proto):
    response = ask(gateway, proto, "/app/?Vary:%20X-Own")
    assert response.all("vary") == ["X-Own", "X-One", "X-Two"]


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_not_modified(gateway, proto):
    """A 304 has what the 200 has, for the stored answer to be brought up to date with."""
    full = ask(gateway, proto, "/x.css")
    again = ask(gateway, proto, "/x.css", if_none_match=full.get("etag"))
    assert again.status == 304
    for name in ("cache-control", "x-frame-options", "x-content-type-options", "etag"):
        assert again.get(name) == full.get(name)
    date = calendar.timegm(email.utils.parsedate(again.get("date")))
    expires = calendar.timegm(email.utils.parsedate(again.get("expires")))
    assert abs(expires - date - 30 * 86400) <= 2


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_no_splitting(gateway, proto):
    """What a client writes stays in the value of its field."""
    response = ask(gateway, proto, "/app/%0d%0aSet-Cookie:%20evil=1%00"[:-3])
    assert response.get("x-where") == "GET example.org/app/%0D%0ASet-Cookie: evil=1"
    assert response.all("set-cookie") == []
    assert ask(gateway, proto, "/data", x_copy="a\tb").get("x-copy") == "a%09b"


WRONG = [
    ("header.Content-Length = 5",
     "header.Content-Length = 5: h2cgi sets this field itself, as the connection needs it"),
    ("header.X = $hots",
     "header.X = $hots: there is no variable $hots; did you mean \"host\"?"),
    ("header.X = remove it",
     "header.X = remove it: nothing follows remove and off; a value that begins so needs set "
     "before it"),
    ("heder.X = y", "unknown key \"heder.X\" in [site]; did you mean \"header.X\"?"),
    ("expires = soon", "expires = soon: must be off, epoch, max, no-cache, no-store or a time up "
     "to 10y (30s, 5m, 12h, 30d, 4w, 1y)"),
    ("expires.css = 1d\nexpires.CSS = 2d", "expires.CSS = 2d: given twice"),
    ("hsts = 30d preload", "hsts = 30d preload: preload needs includeSubDomains and a time of a "
     "year or more"),
]


@pytest.mark.parametrize("line, why", WRONG)
def test_wrong(place, line, why):
    assert f"{5 + line.count(chr(10))}: {why}\n" in refused(place, line)
