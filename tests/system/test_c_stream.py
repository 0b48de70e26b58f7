"""Responses that are never held back: events, X-Accel-Buffering: no, and what speaks HTTP itself.
The first part arrives while the application waits to be told to go on, and a client that reads
nothing makes it wait: nothing of it goes to a spool."""
import threading
import time

import pytest

from lib import proc
from lib.apps import write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway
from lib.h1 import H1
from lib.spooled import spool_files
from peers.fcgi import STDOUT, Backend, end_request, record

HEADS = {
    "events": b"Content-Type: text/event-stream\r\n\r\n",
    "events_utf8": b"content-type: Text/Event-Stream; charset=utf-8\n\n",
    "accel": b"Content-Type: text/plain\r\nX-Accel-Buffering: no\r\n\r\n",
    "nph": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
}
FIRST, SECOND = b"data: first\n\n", b"data: second\n\n"
BLOCK = b"data: " + b"x" * 8190 + b"\n\n"
MIB = 1 << 20

# $1 of QUERY_STRING is the file that it waits for; "flood" sends until it is stopped.
SCRIPT = """\
    #!/usr/bin/perl
    use strict; $| = 1; binmode STDOUT;
    open my $h, "<:raw", "$0.head" or die; print do { local $/; <$h> };
    if ($ENV{QUERY_STRING} eq "flood") {
        my ($block, $n) = ("data: " . "x" x 8190 . "\\n\\n", 0);
        while (syswrite STDOUT, $block) {
            $n += length $block;
            open my $f, ">", "$0.sent.new"; print $f $n; close $f;
            rename "$0.sent.new", "$0.sent";
        }
    }
    print "data: first\\n\\n";
    select undef, undef, undef, 0.01 until -e $ENV{QUERY_STRING};
    print "data: second\\n\\n";
    """


class Application:
    def __init__(self):
        self.go, self.sent = threading.Event(), dict.fromkeys(HEADS, 0)

    def __call__(self, conn):
        request = conn.request()
        name = request.params["PATH_INFO"][1:]
        number = request.number
        conn.send(record(STDOUT, number, HEADS[name]))
        if request.params["QUERY_STRING"] == "flood":
            self.flood(conn, number, name)
            return
        conn.send(record(STDOUT, number, FIRST))
        self.go.wait(20)
        conn.send(record(STDOUT, number, SECOND) + end_request(number))

    def flood(self, conn, number, name):
        while self.sent[name] < 64 * MIB:
            conn.send(record(STDOUT, number, BLOCK))
            self.sent[name] += len(BLOCK)


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name, head in HEADS.items():
        write_script(place / "cgi" / name, SCRIPT)
        (place / "cgi" / f"{name}.head").write_bytes(head)
    (place / "cgi").chmod(0o777)
    application = Application()
    with Backend(f"{place}/app.sock", application) as backend, Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /cgi/]
            pool = scripts
            root = {place}/cgi
            [route main /fcgi/]
            pool = app
            [pool scripts]
            cgi = on
            max_requests = 2
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
        gateway.application = application
        yield gateway
        assert backend.errors == []


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
def test_first_event_arrives_alone(gateway, proto, kind, name):
    gateway.application.go.clear()
    go = gateway.place / f"go-{proto}-{kind}-{name}"
    path = f"/{kind}/{name}?{go if kind == 'cgi' else ''}"
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("GET", path, scheme=scheme(proto))
            assert client.wait(lambda: client.body_so_far(number) == FIRST)
        else:
            client.request("GET", path)
            response = client.head()
            assert client.take_line() == f"{len(FIRST):x}"
            assert client.take(len(FIRST) + 2) == FIRST + b"\r\n"
        go.touch()
        gateway.application.go.set()
        if is_h2(proto):
            response = client.response(number)
            assert response.body == FIRST + SECOND
        else:
            client.chunked(response)
            assert response.body == SECOND
    assert response.status == 200
    assert response.get("x-accel-buffering") is None, "it was for the gateway"


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
def test_nothing_is_spooled(gateway, kind, name):
    """More than all buffers between them, and no file: the application waits."""
    sent_file = gateway.place / "cgi" / f"{name}.sent"
    sent_file.unlink(missing_ok=True)

    def sent():
        if kind == "fcgi":
            return gateway.application.sent[name]
        return int(sent_file.read_text()) if sent_file.exists() else 0

    def stalls():
        before = sent()
        for _ in range(30):  # longer than it takes to be thought slow
            time.sleep(0.01)
            if sent() != before:
                return False
        return before > 0

    with H1(gateway.address(), rcvbuf=4096) as client:
        client.request("GET", f"/{kind}/{name}?flood")
        proc.wait_until(stalls, 20, "a stalled application")
        assert spool_files(gateway) == []
        assert sent() < 12 * MIB
