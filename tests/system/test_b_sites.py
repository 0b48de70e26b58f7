"""Which site and route answers, what an application is told, over every protocol."""
import pytest

from lib.apps import write_file
from lib.client import is_tls, scheme
from lib.gateway import Gateway
from peers.fcgi import Backend, dump, keeping


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name in ("first", "named", "wild", "deep"):
        write_file(place / name / "index.html", f"{name}\n")
    write_file(place / "named/x.php", "source")
    write_file(place / "named/dir/y.php", "source")
    write_file(place / "named/dir/index.html", "dir\n")
    write_file(place / "named/x/plain.txt", "plain\n")
    write_file(place / "shop/a.php", "source")
    write_file(place / "trap.txt", "no php")
    write_file(place / "named/trap.txt", "no php")
    with Backend(str(place / "app.sock"), keeping(dump)) as backend:
        with Gateway(place, f"""
            [site first]
            host = first.example
            root = {place}/first
            [site named]
            host = named.example other.example
            root = {place}/named
            [route named /]
            root = {place}/named
            [route named = /exact]
            pool = app
            script_check = off
            script = /srv/exact-program
            [route named /app/]
            pool = app
            [route named /app/inner/]
            pool = app
            env.WHICH = inner
            [route named *.php]
            pool = app
            env.WHICH = php
            env.REMOTE_ADDR = overridden
            [route named /shop/*.php]
            pool = app
            root = {place}/shop
            env.WHICH = shop
            [route named /prog/]
            pool = app
            script = {place}/trap.txt
            script_check = off
            [route named /moved/]
            redirect = 301 https://new.example/there
            [site wild]
            host = *.example
            root = {place}/wild
            [site deep]
            host = *.deep.example
            root = {place}/deep
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            yield gateway
        assert backend.errors == []


HOSTS = [
    ("first.example", "first"),
    ("FIRST.Example", "first"),
    ("first.example:8080", "first"),
    ("named.example", "named"),
    ("other.example", "named"),
    ("any.example", "wild"),
    ("a.deep.example", "deep"),
    ("a.b.deep.example", "deep"),
    ("unknown.test", "first"),  # no site has host = *, so the first answers
    ("127.0.0.1", "first"),
    ("example", "first"),  # a wildcard needs a label in its place
]


@pytest.mark.parametrize("host, site", HOSTS)
def test_site(gateway, proto, host, site):
    assert gateway.fetch(proto, "/", host=host).text == f"{site}\n"


# path, WHICH (None: a file, the body), SCRIPT_NAME, PATH_INFO, end of SCRIPT_FILENAME
ROUTES = [
    ("/app", "", "/app", "", None),
    ("/app/", "", "/app", "/", None),
    ("/app/a/b", "", "/app", "/a/b", None),
    ("/app/a%20b", "", "/app", "/a b", None),
    ("/app/a+b", "", "/app", "/a+b", None),
    ("/app//double", "", "/app", "//double", None),
    ("/app/%c3%a4", "", "/app", "/\u00e4", None),
    ("/app/x/../y", "", "/app", "/y", None),
    ("/app/x/%2e%2E/y", "", "/app", "/y", None),
    ("/app/./y", "", "/app", "/y", None),
    ("/app/inner/z", "inner", "/app/inner", "/z", None),
    ("/app/innermost", "", "/app", "/innermost", None),
    ("/exact", "", "/exact", "", "/srv/exact-program"),
    ("/x.php", "php", "/x.php", "", "named/x.php"),
    ("/x.php/info/more", "php", "/x.php", "/info/more", "named/x.php"),
    ("/x.php/", "php", "/x.php", "/", "named/x.php"),
    ("/dir/y.php/i", "php", "/dir/y.php", "/i", "named/dir/y.php"),
    ("/shop/a.php/item/7", "shop", "/shop/a.php", "/item/7", "shop/a.php"),
    ("/prog/some/thing", "", "/prog", "/some/thing", "trap.txt"),
    ("/prog", "", "/prog", "", "trap.txt"),
]


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: row[0])
@pytest.mark.parametrize("proto", ["h1", "h2", "h2c"])
def test_route_to_pool(gateway, proto, row):
    path, which, script_name, path_info, filename = row
    env = gateway.fetch(proto, path + "?a=1;b[]=%20+", host="named.example").env
    assert env.get("WHICH", "") == which
    assert env["SCRIPT_NAME"] == script_name
    assert env.get("PATH_INFO", "") == path_info
    assert env["QUERY_STRING"] == "a=1;b[]=%20+"
    assert env["REQUEST_URI"] == path + "?a=1;b[]=%20+"
    if filename:
        assert env["SCRIPT_FILENAME"].endswith(filename)


# path, status
OTHERS = [
    ("/exact/", 404),
    ("/exactly", 404),
    ("/missing.php", 404),
    ("/trap.txt/x.php", 404),  # never handed to the pool as a script
    ("/x.phpx", 404),
    ("/shop/missing.php", 404),
    ("/application", 404),
    ("/dir", 301),  # a directory without its slash
    ("/moved/", 301),
    ("/moved/deeper", 301),
    ("/", 200),
    ("/x/plain.txt", 200),
]


@pytest.mark.parametrize("path, status", OTHERS)
def test_other_routes(gateway, proto, path, status):
    response = gateway.fetch(proto, path, host="named.example")
    assert response.status == status
    assert "WHICH" not in response.text


def test_redirect_of_a_route(gateway, proto):
    response = gateway.fetch(proto, "/moved/", host="named.example")
    assert response.get("location") == "https://new.example/there"


def test_redirect_of_a_directory_keeps_the_query(gateway, proto):
    response = gateway.fetch(proto, "/dir?a=b", host="named.example")
    assert response.status == 301
    location = response.get("location")
    assert location in ("/dir/?a=b", f"{scheme(proto)}://named.example/dir/?a=b")


def test_redirect_of_a_directory_is_never_another_host(gateway, proto):
    """//evil.example/.. must not become a Location that leads away."""
    response = gateway.fetch(proto, "//evil.example/..%2f", host="named.example")
    assert not (response.get("location") or "").startswith("//")
    response = gateway.fetch(proto, "//dir", host="named.example")
    assert not (response.get("location") or "").startswith("//")


def test_request_variables(gateway, proto):
    """RFC 3875 4.1 and what applications rely on beside it."""
    response = gateway.fetch(
        proto, "/app/p?q=1", method="POST", host="named.example:8443",
        headers=[("Content-Type", "text/x-own; a=b"), ("X-One", "1"), ("X-Many", "a"),
                 ("X-Many", "b"), ("Cookie", "c=1; d=2"), ("Proxy", "http://evil"),
                 ("Authorization", "Basic dTpw"), ("User-Agent", "tester/1")],
        body=b"12345")
    assert response.status == 200
    env = response.env
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/p",
        "QUERY_STRING": "q=1",
        "REQUEST_URI": "/app/p?q=1",
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/x-own; a=b",
        "SERVER_NAME": "named.example",
        "SERVER_PROTOCOL": "HTTP/2.0" if proto.startswith("h2") else "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "named.example:8443",
        "HTTP_X_ONE": "1",
        "HTTP_X_MANY": "a, b",
        "HTTP_COOKIE": "c=1; d=2",
        "HTTP_USER_AGENT": "tester/1",
        "REQUEST_SCHEME": scheme(proto),
    }
    if proto.startswith("h2") and env["SERVER_PROTOCOL"] == "HTTP/2":
        expected["SERVER_PROTOCOL"] = "HTTP/2"
    assert {name: env.get(name) for name in expected} == expected
    port = gateway.ports["https" if is_tls(proto) else "http"]
    assert env["SERVER_PORT"] == str(port)
    assert env["SERVER_SOFTWARE"].startswith("h2cgi")
    assert int(env["REMOTE_PORT"]) > 0
    assert env.get("HTTPS") == ("on" if is_tls(proto) else None)
    for absent in ("HTTP_PROXY", "REMOTE_USER", "AUTH_TYPE", "HTTP_CONTENT_LENGTH",
                   "HTTP_CONTENT_TYPE", "HTTP_TRANSFER_ENCODING", "HTTP_CONNECTION"):
        assert absent not in env, absent


