"""error_page: an error answered by a file or an application of the site's own."""
import crypt

import pytest

from lib.apps import ENV_SCRIPT, write_file, write_script
from lib.client import dial
from lib.gateway import Gateway, refused
from lib.h1 import H1
from peers.fcgi import Backend, keeping

PROTOCOLS = ("h1", "h2", "h2c")


@pytest.fixture(scope="module")
def backend(module_place):
    """Answers with the status and the fields that its query names: 503;Retry-After: 7"""
    def say(request):
        status, *fields = request.params["QUERY_STRING"].replace("_", " ").split(";")
        head = "".join(f"{field}\r\n" for field in [f"Status: {status}", *fields])
        return f"{head}Content-Type: text/x-app\r\nETag: \"app\"\r\n\r\nthe application's".encode()

    with Backend(str(module_place / "app.sock"), keeping(say)) as found:
        yield found
        assert not found.errors


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    write_file(place / "public/errors/404.html", "<p>own 404")
    write_file(place / "public/errors/4xx.html", "<p>own 4xx")
    write_file(place / "public/errors/5xx.html", "<p>own 5xx")
    write_file(place / "public/plain.txt", "plain")
    write_file(place / "public/hidden/page.html", "<p>hidden page")
    write_file(place / "users", "bob:" + crypt.crypt("secret", "$5$saltsalt$") + "\n")
    write_script(place / "cgi/env", ENV_SCRIPT)
    write_script(place / "cgi/teapot", "#!/bin/sh\nprintf 'Status: 418\\n\\nshort'\n")
    write_script(place / "cgi/away", "#!/bin/sh\nprintf 'Location: http://x.example/\\n\\n'\n")
    write_script(place / "cgi/broken", "#!/bin/sh\nexit 1\n")
    write_script(place / "cgi/cookie", "#!/bin/sh\nprintf 'Set-Cookie: a=b\\n"
                 "Allow: NOTHING\\nX-Request-Id: mine\\n\\ncookie'\n")
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        error_page.404 = /errors/404.html
        error_page.4xx = /errors/4xx.html
        error_page.5xx = /errors/5xx.html
        [route main /]
        [route main /off/]
        error_page.404 = off
        error_page.4xx = off
        [route main /to200/]
        error_page.404 = =200 /errors/404.html
        [route main /to451/]
        error_page.404 = =451 /errors/404.html
        [route main /own/]
        error_page.404 = = /cgi/teapot
        [route main /kept/]
        error_page.404 = /cgi/teapot
        [route main /away/]
        error_page.404 = /cgi/away
        [route main /url/]
        error_page.404 = https://status.example/gone?x=1
        [route main /script/]
        error_page.404 = /cgi/env/more?from=page
        [route main /nothing/]
        error_page.404 = /there/is/none
        [route main /loop/]
        error_page.404 = /loop/again
        [route main /broken/]
        error_page.404 = /cgi/broken
        [route main /cookie/]
        pool = app
        body_limit = 10
        error_page.405 = /cgi/cookie
        error_page.413 = /cgi/env
        error_page_intercept = on
        [route main /auth/]
        auth = basic
        auth_file = {place}/users
        error_page.401 = /auth/sign-in.html
        error_page.404 = /cgi/env
        root = {place}/public/errors
        [route main = /auth/sign-in.html]
        auth = basic
        auth_file = {place}/users
        root = {place}/public/errors
        [route main /denied/]
        deny = all
        root = {place}/public/errors
        error_page.403 = /denied/404.html
        [route main /limited/]
        rate = 1/1h by all
        root = {place}/public/errors
        error_page.429 = /limited/404.html
        [route main /hidden/]
        internal = on
        [route main /to-hidden/]
        error_page.404 = /hidden/page.html
        [route main /cgi/]
        pool = scripts
        root = {place}/cgi
        [route main /app/]
        pool = app
        [route main /taken/]
        pool = app
        error_page_intercept = on
        error_page.404 = /cgi/env
        error_page.418 = off
        [pool scripts]
        cgi = on
        max_requests = 2
        [pool app]
        connect = unix:{place}/app.sock
        """) as gateway:
        write_file(place / "public/errors/sign-in.html", "<p>sign in")
        yield gateway


@pytest.fixture(params=PROTOCOLS)
def proto(request):
    return request.param


# path, status, what the body is, fields that the answer has
PAGES = [
    ("/nowhere", 404, "<p>own 404", {}),
    ("/nowhere/", 404, "<p>own 404", {}),
    ("/hidden/page.html", 404, "<p>own 404", {}),
    ("/bad%zz", 400, "<p>own 4xx", {}),
    ("/a%2fb", 400, "<p>own 4xx", {}),
    ("/errors/", 403, "<p>own 4xx", {}),
    ("/cgi/broken", 502, "<p>own 5xx", {}),
    ("/to200/x", 200, "<p>own 404", {}),
    ("/to451/x", 451, "<p>own 404", {}),
    ("/own/x", 418, "short", {}),
    ("/kept/x", 418, "short", {}),
    ("/to-hidden/x", 404, "<p>hidden page", {}),
    ("/denied/x", 403, "<p>own 404", {}),
    ("/auth/x", 401, "<p>sign in", {"www-authenticate":
                                             'Basic realm="restricted", charset="UTF-8"'}),
    ("/away/x", 302, "", {"location": "http://x.example/"}),
    ("/url/x", 302, "", {"location": "https://status.example/gone?x=1"}),
    ("/app/x?404", 404, "the application's", {"etag": '"app"'}),
    ("/taken/x?418", 418, "the application's", {"etag": '"app"'}),
    ("/taken/x?200", 200, "the application's", {}),
    ("/taken/x?503;Retry-After:_7;X-Own:_1", 503, "<p>own 5xx", {"retry-after": "7"}),
    ("/taken/x?401;WWW-Authenticate:_Own_x", 401, "<p>own 4xx", {"www-authenticate": "Own x"}),
    ("/taken/x?405;Allow:_PUT", 405, "<p>own 4xx", {"allow": "PUT"}),
    ("/taken/x?416;Content-Range:_bytes_*/9", 416, "<p>own 4xx",
     {"content-range": "bytes */9"}),
    ("/taken/x?403;Set-Cookie:_c=d", 403, "<p>own 4xx", {"set-cookie": "c=d"}),
    ("/cookie/x?405;Allow:_PUT", 405, "cookie", {"allow": "PUT", "set-cookie": "a=b",
                                                 "x-request-id": "mine"}),
]


@pytest.mark.parametrize("row", PAGES, ids=lambda row: row[0])
def test_page(gateway, proto, row):
    path, status, body, fields = row
    get = gateway.fetch(proto, path)
    assert (get.status, get.text) == (status, body)
    assert {name: get.get(name) for name in fields} == fields
    if body.startswith("<p>") and status != 200:
        assert get.get("content-type").startswith("text/html")
        for name in ("etag", "last-modified", "accept-ranges", "x-own"):
            assert get.get(name) is None, f"{name} is the page's own"
    head = gateway.fetch(proto, path, method="HEAD")
    assert (head.status, head.body) == (status, b"")
    assert head.get("content-length") == get.get("content-length")


def test_id_of_a_page(gateway, proto):
    """The id goes with a file too, so that both logs can be searched for what was seen."""
    since = gateway.mark()
    found = gateway.fetch(proto, "/nowhere").get("x-request-id")
    gateway.wait_log(f"id={found}", since)
    gateway.wait_access(f" 404 .* id={found}")


def test_variables(gateway, proto):
    since = gateway.mark()
    response = gateway.fetch(proto, "/script/x%20y?a=b", method="POST", body=b"body",
                             headers=[("content-type", "text/x"), ("x-extra", "there")])
    assert response.status == 404
    env = response.env
    assert env["REDIRECT_STATUS"] == "404"
    assert env["REDIRECT_URL"] == "/script/x%20y"
    assert env["REDIRECT_QUERY_STRING"] == "a=b"
    assert env["REDIRECT_REQUEST_METHOD"] == "POST"
    assert env["REQUEST_METHOD"] == "GET"
    assert env["REQUEST_URI"] == "/script/x%20y?a=b"
    assert (env["SCRIPT_NAME"], env["PATH_INFO"]) == ("/cgi/env", "/more")
    assert env["QUERY_STRING"] == "from=page"
    assert env["HTTP_X_EXTRA"] == "there"
    assert "CONTENT_LENGTH" not in env and "CONTENT_TYPE" not in env
    assert env["UNIQUE_ID"] == response.get("x-request-id")
    assert f"id={env['UNIQUE_ID']}" in gateway.wait_log("nothing there", since)


def test_variables_only_of_pages(gateway, proto):
    env = gateway.fetch(proto, "/cgi/env").env
    assert env["REDIRECT_STATUS"] == "200"
    assert not {"REDIRECT_URL", "REDIRECT_REQUEST_METHOD", "UNIQUE_ID"} & set(env)


def test_user_of_a_page(gateway, proto):
    """Basic Ym9iOnNlY3JldA== is bob's; the page itself is for anybody, so it has no user."""
    env = gateway.fetch(proto, "/auth/missing", headers=[
        ("authorization", "Basic Ym9iOnNlY3JldA==")]).env
    assert env["REDIRECT_REMOTE_USER"] == "bob"
    assert "REMOTE_USER" not in env


