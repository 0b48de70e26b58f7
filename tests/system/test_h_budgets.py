"""HTTP/2 floods: ended with ENHANCE_YOUR_CALM within their budgets, others are served."""
import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame

from lib.apps import write_file
from lib.attacks import ATTACKS, rapid_reset, request, run
from lib.client import dial
from lib.frames import CANCEL, PREFACE
from lib.gateway import Gateway
from lib.h2site import proto  # noqa: F401
from peers.fcgi import Backend, hello, keeping
from test_m_memory import SANITIZED

FRAMES = 400  # of a kind, far beyond the budgets configured below
MEMORY = 4 << 20  # that may be more afterwards: what the first request of a kind makes stays


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front")
    write_file(place / "public/big", b"x" * (1 << 20))
    with Backend(str(place / "app.sock"), keeping(hello)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            request_body = spool
            [pool app]
            connect = unix:{place}/app.sock
            queue = 1000
            """, h2_resets=20, h2_control_frames=50, head_timeout="1s") as gateway:
            gateway.backend = backend
            yield gateway


@pytest.mark.threads
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(gateway, proto, attack):
    """Ended with its code within its budget, nothing asked of the application, memory and CPU
    as they were, a client beside it answered throughout."""
    since, n = gateway.mark(), len(gateway.backend.requests)
    outcome = run(gateway, proto, attack, FRAMES, MEMORY * (16 if SANITIZED else 1))
    print(outcome.line())
    # a reset socket may swallow the GOAWAY; the log then tells
    assert outcome.code in (attack.code, None) and outcome.eof
    line = gateway.wait_log(attack.log, since)
    assert "client=127.0.0.1" in line
    assert len(gateway.backend.requests) - n <= attack.started
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
        for _, frames in zip(range(FRAMES), rapid_reset(client)):
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
