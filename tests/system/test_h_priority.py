"""RFC 9218: whose bytes go first, read from the order of DATA frames."""
import re
import subprocess
import threading

import pytest

from lib.apps import need, write_file
from lib.client import dial
from lib.frames import FRAME_SIZE_ERROR, PROTOCOL_ERROR
from lib.gateway import Gateway
from lib.h2site import proto  # noqa: F401
from lib.order import FRAME, PRIORITY_UPDATE, Order, priority_update, sequence, shares
from peers.fcgi import OK_HEAD, STDOUT, Backend, end_request, keeping, record

BIG = 4 << 20


def respond(request):
    """/app/KIB?FIELD: so many KiB, and FIELD as the answer's Priority; 0: what came."""
    params = dict(request.pairs)
    kib = int(params["PATH_INFO"].strip("/"))
    head = OK_HEAD
    if params["QUERY_STRING"]:
        lines = params["QUERY_STRING"].replace("+", " ").split("&")
        head = b"".join(b"Priority: %s\r\n" % line.encode() for line in lines) + head
    body = b"x" * (kib * 1024) if kib else params.get("HTTP_PRIORITY", "-").encode()
    return head + body


@pytest.fixture(scope="module", params=["auto", "always"])
def gateway(request, module_place):
    place = module_place
    write_file(place / "public/first", b"." * 65535)
    write_file(place / "public/big", b"0123456789abcdef" * (BIG // 16))
    write_file(place / "public/half", b"0123456789abcdef" * 6144)  # fits its stream's buffer
    with Backend(str(place / f"app-{request.param}.sock"), keeping(respond)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app-{request.param}.sock
            max_requests = 1
            """, writer=request.param) as gateway:
            yield gateway
        assert backend.errors == []


@pytest.fixture
def order(gateway, proto):
    with Order(proto, gateway) as order:
        yield order


# Priority fields of the requests, and the order of their answers
ROWS = {
    "urgency": (["u=7", "u=5", "u=0", "u=3", "u=1"], [2, 4, 3, 1, 0]),
    "ids": ([None, "u=3", "u=3, i=?0", None], [0, 1, 2, 3]),
    "default": (["u=4", None, "u=2", "i=?0"], [2, 1, 3, 0]),
    "unknown": (["u=2, a=(1 2);b, c=\"d,e\"", "u=1;x=y"], [1, 0]),
    "range": (["u=4", "u=8", "u=-1", "u=2"], [3, 1, 2, 0]),
    "types": (["u=4", 'u="0"', "u=1.0", "u", "u=2"], [4, 1, 2, 3, 0]),
    "broken": (["u=4", "u=0,", "u=0 i", "=", "u=2"], [4, 1, 2, 3, 0]),
    "lines": (["u=2", ["u=1", "i=?0"], ["u=0", "u=6"]], [1, 0, 2]),
}


@pytest.mark.parametrize("name", ROWS)
def test_one_after_another(order, name):
    asked, expected = ROWS[name]
    for priority in asked:
        order.ask("/app/48", priority)
    order.heads()
    assert sequence(order.take_all()) == expected


def test_incremental_share(order):
    for priority in ("i", "u=3, i", "u=3, i=?1"):
        order.ask("/app/120", priority)
    order.heads()
    assert shares(order.take_all(), [0, 1, 2]) <= 2 * FRAME


def test_mixed(order):
    """Those that are not incremental have one share together, and go one after another."""
    for priority in ("u=2", "u=2, i", "u=2", "u=2, i", "u=1"):
        order.ask("/app/96", priority)
    order.heads()
    flow = order.take_all()
    assert sequence(flow)[0] == 4 and 4 not in sequence(flow)[1:]
    together = [(0 if n == 2 else n, size) for n, size in flow if n != 4]
    assert shares(together, [0, 1, 3]) <= 2 * FRAME
    assert sequence([part for part in flow if part[0] in (0, 2)]) == [0, 2]


def test_answer_overrides(order):
    """Field by field (RFC 9218 8); the client sees it too."""
    for path, priority in (("/app/48?u=6", "u=0"), ("/app/96?i", "u=4"), ("/app/96", "u=4, i"),
                           ("/app/48?u=0&i=?0", "u=7, i"), ("/app/48?u=9,i=7", "u=2")):
        order.ask(path, priority)
    order.heads()
    flow = order.take_all()
    assert [n for n in sequence(flow) if n not in (1, 2)] == [3, 4, 0]
    assert sequence(flow)[:2] == [3, 4] and sequence(flow)[-1] == 0
    assert shares(flow, [1, 2]) <= 2 * FRAME
    assert order.stream(0).response.get("priority") == "u=6"
    assert order.stream(3).response.all("priority") == ["u=0", "i=?0"]


def test_update_in_the_middle(order):
    for _ in range(3):
        order.ask("/big")
    order.heads()
    assert sequence(order.step(5 * FRAME)) == [0]
    order.update(2, "u=1")
    assert sequence(order.step(5 * FRAME)) == [2]
    order.update(2, "i")  # its urgency is the default again
    order.update(1, "i")
    flow = order.step(30 * FRAME)
    assert set(sequence(flow)) == {0, 1, 2}
    assert shares(flow, [0, 1, 2]) <= 2 * FRAME


def test_update_before_the_stream(order):
    """What came ahead counts, and more than the field: it is this client's own word."""
    following = order.client.next_id
    for number, value in ((following + 4, "u=1"), (following + 2, "u=6"), (following, "u=5"),
                          (following + 2, "u=0")):
        order.client.raw(priority_update(number, value))
    for priority in (None, None, "u=7"):
        order.ask("/app/48", priority)
    order.ask("/app/48", "u=4")
    order.heads()
    assert sequence(order.take_all()) == [1, 2, 3, 0]


def test_update_of_closed_streams(order):
    for number in (order.client.next_id - 2, 1):
        order.client.raw(priority_update(number, "u=0"))
    order.ask("/app/0", "u=1, i")
    order.take_all()
    assert order.client.response(order.ids[0]).body == b"u=1, i"


@pytest.mark.parametrize("frame,code", [
    (priority_update(0, "u=1"), PROTOCOL_ERROR),
    (priority_update(2, "u=1"), PROTOCOL_ERROR),
    (priority_update(1, "u=1", stream=1), PROTOCOL_ERROR),
    (b"\0\0\3" + bytes([PRIORITY_UPDATE]) + b"\0" * 5 + b"\0\0\1", FRAME_SIZE_ERROR),
    (b"".join(priority_update(2 * i + 101, "u=1") for i in range(101)), PROTOCOL_ERROR),
], ids=["zero", "push", "stream", "short", "many"])
def test_wrong_updates(gateway, proto, frame, code):
    with dial(proto, gateway) as client:
        client.request(path="/first")
        client.raw(frame)
        assert client.wait_goaway() == code
        assert client.wait_eof()
    assert gateway.fetch(proto, "/first").status == 200


def test_out_of_window(gateway, proto):
    """The most urgent one cannot go: others do, until it can."""
    with Order(proto, gateway, window=65535) as order:
        order.ask("/app/120", "u=0")
        order.ask("/app/48", "u=2")
        order.ask("/app/120", "u=4")
        order.heads()
        assert sequence(order.step(65535)) == [0]
        assert sequence(order.step(48 * 1024 + FRAME)) == [1, 2]
        order.widen(0, FRAME)
        assert sequence(order.step(2 * FRAME)) == [0, 2]
        order.widen(0)
        order.widen(2)
        assert sequence(order.take_all()) == [0, 2]


def test_slow_application(place, start, proto):
    """One that has nothing to say does not hold others up, and goes first when it has."""
    go, said = threading.Event(), threading.Event()

    def serve(conn):
        request = conn.request()
        conn.send(record(STDOUT, request.number, OK_HEAD + b"x" * FRAME))
        said.set()
        go.wait(20)
        conn.send(record(STDOUT, request.number, b"x" * FRAME) + end_request(request.number))

    write_file(place / "public/first", b"." * 65535)
    write_file(place / "public/big", b"x" * BIG)
    with Backend(str(place / "slow.sock"), serve), \
            Backend(str(place / "app.sock"), keeping(respond)):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            [route main /slow]
            pool = slow
            [pool app]
            connect = unix:{place}/app.sock
            [pool slow]
            connect = unix:{place}/slow.sock
            """)
        with Order(proto, gateway) as order:
            order.ask("/big", "u=5")
            order.ask("/slow", "u=1")
            order.heads()
            assert sorted(sequence(order.step(4 * FRAME)))[:1] == [0]
            while sum(size for n, size in order.flow if n == 1) < FRAME:
                order.step(FRAME)
            assert sequence(order.step(8 * FRAME)) == [0], "held up by who says nothing"
            go.set()
            urgent = len(order.flow)
            for _ in range(200):
                order.step(FRAME)
                if sum(size for n, size in order.flow if n == 1) == 2 * FRAME:
                    break
            else:
                pytest.fail("its turn never came")
            assert all(n in (0, 1) for n, _ in order.flow[urgent:])


def test_nobody_starves(order):
    """Less urgent ones get a frame for each megabyte of more urgent ones."""
    order.ask("/app/48", "u=7")
    order.ask("/app/48", "u=4, i")
    order.ask("/big", "u=0")
    order.heads()
    while len(order.flow) < 10 or sum(size for _, size in order.flow) < 5 << 19:
        order.step(2 * FRAME)
    sent, frames = 0, {0: [], 1: []}
    for n, size in order.flow:
        if n == 2:
            sent += size
        else:
            frames[n].append((sent, size))
    for n in (0, 1):
        assert [at >> 20 for at, _ in frames[n]] == [1, 2], frames
        assert all(at % (1 << 20) < 4 * FRAME and size == FRAME for at, size in frames[n])


def test_waiting_its_turn_is_no_timeout(place, start):
    """write_timeout is for clients that take nothing, not for those we let wait."""
    write_file(place / "public/first", b"." * 65535)
    write_file(place / "public/big", b"x" * BIG)
    with Backend(str(place / "app.sock"), keeping(respond)):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            max_requests = 1
            """, write_timeout="300ms")
        with Order("h2c", gateway) as order:
            order.ask("/app/48", "u=7")
            order.ask("/big", "u=0")
            order.ask("/app/48", "u=7")
            order.heads()
            ends = threading.Event()
            for _ in range(12):
                assert sequence(order.step(FRAME)) == [1]
                ends.wait(0.1)
            order.take_all()
            assert [order.stream(i).reset for i in range(3)] == [None] * 3


@pytest.mark.parametrize("over", ["h1", "h1s", "h2", "h2c"])
def test_applications_see_the_field(gateway, over):
    headers = [("Priority", "u=1, i, x=\"y\"")]
    assert gateway.fetch(over, "/app/0", headers=headers).body == b"u=1, i, x=\"y\""
    answer = gateway.fetch(over, "/app/0?u=6, i".replace(" ", "+"))
    assert answer.body == b"-"
    assert answer.get("priority") == "u=6, i"


def test_nghttp(gateway, proto):
    """A real client with two requests at once: in turn with i, else one after the other."""
    # those that go in turn are long and have small windows: the first one cannot have ended when
    # the second comes
    for field, window, path, changes in (("u=3", "24", "/half", 1), ("u=3, i", "16", "/big", 6)):
        run = subprocess.run(
            [need("nghttp"), "-nv", "--no-dep", "-w", window, "-W", "24", "-H",
             f"priority: {field}", gateway.url(proto, path), gateway.url(proto, f"{path}?2")],
            capture_output=True, text=True, timeout=30)
        ids = re.findall(r"recv DATA frame <length=[1-9]\d*, flags=0x0., stream_id=(\d+)>",
                         run.stdout)
        assert len(set(ids)) == 2, run.stdout[-2000:]
        n = sum(a != b for a, b in zip(ids, ids[1:]))
        assert n == 1 if changes == 1 else n > changes, (field, ids)