@pytest.mark.parametrize("path", ["/nothing/x", "/loop/x", "/broken/x", "/off/x"])
def test_built_in_page_where_none_comes(gateway, proto, path):
    response = gateway.fetch(proto, path, headers=[("accept", "application/json")])
    assert (response.status, response.get("content-type")) == (404, "application/problem+json")
    assert response.get("x-request-id") in response.text


def test_reason_of_a_page_that_fails(gateway, proto):
    since = gateway.mark()
    found = gateway.fetch(proto, "/broken/x").get("x-request-id")
    gateway.wait_log(f"ECGI_NO_HEAD.*id={found}", since)


def test_conditions_are_not_the_pages(gateway, proto):
    """Neither 304 nor 206 nor 412 of what was not asked for."""
    page = gateway.fetch(proto, "/errors/404.html")
    for fields in ([("if-none-match", page.get("etag"))], [("if-match", '"other"')],
                   [("range", "bytes=0-2")], [("if-modified-since", page.get("last-modified"))]):
        response = gateway.fetch(proto, "/nowhere", headers=fields)
        assert (response.status, response.text) == (404, "<p>own 404")


def test_limit(gateway, proto):
    gateway.fetch(proto, "/limited/404.html")
    response = gateway.fetch(proto, "/limited/404.html")
    assert (response.status, response.text) == (429, "<p>own 404")
    assert response.get("retry-after")


