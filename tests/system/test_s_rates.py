"""Clients that dribble: bytes in time for every timeout, but too few of them."""
import time

import pytest
from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from lib import proc
from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.frames import ENHANCE_YOUR_CALM, H2
from lib.gateway import Gateway
from lib.h1 import render
from lib.message import Refused, Truncated
from peers.fcgi import OK_HEAD, Backend, keeping

SIZE = 32 << 20


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/big", b"x" * SIZE)
    write_file(place / "public/small", b"x" * 1000)

    def sink(request):
        return OK_HEAD + b"%d\n" % len(request.body)

    with Backend(str(place / "app.sock"), keeping(sink)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            request_body = spool
            [pool app]
            connect = unix:{place}/app.sock
            """, body_timeout="400ms", write_timeout="400ms", body_min_rate="2K",
            response_min_rate="256K") as gateway:
            gateway.backend = backend
            yield gateway


STEP_S = 0.02


def dribble(client, step, over):
    """step() now and then while what comes is read, until over() or the end.  By one thread: an
    SSL of OpenSSL does not bear two at once."""
    deadline = time.monotonic() + 15
    while not over() and time.monotonic() < deadline:
        try:
            step()
            if isinstance(client, H2):
                client.wait(over, STEP_S)
                ended = client.eof
            else:
                client.sock.settimeout(STEP_S)
                ended = not client.more()
        except TimeoutError:
            ended = False
        except OSError:
            ended = True  # what was answered before is still there to be read
        if ended:
            break
    client.sock.settimeout(15)


def figures(line):
    """'512/s (300 bytes in 71500 ms)' of a log line, as numbers."""
    limit, rest = line.split("_min_rate=")[1].split("/s (")
    n_bytes, ms = rest.split(" ms)")[0].split(" bytes in ")
    return int(limit), int(n_bytes), int(ms)


@pytest.mark.parametrize("proto", ["h1", "h1s"])
def test_slow_body(gateway, proto):
    since, n = gateway.mark(), len(gateway.backend.requests)
    with dial(proto, gateway) as client:
        client.send(render("POST", "/app/", [("Content-Length", "100000")]))
        dribble(client, lambda: client.send(b"x"), lambda: client.buffer)
        response = client.response()
        assert response.status == 408
        assert response.get("connection") == "close"
    limit, n_bytes, ms = figures(gateway.wait_log("EBODY_SLOW", since))
    assert limit == 2048 and n_bytes * 1000 < limit * ms and ms >= 400
    assert len(gateway.backend.requests) == n


@pytest.mark.parametrize("proto", ["h2", "h2c"])
def test_slow_body_of_a_stream(gateway, proto):
    """The stream is answered; the connection takes no further one, and ends."""
    since, n = gateway.mark(), len(gateway.backend.requests)
    with dial(proto, gateway) as client:
        number = client.request("POST", "/app/", [("content-length", "100000")], end=False,
                                scheme=scheme(proto))
        stream = client.streams[number]
        dribble(client, lambda: client.send(DataFrame(number, data=b"x")), lambda: stream.ended)
        assert client.response(number).status == 408
        assert client.wait_goaway() == ENHANCE_YOUR_CALM
        assert client.wait_eof()
    limit, n_bytes, ms = figures(gateway.wait_log("EBODY_SLOW", since))
    assert limit == 2048 and n_bytes * 1000 < limit * ms and ms >= 400
    assert len(gateway.backend.requests) == n


@pytest.mark.parametrize("proto", ["h1", "h1s", "h2", "h2c"])
def test_slow_uploads_that_keep_the_rate(gateway, proto):
    """Four times the rate, for longer than the time."""
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("POST", "/app/", end=False, scheme=scheme(proto))
            step, end = (lambda: client.send(DataFrame(number, data=b"x" * 164)),
                         lambda: client.send(DataFrame(number, flags=["END_STREAM"])))
        else:
            client.send(render("POST", "/app/", [("Transfer-Encoding", "chunked")]))
            step, end = (lambda: client.send(b"a4\r\n" + b"x" * 164 + b"\r\n"),
                         lambda: client.send(b"0\r\n\r\n"))
        begun = time.monotonic()
        while time.monotonic() < begun + 1:  # more than twice body_timeout
            step()
            time.sleep(STEP_S)
        end()
        response = client.response(number) if is_h2(proto) else client.response()
        assert response.status == 200
        assert int(response.body) >= 164 * 20


@pytest.mark.parametrize("proto", ["h1", "h1s", "h2", "h2c"])
def test_slow_reader_of_a_socket(gateway, proto):
    """It takes some, always in time, and is cut off."""
    since = gateway.mark()
    with dial(proto, gateway, rcvbuf=4096) as client:
        if is_h2(proto):
            client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 30}),
                        WindowUpdateFrame(0, window_increment=1 << 30))
            client.request(path="/big", scheme=scheme(proto))
        else:
            client.request("GET", "/big")
        def cut():
            try:
                client.sock.recv(1024)
            except OSError:
                pass
            return "ECLIENT_RATE" in gateway.log(since)
        proc.wait_until(cut, 15, "the end", STEP_S)
    limit, n_bytes, ms = figures(gateway.wait_log("ECLIENT_RATE", since))
    assert limit == 262144 and n_bytes * 1000 < limit * ms and ms >= 400


@pytest.mark.parametrize("proto", ["h2", "h2c"])
@pytest.mark.parametrize("which", ["stream", "connection"])
@pytest.mark.parametrize("step", [0, 1], ids=["none", "tiny"])
def test_windows_held_open(gateway, proto, which, step):
    """CVE-2019-9511, CVE-2019-9517: an answer is asked for, and its window never opened, or by
    a byte at a time.  By one thread: an SSL of OpenSSL does not bear two at once."""
    since = gateway.mark()
    first = 0 if which == "stream" else 1 << 20
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: first}
    with dial(proto, gateway, settings=settings, flow=False) as client:
        number = client.request(path="/big", scheme=scheme(proto))
        opened = number if which == "stream" else 0
        last, longest = time.monotonic(), 0
        while not client.wait(lambda: client.eof, 0.02 if step else 15) and not client.eof:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
            client.try_send(WindowUpdateFrame(opened, window_increment=1))
        with pytest.raises((Refused, Truncated)):
            client.response(number)
        assert client.wait_goaway() == ENHANCE_YOUR_CALM
    line = gateway.wait_log("ECLIENT_(SLOW|RATE)", since)
    if "ECLIENT_RATE" in line:
        assert step and figures(line)[0] == 262144
    else:
        assert "write_timeout=400ms" in line
        assert not step or longest > 0.3, "it opened the window in time"


@pytest.mark.parametrize("proto", ["h2", "h2c"])
def test_other_streams_go_on(gateway, proto):
    """One stream is held open: those under way are answered, and only then the end comes."""
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 0}
    with dial(proto, gateway, settings=settings) as client:
        held = client.request(path="/small", scheme=scheme(proto))
        upload = client.request("POST", "/app/", end=False, scheme=scheme(proto))
        dribble(client, lambda: client.send(DataFrame(upload, data=b"x" * 164)),
                lambda: client.streams[held].reset is not None)
        assert client.streams[held].reset is not None
        assert client.wait_goaway() == ENHANCE_YOUR_CALM
        client.send(DataFrame(upload, flags=["END_STREAM"]),
                    WindowUpdateFrame(upload, window_increment=1000))
        assert client.response(upload).status == 200
        assert client.wait_eof()
