"""HTTP/2 rules that take more than frames in a row: limits, credit, and GOAWAY in two steps."""
import os
import signal

import pytest
from hyperframe.frame import (DataFrame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame,
                              WindowUpdateFrame)

from lib.client import dial
from lib.frames import (CANCEL, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PREFACE,
                        PROTOCOL_ERROR, REFUSED_STREAM)
from lib.h2site import INDEX, client, get, proto, site, slow_site  # noqa: F401

EVERY = (1 << 31) - 1
WINDOW = 256 * 1024
SMALL = {"h2_connection_window": WINDOW, "h2_stream_window": 65536}


@pytest.fixture(scope="module")
def gateway(module_place):
    with site(module_place, **SMALL) as gateway:
        yield gateway


@pytest.fixture
def slow(place):
    with slow_site(place, **SMALL) as gateway:
        yield gateway


# ---- 5.1.2: more streams than allowed ----

def posts(client, n):
    return [client.headers_frame(client.open_stream(), get("/app/x", **{":method": "POST"}),
                                 end=False) for _ in range(n)]


def test_streams_over_the_limit_before_it_was_acknowledged(gateway, proto):
    """REFUSED_STREAM, which tells that nothing was done (8.7); the others are served."""
    n = len(gateway.backend.requests)
    with dial(proto, gateway, preface=False) as client:
        frames = posts(client, 102)
        client.raw(PREFACE + SettingsFrame(0).serialize() + b"".join(
            frame.serialize() for frame in frames))
        over = [client.streams[201], client.streams[203]]
        assert client.wait(lambda: all(stream.reset is not None for stream in over))
        assert [stream.reset for stream in over] == [REFUSED_STREAM] * 2
        # what was under way for them is dropped, and counts for the connection only
        client.send(DataFrame(201, data=b"x" * 1000, flags=["END_STREAM"]))
        for number in range(1, 201, 2):
            client.send(DataFrame(number, flags=["END_STREAM"]))
        for number in range(1, 201, 2):
            assert client.response(number).text.endswith("0:")
    assert len(gateway.backend.requests) == n + 100


def test_streams_over_the_limit_that_was_acknowledged(gateway, proto):
    """Who has acknowledged the limit breaks the protocol."""
    n = len(gateway.backend.requests)
    with dial(proto, gateway) as client:
        assert client.wait(lambda: client.peer_settings)
        client.send(*posts(client, 101))
        assert client.wait_goaway() == PROTOCOL_ERROR
        assert client.wait_eof()
    assert len(gateway.backend.requests) == n


def test_closed_streams_do_not_count(client):
    assert client.wait(lambda: client.peer_settings)
    client.send(*posts(client, 100))
    for number in range(1, 41, 2):
        client.send(RstStreamFrame(number, error_code=CANCEL))
    for _ in range(20):
        assert client.fetch().body == INDEX
    assert client.goaway is None


# ---- 6.9.1: a client that sends more than it may ----

def fill(client, number, size):
    while size:
        piece = min(size, 16384)
        client.try_send(DataFrame(number, data=b"x" * piece))
        size -= piece


def post_until_stuck(client):
    """A stream whose window, or the connection's, is used up: nobody reads its body."""
    number = client.request("POST", "/x", [("content-length", str(1 << 30))], end=False)
    client.send_until_stuck(number, 1 << 30)
    return number


def test_more_than_the_stream_window(slow, proto):
    """A stream error; the connection goes on."""
    with dial(proto, slow) as client:
        assert client.wait(lambda: client.peer_settings)
        number = post_until_stuck(client)
        stream = client.streams[number]
        assert stream.send_window <= 0 < client.send_window
        client.send(DataFrame(number, data=b"x" * (1 - stream.send_window)))
        assert client.wait(lambda: stream.reset is not None)
        assert stream.reset == FLOW_CONTROL_ERROR
        slow.go.set()
        assert client.fetch(path="/y").body == b"finished\n"


