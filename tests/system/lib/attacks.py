"""HTTP/2 used against its server: a table of attacks, and what one of them came to.

Each row sends frames until the connection is ended.  The rows with a code of their own are those
that the RFC makes a connection error at once, before any budget.
"""
import dataclasses
import time

from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame,
                              PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from lib import proc
from lib.client import dial
from lib.frames import (CANCEL, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
                        PROTOCOL_ERROR, STREAM_CLOSED)
from lib.h1 import H1

MAX_WINDOW = (1 << 31) - 1
TICK_MS = 10  # of the CPU time in /proc


class Raw:
    """A frame that hyperframe would not make."""

    def __init__(self, kind, number=0, payload=b"", flags=0):
        self.data = (len(payload).to_bytes(3, "big") + bytes([kind, flags])
                     + number.to_bytes(4, "big") + payload)

    def serialize(self):
        return self.data


def request(path="/app/x", method="GET", *more):
    return [(":method", method), (":scheme", "https"), (":authority", "localhost"),
            (":path", path), *more]


def opened(client, *more, end=False):
    """A new request, by default one whose body is to come: (number, frame)."""
    number = client.open_stream()
    return number, client.headers_frame(number, request("/app/x", "POST", *more), end=end)


def see_reset(client, number):
    """Now and then see what was reset, or more streams than allowed would be open, which is an
    error of another name."""
    if number % 50 == 1:
        client.wait(lambda: client.streams[number].reset is not None or client.goaway
                    or client.streams[number].ended)


# ---- resets ----

def rapid_reset(client):
    """CVE-2023-44487"""
    while True:
        number = client.open_stream()
        yield client.headers_frame(number, request()), RstStreamFrame(number, error_code=CANCEL)


def provoked(*more, end=False):
    """CVE-2025-8671: of frames(number), which make the server reset."""
    def wrap(frames):
        def attack(client):
            while True:
                number, head = opened(client, *more, end=end)
                yield (head, *frames(number))
                see_reset(client, number)
        attack.__name__, attack.__doc__ = frames.__name__, frames.__doc__
        return attack
    return wrap


@provoked()
def window_overflow(number):
    return [WindowUpdateFrame(number, window_increment=MAX_WINDOW)]


@provoked()
def window_of_zero(number):
    return [Raw(8, number, bytes(4))]


@provoked(("content-length", "1"))
def data_over_length(number):
    return [DataFrame(number, data=b"xxxx")]


@provoked(("content-length", "10"))
def data_under_length(number):
    return [DataFrame(number, data=b"x", flags=["END_STREAM"])]


@provoked()
def trailers_without_end(number):
    return [HeadersFrame(number, data=b"\x00\x01a\x01b", flags=["END_HEADERS"])]


@provoked(end=True)
def headers_half_closed(number):
    return [HeadersFrame(number, data=b"\x82", flags=["END_HEADERS", "END_STREAM"])]


@provoked(end=True)
def data_half_closed(number):
    return [DataFrame(number, data=b"x")]


@provoked()
def reset_of_wrong_size(number):
    return [Raw(3, number, bytes(3))]


@provoked()
def priority_of_wrong_size(number):
    return [Raw(2, number, bytes(4))]


@provoked(("connection", "x"))
def connection_field(number):
    return []


@provoked(("Upper", "x"))
def upper_case(number):
    return []


@provoked((":path", "/second"))
def second_path(number):
    return []


# ---- frames that cost and bring nothing ----

def of(name, make):
    """Frame after frame, by number."""
    def attack(client):
        i = 0
        while True:
            yield (make(i),)
            i += 1
    attack.__name__ = name
    return attack


def window_churn(client):
    """Streams whose answers wait, and every one of their windows changes each time."""
    for _ in range(4):
        number = client.open_stream()
        yield (client.headers_frame(number, request("/big")),)
    i = 0
    while True:
        i += 1
        yield (SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: i % 2}),)


