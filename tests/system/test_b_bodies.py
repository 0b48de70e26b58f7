"""request_body: what an application gets of a body, of known and unknown length, up to the limit
and over it."""
import pytest

from lib import proc
from lib.apps import write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway
from lib.h1 import chunk, render
from lib.message import Refused, Truncated
from peers.fcgi import (ABORT, OK_HEAD, STDIN, STDOUT, Backend, answer, echo, end_request,
                        keeping, record)

LIMIT = 100000
MODES = ("auto", "spool", "stream")
DATA = bytes(range(251)) * (LIMIT // 251 + 2)


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_script(place / "cgi/cat", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                 'echo "${CONTENT_LENGTH-unset}"\nexec cat\n')
    routes = "".join(f"""
            [route main /{mode}/fcgi/]
            pool = app
            request_body = {mode}
            [route main /{mode}/cgi/]
            pool = scripts
            root = {place}/cgi
            request_body = {mode}
            """ for mode in MODES)
    with Backend(f"{place}/app.sock", keeping(echo)) as backend, Gateway(place, f"""
            [site main]
            root = {place}/public
            body_limit = {LIMIT}
            [pool app]
            connect = unix:{place}/app.sock
            [pool scripts]
            cgi = on
            max_requests = 2
            {routes}
            """, spool_memory="64K") as gateway:
        gateway.backend = backend
        yield gateway
        assert backend.errors == []


def body_of(size, known):
    data = DATA[:size]
    return data if known else [data[i:i + 7000] for i in range(0, size, 7000)]


def told(mode, size, known):
    """CONTENT_LENGTH as the application is to see it: true, or not there."""
    return None if mode == "stream" and not known else str(size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, LIMIT - 1, LIMIT])
def test_application(gateway, proto, mode, known, size):
    response = gateway.fetch(proto, f"/{mode}/fcgi/x", method="POST", body=body_of(size, known))
    assert response.body == DATA[:size]
    params = gateway.backend.requests[-1].params
    assert params.get("CONTENT_LENGTH") == told(mode, size, known)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("size", [1, LIMIT])
def test_script(gateway, proto, mode, known, size):
    response = gateway.fetch(proto, f"/{mode}/cgi/cat", method="POST", body=body_of(size, known))
    length, _, body = response.body.partition(b"\n")
    assert body == DATA[:size]
    assert length.decode() == (told(mode, size, known) or "unset")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_over_the_limit(gateway, proto, mode, known):
    """413, and unless it was passed on as it came nobody heard of it."""
    since, query = gateway.mark(), f"over-{mode}-{known}-{proto}"
    response = gateway.fetch(proto, f"/{mode}/fcgi/x?{query}", method="POST",
                             body=body_of(LIMIT + 1, known))
    assert response.status == 413
    gateway.wait_log("request body over body_limit", since)
    if known or mode != "stream":
        assert query not in [r.params.get("QUERY_STRING") for r in gateway.backend.requests]


def begin_unknown(client, proto, path):
    if is_h2(proto):
        assert client.wait(lambda: client.peer_settings)
        return client.request("POST", path, scheme=scheme(proto), end=False)
    client.send(render("POST", path, [("Transfer-Encoding", "chunked")]))
    return None


def send(client, number, data):
    if number is None:
        client.send(chunk(data))
    else:
        client.send_body(number, data, end=False)


def test_over_the_limit_in_the_middle_of_the_answer(place, start, proto):
    """The application was answering: it is told to stop, and the answer is seen to be cut."""
    heard = []

    def serve(conn):
        request = conn.begin()
        if request.params["PATH_INFO"] == "/ok":
            conn.stdin(request)
            conn.send(answer(request.number, OK_HEAD + b"ok"))
            return
        conn.send(record(STDOUT, request.number, OK_HEAD + b"begun\n"))
        while True:
            kind, _, content = conn.record()
            if kind == ABORT:
                heard.append("abort")
                conn.send(end_request(request.number))
                return
            assert kind == STDIN and content, "no end of a body that was cut off"

    with Backend(f"{place}/app.sock", serve) as backend:
        gateway = start(f"[site main]\nroot = {place}/public\nbody_limit = {LIMIT}\n"
                        "request_body = stream\n[route main /app/]\npool = app\n"
                        f"[pool app]\nconnect = unix:{place}/app.sock\nmax_requests = 1\n")
        with dial(proto, gateway) as client:
            number = begin_unknown(client, proto, "/app/x")
            send(client, number, DATA[:1000])
            if number is None:
                head = client.head()
                assert client.take_line() == "6" and client.take(8) == b"begun\n\r\n"
            else:
                assert client.wait(lambda: client.body_so_far(number) == b"begun\n")
            try:
                send(client, number, DATA[:LIMIT])
                with pytest.raises(Truncated):
                    client.response(number) if number is not None else client.chunked(head)
            except (OSError, Refused):
                pass  # cut while it was sending
        proc.wait_until(lambda: heard == ["abort"], 10, "word of it to the application")
        gateway.wait_log("request body over body_limit")
        assert gateway.get("/app/ok").body == b"ok"
        assert backend.errors == []
