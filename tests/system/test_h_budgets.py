"""HTTP/2 floods: ended with ENHANCE_YOUR_CALM within their budgets, others are served."""
import pytest
from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame,
                              RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from lib.apps import write_file
from lib.client import dial
from lib.frames import CANCEL, ENHANCE_YOUR_CALM, PREFACE
from lib.gateway import Gateway
from lib.h1 import H1
from peers.fcgi import Backend, hello, keeping

FRAMES = 300  # of a kind, far beyond the budgets configured below


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front")
    with Backend(str(place / "app.sock"), keeping(hello)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            queue = 1000
            """, h2_resets=20, h2_control_frames=50, head_timeout="1s") as gateway:
            gateway.backend = backend
            yield gateway


@pytest.fixture(params=["h2", "h2c"])
def proto(request):
    return request.param


def rapid_reset(client):
    for _ in range(FRAMES):
        number = client.open_stream()
        yield client.headers_frame(number, request()), RstStreamFrame(number, error_code=CANCEL)


def request(path="/app/x"):
    return [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"),
            (":path", path)]


def see_reset(client, number):
    """Now and then see what was reset, or more streams than allowed would be open, which is an
    error of another name."""
    if number % 50 == 1:
        client.wait(lambda: client.streams[number].reset is not None or client.goaway)


def made_you_reset(client):
    """CVE-2025-8671: the client makes the server reset (here a window that overflows)."""
    for _ in range(FRAMES):
        number = client.open_stream()
        yield (client.headers_frame(number, request(), end=False),
               WindowUpdateFrame(number, window_increment=(1 << 31) - 1))
        see_reset(client, number)


def malformed(client):
    """Heads that we must reset."""
    for _ in range(FRAMES):
        number = client.open_stream()
        yield (client.headers_frame(number, request() + [("connection", "x")]),)
        see_reset(client, number)


class Raw:
    def __init__(self, data):
        self.data = data

    def serialize(self):
        return self.data


def pings(client):
    for i in range(FRAMES):
        yield (PingFrame(0, opaque_data=i.to_bytes(8, "big")),)


def settings(client):
    for i in range(FRAMES):
        yield (SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1000 + i}),)


def empty_data(client):
    number = client.request("POST", "/app/x", end=False)
    for _ in range(FRAMES):
        yield (DataFrame(number),)


def unknown_frames(client):
    for _ in range(FRAMES):
        yield (Raw(b"\0\0\0\xfa\0\0\0\0\0"),)


def continuations(client):
    number = client.open_stream()
    yield (HeadersFrame(number, data=client.encoder.encode(request())[:3]),)
    for _ in range(FRAMES):
        yield (ContinuationFrame(number, data=b""),)


FLOODS = [rapid_reset, made_you_reset, malformed, pings, settings, empty_data, unknown_frames,
          continuations]


@pytest.mark.threads
@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_flood(gateway, proto, flood):
    since = gateway.mark()
    with H1(gateway.address()) as beside, dial(proto, gateway) as client:
        assert beside.fetch("GET", "/").status == 200
        client.wait(lambda: client.peer_settings)
        sent = 0
        for frames in flood(client):
            if not client.try_send(*frames):
                break
            sent += 1
            if sent % 50 == 0:
                assert beside.fetch("GET", "/").status == 200
        code = client.wait_goaway(10)
        # a reset socket may swallow the GOAWAY; the log then tells
        assert code == ENHANCE_YOUR_CALM or (code is None and client.eof)
        assert client.wait_eof()
        line = gateway.wait_log("budget", since)
        assert "client=127.0.0.1" in line
        assert beside.fetch("GET", "/").status == 200
    assert gateway.fetch(proto, "/app/x").body == b"hello\n"


def test_ordinary_use_stays_within_the_budgets(gateway, proto):
    """A browser's worth of pings, settings and cancelled requests."""
    with dial(proto, gateway) as client:
        for i in range(10):
            assert client.ping()
            number = client.request(path="/app/x")
            client.send(RstStreamFrame(number, error_code=CANCEL))
            assert client.fetch(path="/app/x").body == b"hello\n"
        assert client.goaway is None


def test_reset_requests_leave_the_backend_free(gateway, proto):
    n = len(gateway.backend.requests)
    with dial(proto, gateway) as client:
        for frames in rapid_reset(client):
            if not client.try_send(*frames):
                break
        client.wait_eof()
    assert len(gateway.backend.requests) - n <= 60
    assert gateway.fetch(proto, "/app/x").body == b"hello\n"


@pytest.mark.parametrize("start", [
    b"", PREFACE[:10], PREFACE, PREFACE + b"\0\0\x60\4\0\0\0\0\0", b"PRI"],
    ids=["nothing", "half_preface", "no_settings", "half_settings", "three_bytes"])
def test_half_starts_are_timed_out(gateway, proto, start):
    with dial(proto, gateway, preface=False) as client:
        client.raw(start)
        assert client.wait_eof(10)


def test_open_header_block_is_timed_out(gateway, proto):
    with dial(proto, gateway) as client:
        client.wait(lambda: client.peer_settings)
        number = client.open_stream()
        client.send(HeadersFrame(number, data=client.encoder.encode(request())[:3]))
        assert client.wait_eof(10)


def test_many_connections_at_once(gateway, proto):
    clients = [dial(proto, gateway) for _ in range(50)]
    numbers = [[client.request(path="/app/x") for _ in range(5)] for client in clients]
    for client, streams in zip(clients, numbers):
        for number in streams:
            assert client.response(number).body == b"hello\n"
        client.close()
