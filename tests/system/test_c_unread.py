"""Applications that do not read the body they are sent, or not all of it: their answer is
delivered in full, whenever it comes, and a broken pipe is nobody's error."""
import re
import threading

import pytest

from lib.apps import app, write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway
from lib.h1 import chunk, render
from peers.fcgi import OK_HEAD, STDOUT, Backend, answer, end_request, stream

ANSWER = bytes(range(256)) * 12000  # 3 MiB: more than all buffers between them
HUGE = 1 << 30  # announced, and never sent in full

HEAD = "printf 'Content-Type: text/plain\\n\\n'"
SCRIPTS = {
    # ... closes its input, then answers
    "closes": f"exec <&-\n{HEAD}\nexec cat {{answer}}",
    # ... answers with its input open and unread
    "ignores": f"{HEAD}\nexec cat {{answer}}",
    # ... reads a little first
    "starts": f"head -c 1000 >/dev/null\n{HEAD}\nexec cat {{answer}}",
    # ... answers, and reads all of it then
    "reads_late": f"{HEAD}\ncat {{answer}}\nexec cat >/dev/null",
}


def serve(conn):
    """The same as a FastCGI application, by path."""
    while True:
        request = conn.begin()
        number, how = request.number, request.params["PATH_INFO"][1:]
        if how == "starts":
            got = 0
            while got < 1000:
                got += len(conn.record()[2])
        if how == "reads_late":
            conn.send(stream(STDOUT, number, OK_HEAD + ANSWER))
            conn.stdin(request)
            conn.send(end_request(number))
        else:
            conn.send(answer(number, OK_HEAD + ANSWER))
        if how in ("ignores", "starts"):
            conn.wait_end()
            return
        if how == "closes" or not request.keeps:
            return


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    answer_file = place / "answer"
    answer_file.write_bytes(ANSWER)
    for name, text in SCRIPTS.items():
        write_script(place / "cgi" / name,
                     "#!/bin/sh\n" + text.format(answer=answer_file) + "\n")
    with Backend(f"{place}/app.sock", serve) as backend, Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /cgi/]
            pool = scripts
            root = {place}/cgi
            [route main /fcgi/]
            pool = app
            [route main /stream/cgi/]
            pool = scripts
            root = {place}/cgi
            request_body = stream
            [route main /stream/fcgi/]
            pool = app
            request_body = stream
            [route main /libfcgi/]
            pool = download
            [pool scripts]
            cgi = on
            max_requests = 2
            [pool app]
            connect = unix:{place}/app.sock
            max_requests = 4
            [pool download]
            spawn = {app('download')}
            """) as gateway:
        yield gateway
        assert backend.errors == []


def begin(client, proto, path, length, data):
    """Send a head and data, the beginning of a body.  length None: of unknown length."""
    fields = [] if length is None else [("Content-Length", str(length))]
    if is_h2(proto):
        assert client.wait(lambda: client.peer_settings)
        number = client.request("POST", path, fields, scheme=scheme(proto), end=False)
        client.send_body(number, data, end=False)
        return number
    if length is None:
        client.send(render("POST", path, [("Transfer-Encoding", "chunked")]) + chunk(data))
    else:
        client.send(render("POST", path, fields) + data)
    return None


def whole_body(client, number, size):
    """The answer's body while the request is not at its end."""
    if number is None:
        response = client.head()
        assert response.status == 200
        client.body(response)
        return response.body
    stream_ = client.streams[number]
    assert client.wait(lambda: sum(map(len, stream_.parts)) >= size or stream_.reset is not None)
    assert stream_.response.status == 200
    return client.body_so_far(number)


EARLY = ("closes", "ignores", "starts")  # all answer without most of the body


@pytest.mark.threads
@pytest.mark.parametrize("how", EARLY)
@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
def test_answer_before_the_body(gateway, proto, kind, how):
    """The client has sent a little of its body, and waits."""
    with dial(proto, gateway) as client:
        number = begin(client, proto, f"/{kind}/{how}", HUGE, b"x" * 20000)
        assert whole_body(client, number, len(ANSWER)) == ANSWER


@pytest.mark.parametrize("how", EARLY)
@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
def test_answer_before_a_body_of_unknown_length(gateway, proto, kind, how):
    with dial(proto, gateway) as client:
        number = begin(client, proto, f"/stream/{kind}/{how}", None, b"x" * 20000)
        assert whole_body(client, number, len(ANSWER)) == ANSWER


class Sending(threading.Thread):
    """Sends on and on until the connection takes no more."""

    def __init__(self, sock, size):
        super().__init__(daemon=True)
        self.sock, self.left = sock, size

    def run(self):
        try:
            while self.left > 0:
                self.left -= self.sock.send(b"x" * min(self.left, 65536))
        except OSError:
            pass


@pytest.mark.threads
@pytest.mark.parametrize("how", EARLY)
@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
def test_client_that_sends_on(gateway, kind, how):
    """HTTP/1.1: it is read for a while yet, so that no reset takes the answer from it."""
    with dial("h1", gateway) as client:
        begin(client, "h1", f"/{kind}/{how}", HUGE, b"x" * 20000)
        sending = Sending(client.sock, HUGE)
        sending.start()
        assert whole_body(client, None, len(ANSWER)) == ANSWER
        client.sock.shutdown(2)
        sending.join()


@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
@pytest.mark.parametrize("how", EARLY)
def test_whole_body(gateway, proto, kind, how):
    """All of 8 MiB is sent before the answer is looked at."""
    response = gateway.fetch(proto, f"/{kind}/{how}", method="POST", body=b"x" * (8 << 20))
    assert response.body == ANSWER


@pytest.mark.parametrize("kind", ["cgi", "fcgi"])
def test_body_is_read_behind_the_answer(gateway, proto, kind):
    with dial(proto, gateway) as client:
        number = begin(client, proto, f"/{kind}/reads_late", 20000, b"x" * 20000)
        if number is None:
            assert client.response().body == ANSWER
        else:
            client.send_body(number, b"")
            assert client.response(number).body == ANSWER


def test_libfcgi(gateway, proto):
    """It closes a kept connection behind an unread body; the next request gets another."""
    with dial(proto, gateway) as client:
        number = begin(client, proto, "/libfcgi/?bytes=3000000", HUGE, b"x" * 20000)
        assert len(whole_body(client, number, 3000000)) == 3000000
    assert len(gateway.fetch(proto, "/libfcgi/?bytes=100").body) == 100


def test_it_is_nobodys_error(gateway, proto):
    """Exit status 0, and no line in the error log."""
    since = gateway.mark()
    for how in EARLY:
        with dial(proto, gateway) as client:
            begin_and_end(client, proto, f"/cgi/{how}?{proto}")
        (line,) = gateway.wait_access(rf"/cgi/{how}\?{proto} ")
        assert re.search(r'" 200 .* exit=0 ', line), line
    lines = [line for line in gateway.log(since).splitlines()
             if " error " in line or " warn " in line]
    assert lines == []


def begin_and_end(client, proto, path):
    number = begin(client, proto, path, 1 << 20, b"x" * 20000)
    assert whole_body(client, number, len(ANSWER)) == ANSWER
    if number is not None:
        client.send_body(number, b"x" * ((1 << 20) - 20000))
        assert client.response(number).body == ANSWER