def empty_data(client):
    number, head = opened(client)
    yield (head,)
    while True:
        yield (DataFrame(number),)


def padded_data(client):
    number, head = opened(client)
    yield (head,)
    while True:
        yield (DataFrame(number, pad_length=255, flags=["PADDED"]),)


def stream_windows_of_one(client):
    number, head = opened(client)
    yield (head,)
    while True:
        yield (WindowUpdateFrame(number, window_increment=1),)


# ---- header blocks ----

def open_block(client, begun, more):
    number = client.open_stream()
    yield (HeadersFrame(number, data=client.encoder.encode(request()) + begun),)
    while True:
        yield (ContinuationFrame(number, data=more),)


def continuations_empty(client):
    return open_block(client, b"", b"")


def continuations_of_a_byte(client):
    """CVE-2024-27316"""
    return open_block(client, literal(b"", 16000), b"v")


def continuations_endless(client):
    return open_block(client, b"", literal(b"v" * 16000, 16000))


def literal(value, length, first=b"\x00"):
    """A field a with a value of which only some may be there (RFC 7541 6.2)."""
    length -= 127
    return first + b"\x01a\x7f" + bytes([length & 127 | 128, length >> 7]) + value


def hpack_bomb(client):
    """One large field, and thousands of references to it."""
    number = client.open_stream()
    head = client.encoder.encode(request())
    large = literal(b"v" * 4000, 4000, first=b"\x40")  # into the table: 62 from here on
    yield (HeadersFrame(number, data=head + large + b"\xbe" * 8000, flags=["END_HEADERS"]),)
    while True:
        number = client.open_stream()
        yield (HeadersFrame(number, data=head + b"\xbe" * 16000, flags=["END_HEADERS"]),)


def table_sizes(client):
    """The table of header compression is emptied and made again, over and over."""
    while True:
        number = client.open_stream()
        yield (HeadersFrame(number, data=b"\x20\x3f\xe1\x1f" * 4000, flags=["END_HEADERS"]),)


@dataclasses.dataclass
class Attack:
    send: object
    code: int = ENHANCE_YOUR_CALM
    log: str = "budget"
    started: int = 0  # requests that may reach the application

    @property
    def name(self):
        return self.send.__name__


BROKEN = "ECLIENT_PROTO"

ATTACKS = [
    Attack(rapid_reset, log="resets in 30 s", started=25),
    Attack(window_overflow, log="resets in 30 s"),
    Attack(window_of_zero, PROTOCOL_ERROR, BROKEN),
    Attack(data_over_length, log="resets in 30 s"),
    Attack(data_under_length, log="resets in 30 s"),
    Attack(trailers_without_end, log="resets in 30 s"),
    Attack(headers_half_closed, STREAM_CLOSED, BROKEN, started=1),
    Attack(data_half_closed, STREAM_CLOSED, BROKEN, started=1),
    Attack(reset_of_wrong_size, FRAME_SIZE_ERROR, BROKEN),
    Attack(priority_of_wrong_size, FRAME_SIZE_ERROR, BROKEN),
    Attack(of("priorities_on_itself",
              lambda i: PriorityFrame(2 * i + 1, depends_on=2 * i + 1, stream_weight=1)),
           log="control frames in 10 s"),
    Attack(connection_field, log="resets in 30 s"),
    Attack(upper_case, log="resets in 30 s"),
    Attack(second_path, log="resets in 30 s"),
    Attack(of("pings", lambda i: PingFrame(0, opaque_data=i.to_bytes(8, "big"))),
           log="control frames in 10 s"),
    Attack(of("ping_acks", lambda i: PingFrame(0, opaque_data=bytes(8), flags=["ACK"])),
           log="control frames in 10 s"),
    Attack(of("settings", lambda i: SettingsFrame(0, settings={4: 1000 + i})),
           log="control frames in 10 s"),
    Attack(of("settings_empty", lambda i: SettingsFrame(0)), log="control frames in 10 s"),
    Attack(of("settings_entries", lambda i: Raw(4, 0, b"\0\4\0\0\1\0" * 2000))),
    Attack(window_churn, log="control frames in 10 s"),
    Attack(of("windows_of_one", lambda i: WindowUpdateFrame(0, window_increment=1)),
           log="control frames in 10 s"),
    Attack(stream_windows_of_one, log="control frames in 10 s"),
    Attack(of("connection_window_overflow",
              lambda i: WindowUpdateFrame(0, window_increment=MAX_WINDOW)),
           FLOW_CONTROL_ERROR, BROKEN),
    Attack(empty_data, log="control frames in 10 s"),
    Attack(padded_data, log="control frames in 10 s"),
    Attack(of("priorities", lambda i: PriorityFrame(2 * i + 1, depends_on=0, stream_weight=9)),
           log="control frames in 10 s"),
    Attack(of("priority_updates", lambda i: Raw(16, 0, b"\0\0\0\1u=%d" % (i % 8))),
           log="control frames in 10 s"),
    Attack(of("unknown_frames", lambda i: Raw(0xfa, 0, b"")), log="control frames in 10 s"),
    Attack(continuations_empty),
    Attack(continuations_of_a_byte),
    Attack(continuations_endless),
    Attack(hpack_bomb, log="bytes of header list"),
    Attack(table_sizes, log="resets in 30 s"),
]


