"""Redirects with variables, and what a client may not make of them."""
import pytest

from lib.apps import write_file
from lib.client import dial, scheme
from lib.gateway import Gateway, refused
from peers.fcgi import Backend, dump, keeping

PROTOCOLS = ("h1", "h2", "h2c")


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front\n")
    with Backend(str(place / "app.sock"), keeping(dump)) as backend:
        with Gateway(place, f"""
            [site main]
            host = *.example.org www.example.org
            root = {place}/public
            env.WHERE = site
            env.BOTH = site
            [route main /secure/]
            redirect = 301 https://$host$uri
            [route main /whole/]
            redirect = 308 $scheme://$http_host:1$request_uri
            [route main /name/]
            redirect = https://$server_name/$is_args$args
            [route main /next/]
            redirect = /login?next=$request_uri&to=$arg_to&by=$request_method&ua=$http_user_agent
            [route main /to/]
            redirect = 303 /$arg_to
            [route main /here/]
            redirect = 307 $uri$$${{cookie_a}}x
            [route main /app/]
            pool = app
            env.BOTH = route
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            yield gateway
        assert backend.errors == []


HOST = "WWW.example.org"

# target, fields, status, Location ({} is the scheme)
REDIRECTS = [
    ("/secure/a%20b?x=1", {}, 301, "https://www.example.org/secure/a%20b"),
    ("/secure/%0d%0aSet-Cookie:%20a=b", {}, 301,
     "https://www.example.org/secure/%0D%0ASet-Cookie:%20a=b"),
    ("/secure/../secure/%c3%a4%3f%25", {}, 301, "https://www.example.org/secure/%C3%A4%3F%25"),
    ("/whole/x?a=%0d%0a&b=/?", {}, 308, "{}://WWW.example.org:1/whole/x?a=%0d%0a&b=/?"),
    ("/name/x?a=b", {}, 302, "https://www.example.org/?a=b"),
    ("/name/x?", {}, 302, "https://www.example.org/"),
    ("/next/x?to=%2fy&z", {"user-agent": "a b&c=d"}, 302,
     "/login?next=/next/x?to=%2fy&z&to=%2fy&by=GET&ua=a%20b%26c%3Dd"),
    ("/to/?to=//evil.example/x", {}, 303, "/evil.example/x"),
    ("/to/?to=/%5cevil.example", {}, 303, "/%5cevil.example"),
    ("/to/?to=http://evil.example", {}, 303, "/http://evil.example"),
    ("/to/", {}, 303, "/"),
    ("//here//evil.example/..//", {"cookie": "b=2; a=<1>"}, 307, "/here///$%3C1%3Ex"),
]


@pytest.mark.parametrize("row", REDIRECTS, ids=lambda row: row[0])
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_location(gateway, proto, row):
    target, fields, status, location = row
    response = gateway.fetch(proto, target, headers=list(fields.items()), host=HOST)
    assert response.status == status
    assert response.get("location") == location.replace("{}", scheme(proto))
    assert response.get("set-cookie") is None


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_env_of_site(gateway, proto):
    env = gateway.fetch(proto, "/app/x", host=HOST).env
    assert (env["WHERE"], env["BOTH"]) == ("site", "route")


def test_http_1_0_without_host(gateway):
    """The site's own name stands in."""
    with dial("h1", gateway) as client:
        client.send(b"GET /secure/ HTTP/1.0\r\n\r\n")
        assert client.response().get("location") == "https://www.example.org/secure/"


WRONG = [
    ("/x/$hots", "there is no variable $hots; did you mean \"host\"?"),
    ("https://$arg_host/",
     "the host of a URL is not for the client to choose: $host, $server_name"),
    ("$arg_to", "the target is an absolute path or a URL"),
    ("/$1", "$1: there is no pattern with groups"),
]


@pytest.mark.parametrize("target, why", WRONG)
def test_wrong(place, target, why):
    said = refused(place, f"[route main /a]\nredirect = {target}")
    assert f"6: redirect = {target}: {why}\n" in said
