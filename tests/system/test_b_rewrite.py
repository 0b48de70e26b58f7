"""rewrite: rules of sites and routes, their flags, what applications see, and what is refused."""
import pytest

from lib.apps import write_file
from lib.client import dial
from lib.gateway import Gateway, refused
from peers.fcgi import Backend, dump, keeping

PROTOCOLS = ("h1", "h2", "h2c")


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/new/page.html", "new page\n")
    write_file(place / "public/new/a b?.txt", "odd\n")
    write_file(place / "public/one.txt", "one\n")
    write_file(place / "public/two.txt", "two\n")
    write_file(place / "public/index.php", "source")
    write_file(place / "hidden/x.txt", "hidden\n")
    write_file(place / "outside.txt", "outside\n")
    with Backend(str(place / "app.sock"), keeping(dump)) as backend:
        with Gateway(place, rf"""
            [site main]
            root = {place}/public
            rewrite = ^/old/(.*)$ /new/$1
            rewrite = ^/chain1$ /chain2
            rewrite = ^/chain2$ /one.txt
            rewrite = ^/last1$ /last2 last
            rewrite = ^/last2$ /two.txt
            rewrite = ^/stop$ /looped/stop break
            rewrite = ^/user/(\d+)(/.*)?$ /index.php$2?id=$1&from=$host
            rewrite = ^/bare/(.*)$ /index.php?path=$1?
            rewrite = ^/go/(.*)$ /there/$1 redirect
            rewrite = ^/gone/(.*)$ https://$host/$1 permanent
            rewrite = ^/away$ http://other.example/x?y=1
            rewrite = ^/up/(.*)$ /new/../../$1
            rewrite = ^/glue/(.)(.)/(.*)$ /new/$1$2/$3
            rewrite = "^/with space/(.*)$" /new/$1
            rewrite = ^/inside/(.*)$ /internal/$1
            rewrite = ^/slow/(a+)+$ /one.txt
            [route main *.php]
            pool = app
            [route main /looped/]
            rewrite = ^/looped/stop$ /one.txt
            rewrite = ^/looped/go$ /one.txt
            rewrite = ^/looped/(.*)$ /looped/x$1 last
            [route main /front/]
            pool = app
            rewrite = ^/front/(.+)$ /index.php/$1 last
            [route main /internal/]
            root = {place}/hidden
            internal = on
            [route main /there/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            yield gateway
        assert backend.errors == []


# target, status, body or Location
ANSWERS = [
    ("/old/page.html", 200, "new page\n"),
    ("//old//page.html", 200, "new page\n"),
    ("/%6fld/./page.html?x=y", 200, "new page\n"),
    ("/old/a%20b%3f.txt", 200, "odd\n"),
    ("/with%20space/page.html", 200, "new page\n"),
    ("/old/none", 404, None),
    ("/chain1", 200, "one\n"),   # the next rule sees what one made
    ("/last1", 404, None),       # last: not the rule behind it
    ("/last2", 200, "two\n"),
    ("/stop", 404, None),        # break: not the route's rules either
    ("/looped/go", 200, "one\n"),
    ("/looped/x", 500, None),    # what its third rule makes, eleven times
    ("/internal/x.txt", 404, None),
    ("/inside/x.txt", 200, "hidden\n"),
    ("/go/a%20b?c=d", 302, "/there/a%20b?c=d"),
    ("/go/%0d%0aSet-Cookie:%20x", 302, "/there/%0D%0ASet-Cookie:%20x"),
    ("/gone//evil.example/?q", 301, "https://localhost/evil.example/?q"),
    ("/away?z=2", 302, "http://other.example/x?y=1&z=2"),
    # the jail: what is made is settled like a path from outside
    ("/up/outside.txt", 400, None),
    ("/glue/../../../outside.txt", 400, None),
    ("/glue/%2e%2e/x", 404, None),
    ("/old/..%2f..%2foutside.txt", 400, None),
    ("/old/%252e%252e/x", 404, None),
]


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row[0])
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_answer(gateway, proto, row):
    target, status, told = row
    response = gateway.fetch(proto, target)
    assert response.status == status
    if status in (301, 302):
        assert response.get("location") == told
    elif told:
        assert response.text == told


# target, SCRIPT_NAME, PATH_INFO, QUERY_STRING
APPLICATIONS = [
    ("/user/7", "/index.php", "", "id=7&from=localhost"),
    ("/user/7/a%20b?c=%20d", "/index.php", "/a b", "id=7&from=localhost&c=%20d"),
    ("/bare/x%26y%3D/z?dropped", "/index.php", "", "path=x%26y%3D/z"),
    ("/front/some/%3Fpage?q=1", "/index.php", "/some/?page", "q=1"),
]


@pytest.mark.parametrize("row", APPLICATIONS, ids=lambda row: row[0])
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_application(gateway, proto, row):
    target, script_name, path_info, query = row
    env = gateway.fetch(proto, target).env
    assert env["REQUEST_URI"] == target  # as it was asked for
    assert env["SCRIPT_NAME"] == script_name
    assert env.get("PATH_INFO", "") == path_info
    assert env["QUERY_STRING"] == query
    assert env["SCRIPT_FILENAME"].endswith("/public/index.php")


def test_circle(gateway):
    mark = gateway.mark()
    assert gateway.get("/looped/round").status == 500
    assert "more than 10 rewrites" in gateway.wait_log("/looped/round", mark)


def test_hostile_path(gateway):
    """Exponential for the pattern: given up after a bounded number of steps."""
    mark = gateway.mark()
    assert gateway.get("/slow/" + "a" * 20).text == "one\n"
    assert gateway.get("/slow/" + "a" * 4000 + "b").status == 500
    line = gateway.wait_log("too hard for the pattern", mark)
    assert 'rewrite="^/slow/(a+)+$"' in line
    with dial("h1", gateway) as client:
        assert client.fetch("GET", "/one.txt").text == "one\n"


WRONG = [
    ("^/(a /b", "at byte 5 of the pattern: missing closing parenthesis"),
    ("^/a", "a rule is PATTERN TARGET [last, break, redirect or permanent]"),
    ("^/a /b last x", "a rule is PATTERN TARGET [last, break, redirect or permanent]"),
    ("^/a /b lst", "the last word is last, break, redirect or permanent, not lst; did you mean "
     "\"last\"?"),
    ("^/(a) /b/$2", "$2, but the pattern has 1 group"),
    ("^/(a) b/$1", "the target is an absolute path or a URL"),
    ("^/a https://$host/ last", "last and break go with a path, and this is a URL"),
    ("^/a ?", "the target is an absolute path or a URL"),
    ("\"^/a /b", "a double quote that is not closed"),
]


@pytest.mark.parametrize("rule, why", WRONG)
def test_wrong(place, rule, why):
    assert f"5: rewrite = {rule}: {why}\n" in refused(place, f"rewrite = {rule}")