def test_more_than_both_windows(slow, proto):
    """A connection error."""
    with dial(proto, slow) as client:
        assert client.wait(lambda: client.peer_settings)
        for _ in range(90):
            if client.send_window <= 0:
                break
            post_until_stuck(client)
        assert client.send_window == 0
        number = client.request("POST", "/x", end=False)
        client.send(DataFrame(number, data=b"x"))
        assert client.wait_goaway() == FLOW_CONTROL_ERROR
        assert client.wait_eof()


def test_padding_counts(client):
    """Both windows shrink by the padding and its length too (6.1), and are given it back."""
    assert client.wait(lambda: client.peer_settings)
    number = client.request("POST", "/app/x", end=False)
    stream, sent = client.streams[number], 0
    frame = DataFrame(number, data=b"x" * 300, pad_length=211, flags=["PADDED"])
    while sent < 1 << 20:
        assert client.wait(lambda: min(stream.send_window, client.send_window) >= 512)
        n = min(stream.send_window, client.send_window) // 512
        client.send(*[frame] * n)
        stream.send_window -= 512 * n
        client.send_window -= 512 * n
        sent += 512 * n
    client.send(DataFrame(number, flags=["END_STREAM"]))
    assert client.response(number).text.endswith("x" * (300 * (sent // 512)))


# ---- 6.8: the end in two steps ----

class Watched:
    """A client that keeps all GOAWAYs and the PINGs it does not answer."""

    def __init__(self, client):
        self.client, self.goaways, self.pings = client, [], []
        client.auto = False
        client.HANDLERS = {**client.HANDLERS, GoAwayFrame: self.on_goaway,
                           PingFrame: self.on_ping}

    def on_goaway(self, client, frame):
        client.on_goaway(frame)
        self.goaways.append((frame.last_stream_id, frame.error_code))

    def on_ping(self, client, frame):
        if "ACK" in frame.flags:
            client.on_ping(frame)
        else:
            self.pings.append(frame.opaque_data)


def test_goaway_in_two_steps(slow, proto):
    """A notice that names every stream; after a round trip the one that names the last; what
    was opened in between is served, and what is opened behind it is not even looked at."""
    with dial(proto, slow) as client:
        seen = Watched(client)
        first = client.request(path="/first")
        assert slow.entered.acquire(timeout=10)
        os.kill(slow.pid, signal.SIGQUIT)
        assert client.wait(lambda: seen.pings)
        assert seen.goaways == [(EVERY, NO_ERROR)]
        between = client.request(path="/between")
        assert slow.entered.acquire(timeout=10)
        assert client.ping()
        assert seen.goaways == [(EVERY, NO_ERROR)], "the second step did not wait"
        client.send(PingFrame(0, opaque_data=seen.pings[0], flags=["ACK"]))
        assert client.wait(lambda: len(seen.goaways) == 2)
        assert seen.goaways[1] == (between, NO_ERROR)
        late = client.request("POST", "/late", end=False)
        client.send(DataFrame(late, data=b"x" * 100, flags=["END_STREAM"]))
        assert client.ping()
        slow.go.set()
        assert client.response(first).body == b"finished\n"
        assert client.response(between).body == b"finished\n"
        assert client.wait_eof()
        assert client.streams[late].reset is None and not client.streams[late].has_head
        assert len(seen.goaways) == 2
    slow.finish()
    assert len(slow.backend.requests) == 2


def test_a_ping_of_another_is_not_the_round_trip(slow, proto):
    with dial(proto, slow) as client:
        seen = Watched(client)
        number = client.request(path="/first")
        assert slow.entered.acquire(timeout=10)
        os.kill(slow.pid, signal.SIGQUIT)
        assert client.wait(lambda: seen.pings)
        client.send(PingFrame(0, opaque_data=b"not this", flags=["ACK"]))
        assert client.ping()
        assert len(seen.goaways) == 1
        client.send(PingFrame(0, opaque_data=seen.pings[0], flags=["ACK"]))
        assert client.wait(lambda: len(seen.goaways) == 2)
        assert seen.goaways[1] == (number, NO_ERROR)
        slow.go.set()
        assert client.response(number).body == b"finished\n"
        assert client.wait_eof()
    slow.finish()


def test_an_idle_connection_goes_at_once(slow, proto):
    with dial(proto, slow) as client:
        seen = Watched(client)
        assert client.ping()
        os.kill(slow.pid, signal.SIGQUIT)
        assert client.wait(lambda: seen.pings)
        client.send(PingFrame(0, opaque_data=seen.pings[0], flags=["ACK"]))
        assert client.wait_eof()
        assert seen.goaways == [(EVERY, NO_ERROR), (0, NO_ERROR)]
    slow.finish()


# ---- 6.9: credit for what nobody reads ----

def refused(client):
    return client.send_headers(get("/app/x", connection="x"), end=False)


def upload(path, *headers):
    return lambda client: client.request("POST", path, headers, end=False)


UPLOADS = {
    "refused": refused,
    "reset": upload("/app/x"),
    "not_found": upload("/nowhere"),
    "too_long": upload("/limited/x", ("content-length", "1000000")),
}


@pytest.mark.parametrize("how", UPLOADS)
def test_credit_for_data_that_nobody_reads(client, how):
    """So much that the connection's window is used up several times."""
    assert client.wait(lambda: client.peer_settings)
    assert client.ping()
    for _ in range(4 * WINDOW // 40000):
        assert client.wait(lambda: client.send_window >= 40000), "the window ran dry"
        number = UPLOADS[how](client)
        stream = client.streams[number]
        fill(client, number, 40000)
        client.send_window -= 40000
        client.send(RstStreamFrame(number, error_code=CANCEL))
        if how == "refused":
            assert client.wait(lambda: stream.reset == PROTOCOL_ERROR)
    assert client.fetch().body == INDEX


def test_window_updates_for_what_is_closed(client):
    """They may be under way when a stream ends (5.1)."""
    number = client.request()
    assert client.response(number).body == INDEX
    client.send(WindowUpdateFrame(number, window_increment=1), RstStreamFrame(number))
    assert client.fetch().body == INDEX


# ---- 5.4.1: errors of the connection ----

FAULTS = {
    "library": (b"\0\0\5\6\0\0\0\0\0short", "FRAME_SIZE_ERROR"),
    "ours": (b"\0\0\5\2\0\0\0\0\0\0\0\0\0\1", "PRIORITY of stream 0"),
    "magic": (None, "ECLIENT_PROTO: client broke the protocol; Received bad client magic"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_log_tells_of_faults(gateway, fault):
    """Once, whoever found it."""
    sent, words = FAULTS[fault]
    since = gateway.mark()
    with dial("h2", gateway, preface=sent is not None) as client:
        client.raw(sent or b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.wait_goaway() in (PROTOCOL_ERROR, FRAME_SIZE_ERROR)
        assert client.wait_eof()
        gateway.wait_log(words, since)
    told = [line for line in gateway.log()[since:].splitlines() if "ECLIENT" in line]
    assert len(told) == 1


@pytest.mark.parametrize("fault", ["library", "ours"])
def test_goaway_reaches_who_goes_on_sending(gateway, proto, fault):
    with dial(proto, gateway) as client:
        assert client.wait(lambda: client.peer_settings)
        client.raw(FAULTS[fault][0])
        for _ in range(20):
            client.try_send(PingFrame(0, opaque_data=b"12345678"))
        assert client.wait_goaway() in (PROTOCOL_ERROR, FRAME_SIZE_ERROR)
        assert client.try_send(PingFrame(0, opaque_data=b"12345678")), "reset"
        assert client.wait_eof()