def test_body_too_large(gateway, proto):
    response = gateway.fetch(proto, "/cookie/x", method="POST", body=b"x" * 11)
    assert (response.status, response.env["REDIRECT_STATUS"]) == (413, "413")
    assert response.env["REDIRECT_REQUEST_METHOD"] == "POST"


def test_chunked_body_too_large(gateway):
    """Found out in the middle of the body, when a pool already answers."""
    with H1(gateway.address()) as client:
        client.send(b"POST /cookie/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked"
                    b"\r\n\r\n" + b"6\r\nabcdef\r\n" * 3 + b"0\r\n\r\n")
        response = client.response()
    assert (response.status, response.env["REDIRECT_STATUS"]) == (413, "413")


def test_connection_goes_on(gateway, proto):
    with dial(proto, gateway) as client:
        for path, status in [("/nowhere", 404), ("/plain.txt", 200), ("/script/x", 404),
                             ("/taken/x?404", 404), ("/plain.txt", 200)]:
            assert client.fetch("GET", path).status == status


# ---- h2cgi check ----

WRONG = [
    ("error_page.404 = errors/404.html", "begins with a slash, or a URL"),
    ("error_page.404 = ftp://x/", "begins with a slash, or a URL"),
    ("error_page.404 = =200", "a page follows the status"),
    ("error_page.404 = =304 /x", "the status behind ="),
    ("error_page.404 = =204 /x", "the status behind ="),
    ("error_page.404 = =99 /x", "the status behind ="),
    ("error_page.404 = =x /x", "the status behind ="),
    ("error_page.404 = =200 https://x.example/", "goes without a status"),
    ("error_page.404 = /a b", "%-encoded"),
    ("error_page.404 = /<x>", "%-encoded"),
    ("error_page.404 =", "needs a value"),
    ("error_page.200 = /x", "400 to 599"),
    ("error_page.600 = /x", "400 to 599"),
    ("error_page.3xx = /x", "400 to 599"),
    ("error_page.all = /x", "400 to 599"),
    ("error_page. = /x", "400 to 599"),
    ("error_page.404 = /x\nerror_page.404 = /y", "given twice"),
    ("error_page_intercept = maybe", "on or off"),
    ("error_pages.404 = /x", 'did you mean "error_page'),
]


@pytest.mark.parametrize("row", WRONG, ids=lambda row: row[0][:40])
def test_wrong_value(place, row):
    text, words = row
    assert words in refused(place, text)
