"""The rows of rfc3875.py, with a CGI program and with a FastCGI application."""
import crypt
import re
from pathlib import Path

import pytest
from hyperframe.frame import DataFrame

from lib.apps import write_file, write_script
from lib.client import dial, is_h2, is_tls, scheme
from lib.gateway import ROOT, Gateway
from lib.message import Refused
from rfc3875 import ASKED, REFUSED, SAID

# As CGI program one request, as FastCGI application many.  X-Says names a file with the output;
# where a local redirect leads the script has PATH_INFO.  Bytes that are not plain text are
# written as \XX.
SCRIPT = """\
    #!/usr/bin/perl
    use strict; use FCGI; use Cwd;
    my (%env, $r);
    sub plain { my $s = shift; $s =~ s/([^ -\\[\\]-~])/sprintf "\\\\%02X", ord $1/ge; $s }
    $r = FCGI::Request(\\*STDIN, \\*STDOUT, \\*STDERR, \\%ENV);
    binmode STDIN; binmode STDOUT;
    while ($r->Accept() >= 0) {
        my $file = $ENV{HTTP_X_SAYS};
        if ($file && !exists $ENV{PATH_INFO}) {
            open my $f, "<:raw", $file or die; local $/; print <$f>; next;
        }
        my $body = "";
        1 while read STDIN, $body, 1 << 16, length $body;
        my $asked = "$ENV{REQUEST_METHOD} $ENV{REQUEST_URI}";
        print "Content-Type: text/plain\\nX-Asked: $asked\\n\\n";
        print map { "$_=" . plain($ENV{$_}) . "\\n" } sort keys %ENV;
        print "argv=", plain(join "|", @ARGV), "\\ncwd=", getcwd, "\\nstdin=", plain($body), "\\n";
    }
    """


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name in ("x", "dir/deep", "two words"):
        write_script(place / "cgi" / name, SCRIPT)
    write_file(place / "cgi/plain.txt", "not a program").chmod(0o644)
    write_file(place / "public/page.txt", "a page\n")
    write_file(place / "passwords", f"alice:{crypt.crypt('secret', '$5$salt')}\n")
    routes = "".join(f"""
        [route main /{app}/]
        pool = {app}
        root = {place}/cgi
        [route main /one/{app}/]
        pool = {app}
        script = {place}/cgi/x
        [route main /auth/{app}/]
        pool = {app}
        root = {place}/cgi
        auth = basic
        auth_file = {place}/passwords
        [route main /pass/{app}/]
        pool = {app}
        root = {place}/cgi
        underscores = pass
        [route loose /{app}/]
        pool = {app}
        root = {place}/cgi
        [route loose /drop/{app}/]
        pool = {app}
        root = {place}/cgi
        underscores = drop
        [route main /set/{app}/]
        pool = {app}
        root = {place}/cgi
        env.SERVER_NAME = set.example
        env.HTTP_X_SET = by the route
        """ for app in ("cgi", "fcgi"))
    with Gateway(place, f"""
        [site main]
        host = *
        root = {place}/public
        [site loose]
        host = pass.example
        underscores = pass
        [pool cgi]
        cgi = on
        max_requests = 2
        [pool fcgi]
        spawn = {place}/cgi/x
        {routes}
        """) as gateway:
        yield gateway


def cases(rows):
    for row in rows:
        for app in row.apps:
            for proto in row.protos:
                name = f"{row.section} {row.what}-{app}-{proto}"
                yield pytest.param(row, app, proto, id=name.replace(" ", "_"))


def ask(gateway, proto, method, path, headers, body, host="localhost", source=None):
    """The response, and what is to be said of the connection."""
    with dial(proto, gateway, source=source) as client:
        seen = {"peer_port": client.sock.getsockname()[1], "scheme": scheme(proto),
                "port": client.sock.getpeername()[1], "place": gateway.place}
        if is_tls(proto):
            seen["cipher"], _, seen["bits"] = client.sock.cipher()
        if is_h2(proto):
            if isinstance(body, bytes):
                headers = [*headers, ("content-length", str(len(body)))]
            elif body is not None:
                body = b"".join(body)
            return client.fetch(method, path, headers, body, host, scheme(proto)), seen
        return client.fetch(method, path, headers, body, host), seen


def version():
    text = Path(ROOT / "gateway/version.h").read_text()
    return re.search(r'H2CGI_VERSION "(.*)"', text)[1]