def test_no_length_without_a_body(gateway, proto):
    env = gateway.fetch(proto, "/app/p", host="named.example").env
    assert "CONTENT_LENGTH" not in env
    assert "CONTENT_TYPE" not in env
    assert env["QUERY_STRING"] == ""


def test_length_zero_for_an_empty_post(gateway, proto):
    env = gateway.fetch(proto, "/app/p", method="POST", body=b"", host="named.example").env
    assert env["CONTENT_LENGTH"] == "0"


def test_body_of_unknown_length_has_a_length(gateway, proto):
    env = gateway.fetch(proto, "/app/p", method="POST", body=[b"abc", b"def"],
                        host="named.example").env
    assert env["CONTENT_LENGTH"] == "6"


def test_route_env_overrides(gateway, proto):
    env = gateway.fetch(proto, "/x.php", host="named.example").env
    assert env["REMOTE_ADDR"] == "overridden"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND",
                                    "X-OWN", "get"])
def test_methods_reach_the_application_as_they_are(gateway, proto, method):
    env = gateway.fetch(proto, "/app/p", method=method, host="named.example").env
    assert env["REQUEST_METHOD"] == method


def test_underscore_names_do_not_shadow(gateway, proto):
    """X_Forwarded and X-Forwarded would be one variable: only the dashed one is passed."""
    env = gateway.fetch(proto, "/app/p", host="named.example",
                        headers=[("X-Real", "dash"), ("X_Real", "underscore")]).env
    assert env["HTTP_X_REAL"] == "dash"


def test_sni_alone_does_not_pick_the_site(gateway):
    """The request's authority does."""
    assert gateway.fetch("h2", "/", host="named.example").text == "named\n"


def test_cookie_crumbs_are_joined(gateway):
    """RFC 9113 8.2.3: several cookie fields are joined with '; '."""
    for proto in ("h2", "h2c"):
        env = gateway.fetch(proto, "/app/p", host="named.example",
                            headers=[("cookie", "a=1"), ("cookie", "b=2")]).env
        assert env["HTTP_COOKIE"] == "a=1; b=2"
