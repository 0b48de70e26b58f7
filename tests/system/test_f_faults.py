"""FastCGI applications that fail: the client's answer, the log line, and the next request."""
import pytest

from lib.gateway import Gateway
from lib.message import Refused, Truncated
from peers.faults import FAULTS, TRUNCATED
from peers.fcgi import Backend, answer, hello, keeping

PROTOCOLS = ("h1", "h2", "h2c")


def serve_until_healthy(fault):
    """The fault, until the test says that all is well again."""
    def serve(conn):
        if conn.backend.healthy:
            conn.send(answer(conn.request().number, hello(None)))
        else:
            fault.serve(conn)
    return serve


@pytest.fixture(scope="module")
def backends(module_place):
    """One per fault; unix and TCP sockets in turn."""
    found = {}
    for i, fault in enumerate(FAULTS):
        address = str(module_place / f"{fault.name}.sock") if i % 2 else ("127.0.0.1", 0)
        found[fault.name] = Backend(address, serve_until_healthy(fault))
    yield found
    for backend in found.values():
        backend.close()


def address_of(backend):
    name = backend.listener.getsockname()
    return f"unix:{name}" if isinstance(name, str) else f"127.0.0.1:{name[1]}"


def pool_ini(fault, backend):
    keys = {"connect": address_of(backend), "max_requests": 4, **fault.keys}
    lines = [f"[route main /{fault.name}/]", f"pool = {fault.name}", f"[pool {fault.name}]"]
    return "\n".join(lines + [f"{key} = {value}" for key, value in keys.items()]) + "\n"


@pytest.fixture(scope="module")
def gateway(module_place, backends):
    ini = f"[site main]\nroot = {module_place}/public\n"
    ini += "".join(pool_ini(fault, backends[fault.name]) for fault in FAULTS)
    with Gateway(module_place, ini) as gateway:
        yield gateway


def outcome(gateway, proto, fault):
    """Status and body, or TRUNCATED."""
    method = "GET" if fault.body is None else "POST"
    try:
        response = gateway.fetch(proto, f"/{fault.name}/x", method=method, body=fault.body)
    except Truncated as error:
        assert error.response.status == 200
        return TRUNCATED, error.response.body
    except Refused:  # cut before its head went out
        return TRUNCATED, b""
    return response.status, response.body


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(gateway, backends, fault, proto):
    backend = backends[fault.name]
    backend.healthy = False
    since = gateway.mark()

    status, body = outcome(gateway, proto, fault)
    assert status == fault.expect
    if status == 200:
        assert body == fault.answer
    if fault.log:
        line = gateway.wait_log(fault.log, since)
        assert f"pool={fault.name}" in line

    backend.healthy = True
    response = gateway.fetch(proto, f"/{fault.name}/x")
    assert (response.status, response.body) == (200, b"hello\n")
    assert backend.errors == []


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_refused_connection(place, start, proto):
    """Nobody listens, then somebody does."""
    gateway = start(f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        [pool app]
        connect = unix:{place}/app.sock
        """)
    assert gateway.fetch(proto, "/app/x").status == 502
    line = gateway.wait_log("EBACKEND_CONNECT: backend refused the connection")
    assert "pool=app" in line and "site=main" in line
    assert "pool=app" in gateway.wait_log("out of rotation: backend refused the connection")
    with Backend(str(place / "app.sock"), keeping(hello)):
        assert gateway.fetch(proto, "/app/x").body == b"hello\n"


def test_full_backlog_is_a_connect_timeout(place, start):
    """A unix socket whose backlog is full makes connect wait; a bound one: 504."""
    import socket
    path = str(place / "app.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        import os
        os.chmod(path, 0o666)
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{path}
            max_requests = 8
            connect_timeout = 400ms
            first_byte_timeout = 400ms
            """)
        statuses = set()
        from lib.h1 import H1
        clients = [H1(gateway.address()) for _ in range(4)]
        for client in clients:
            client.request("GET", "/app/x")
        for client in clients:
            statuses.add(client.response().status)
            client.close()
        assert statuses == {504}
        gateway.wait_log("backend not connected in time")


def test_a_fault_harms_nobody_else(gateway, backends):
    """While one pool's application is silent, the others answer."""
    from lib.h1 import H1
    backends["silent_mid_body"].healthy = False
    backends["byte_by_byte"].healthy = False
    with H1(gateway.address()) as waiting:
        waiting.request("GET", "/silent_mid_body/x")
        assert waiting.head().status == 200
        for proto in PROTOCOLS:
            assert gateway.fetch(proto, "/byte_by_byte/x").body == b"hello\n"