@pytest.mark.parametrize("row, app, proto", cases(ASKED))
def test_asked(gateway, row, app, proto):
    response, seen = ask(gateway, proto, row.method, row.path.format(app=app), row.headers,
                         row.body, row.host, row.source)
    assert response.status == 200
    env = response.env
    wanted = {name: value if value is None or name == "stdin" else
              value.format(app=app, version=version(), **seen)
              for name, value in row.expect.items()}
    assert {name: env.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("section, what, path, status", REFUSED)
@pytest.mark.parametrize("app", ["cgi", "fcgi"])
def test_refused(gateway, proto, section, what, path, status, app):
    assert gateway.fetch(proto, path.format(app=app)).status == status


@pytest.mark.parametrize("row, app, proto", cases(SAID))
def test_said(gateway, row, app, proto):
    file = write_file(gateway.place / "says", row.says.replace(b"{app}", app.encode()))
    response, _ = ask(gateway, proto, row.method, f"/{app}/x", [("X-Says", file)],
                      b"form" if row.method == "POST" else None)
    assert response.status == row.status
    if row.reason and not is_h2(proto):
        assert response.reason == row.reason
    if row.body is not None:
        assert response.body == row.body
    for name, value in row.fields.items():
        wanted = [] if value is None else [value] if isinstance(value, str) else value
        assert response.all(name) == [each.format(app=app) for each in wanted], name


TRAILERS = (("x-mine", "trailer"), ("x-real-ip", "192.0.2.1"), ("authorization", "Basic eDp5"),
            ("content-length", "3"), ("host", "b.example"))


@pytest.mark.parametrize("app", ["cgi", "fcgi"])
def test_trailers_are_dropped(gateway, proto, app):
    """RFC 9110 6.5.1: they are no fields, and no variables either; the field stays as it was."""
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", f"/{app}/x", [("x-mine", "head")], end=False,
                                    scheme=scheme(proto))
            client.send(DataFrame(number, data=b"hello"))
            client.send(client.headers_frame(number, TRAILERS[:3]))
            response = client.response(number)
        else:
            client.send(f"POST /{app}/x HTTP/1.1\r\nHost: localhost\r\nX-Mine: head\r\n"
                        "Trailer: X-Mine\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "5\r\nhello\r\n0\r\n".encode() +
                        "".join(f"{name}: {value}\r\n" for name, value in TRAILERS).encode() +
                        b"\r\n")
            response = client.response()
    env = response.env
    assert (env["HTTP_X_MINE"], env["CONTENT_LENGTH"], env["stdin"]) == ("head", "5", "hello")
    assert env["HTTP_HOST"] == "localhost"
    assert not {"HTTP_X_REAL_IP", "HTTP_AUTHORIZATION", "HTTP_TRAILER"} & set(env)


@pytest.mark.parametrize("app", ["cgi", "fcgi"])
def test_trailers_are_bounded(gateway, proto, app):
    """16 KiB and 100 fields on HTTP/1.1: 431; head_limit and head_fields on HTTP/2: the stream
    is reset with ENHANCE_YOUR_CALM."""
    trailers = [("x-mine", "y" * 990)] * 99
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", f"/{app}/x", end=False, scheme=scheme(proto))
            client.send(DataFrame(number, data=b"hello"))
            client.send_trailers(number, trailers)
            with pytest.raises(Refused) as refused:
                client.response(number)
            assert refused.value.code == 11
        else:
            client.send(f"POST /{app}/x HTTP/1.1\r\nHost: localhost\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n".encode())
            client.send("".join(f"{name}: {value}\r\n" for name, value in trailers).encode())
            assert client.response().status == 431


def test_http_1_0_without_a_host(gateway):
    """4.1.14: the site's own name, or where there is none the address; 4.1.16."""
    with dial("h1", gateway) as client:
        client.send(b"GET /cgi/x HTTP/1.0\r\n\r\n")
        response = client.response()
    assert response.env["SERVER_NAME"] == "127.0.0.1"
    assert response.env["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in response.env


def test_crumbs_of_a_cookie(gateway):
    """RFC 9113 8.2.3: HTTP/2 clients send each pair by itself."""
    with dial("h2", gateway) as client:
        crumbs = [("cookie", pair) for pair in ("a=1", "b=2", "c=3")]
        assert client.fetch("GET", "/fcgi/x", crumbs).env["HTTP_COOKIE"] == "a=1; b=2; c=3"