# ---- what an attack comes to ----

@dataclasses.dataclass
class Outcome:
    name: str
    proto: str
    frames: int = 0
    code: int = None
    eof: bool = False
    cpu_ms: int = 0  # of the gateway, all threads
    pss_before: int = 0
    pss_after: int = 0
    slowest_ms: float = 0  # answer to the client beside it

    def line(self):
        return (f"{self.name:28} {self.proto:4} frames={self.frames} code={self.code} "
                f"cpu={self.cpu_ms}ms pss={self.pss_before >> 10}K->{self.pss_after >> 10}K "
                f"beside={self.slowest_ms:.1f}ms")


def cpu_ms(pid):
    fields = proc.stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_MS


def beside_is_answered(beside, outcome):
    begin = time.monotonic()
    assert beside.fetch("GET", "/").status == 200
    outcome.slowest_ms = max(outcome.slowest_ms, (time.monotonic() - begin) * 1000)


def settled(pid, before, allowed, timeout=10):
    """The memory is back, and the CPU is not used: how much memory is left."""
    last = [cpu_ms(pid)]

    def still():
        used, last[0] = cpu_ms(pid) - last[0], cpu_ms(pid)
        return used == 0 and proc.pss(pid) <= before + allowed
    proc.wait_until(still, timeout, "memory and CPU as they were", every=0.05)
    return proc.pss(pid)


def run(gateway, proto, attack, most, allowed):
    """Send up to most times; allowed: bytes of memory that may be more afterwards."""
    pid = gateway.gateway_pid()
    outcome = Outcome(attack.name, proto, pss_before=proc.pss(pid))
    cpu = cpu_ms(pid)
    with H1(gateway.address()) as beside, dial(proto, gateway, flow=False) as client:
        beside_is_answered(beside, outcome)
        client.wait(lambda: client.peer_settings)
        for frames in attack.send(client):
            if outcome.frames == most or not client.try_send(*frames):
                break
            outcome.frames += 1
            if outcome.frames % 50 == 0:
                beside_is_answered(beside, outcome)
        client.wait_goaway(10)
        outcome.eof = client.wait_eof()
        outcome.code = client.goaway.error_code if client.goaway else None
        beside_is_answered(beside, outcome)
    outcome.pss_after = settled(pid, outcome.pss_before, allowed)
    outcome.cpu_ms = cpu_ms(pid) - cpu
    return outcome
