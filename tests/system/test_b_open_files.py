"""Files as they are sent: out of the page cache, over 4 GiB, replaced meanwhile, kept open."""
import hashlib
import os

import pytest

from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway
from lib.message import Truncated
from lib.proc import wait_until

HUGE = (5 << 30) + 7
TAIL = os.urandom(100000)
BIG = os.urandom(1 << 20) * 10


@pytest.fixture(scope="module", params=["auto", "always"])
def gateway(request, module_place):
    """writer = always: threads send all of it."""
    place = module_place
    write_file(place / "public/big", BIG)
    write_file(place / "public/small", "small\n")
    with open(write_file(place / "public/huge", ""), "r+b") as f:
        f.seek(HUGE - len(TAIL))
        f.write(TAIL)
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        """, writer=request.param) as gateway:
        yield gateway


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_whole(gateway, proto):
    response = gateway.fetch(proto, "/big")
    assert response.status == 200
    assert digest(response.body) == digest(BIG)


@pytest.mark.parametrize("first, last", [
    (0, 99999), (65535, 200000), (1 << 20, (3 << 20) + 1), (len(BIG) - 100000, len(BIG) - 1)])
def test_part(gateway, proto, first, last):
    response = gateway.fetch(proto, "/big", headers=[("Range", f"bytes={first}-{last}")])
    assert response.status == 206
    assert digest(response.body) == digest(BIG[first:last + 1])


def test_over_4_gib(gateway, proto):
    assert gateway.fetch(proto, "/huge", method="HEAD").get("content-length") == str(HUGE)
    response = gateway.fetch(proto, "/huge", headers=[("Range", f"bytes=-{len(TAIL) + 10}")])
    assert response.status == 206
    assert response.get("content-range") == f"bytes {HUGE - len(TAIL) - 10}-{HUGE - 1}/{HUGE}"
    assert digest(response.body) == digest(bytes(10) + TAIL)


def test_several_on_one_connection(gateway, proto):
    with dial(proto, gateway) as client:
        for path, body in (("/big", BIG), ("/small", b"small\n"), ("/big", BIG),
                           ("/nothing", None), ("/small", b"small\n")):
            more = {"scheme": scheme(proto)} if is_h2(proto) else {}
            response = client.fetch("GET", path, **more)
            assert response.status == (404 if body is None else 200)
            assert body is None or digest(response.body) == digest(body)


def test_pipelined(gateway):
    with dial("h1", gateway) as client:
        client.send(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    b"HEAD /big HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    b"GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert digest(client.response().body) == digest(BIG)
        assert client.response().body == b"small\n"
        assert client.response("HEAD").get("content-length") == str(len(BIG))
        assert digest(client.response().body) == digest(BIG)
        assert client.closed()


def test_http_1_0(gateway):
    with dial("h1", gateway) as client:
        client.send(b"GET /big HTTP/1.0\r\n\r\n")
        assert digest(client.response().body) == digest(BIG)
        assert client.closed()


def begin(gateway, proto, path):
    """A client that takes the head and no more until finish()."""
    client = dial(proto, gateway, **({"flow": False} if is_h2(proto) else {"rcvbuf": 4096}))
    if is_h2(proto):
        number = client.request("GET", path, scheme=scheme(proto))
        client.wait(lambda: client.streams[number].has_head)
        return client, number
    client.request("GET", path)
    client.more()
    return client, None


def finish(client, number):
    if number is None:
        return client.response()
    from hyperframe.frame import WindowUpdateFrame
    client.flow = True
    client.send(WindowUpdateFrame(0, window_increment=1 << 30),
                WindowUpdateFrame(number, window_increment=1 << 30))
    return client.response(number)


@pytest.mark.threads
def test_replaced_while_sent(gateway, proto):
    """Who has begun gets the old one to its end, who comes later the new one."""
    path = write_file(gateway.place / f"public/replaced-{proto}", BIG)
    client, number = begin(gateway, proto, f"/replaced-{proto}")
    with client:
        os.rename(write_file(gateway.place / "new", "new\n"), path)
        assert gateway.fetch(proto, f"/replaced-{proto}").body == b"new\n"
        assert digest(finish(client, number).body) == digest(BIG)


@pytest.mark.threads
def test_shrinks_while_sent(gateway, proto):
    """What was promised cannot be kept: the response is cut, the reason is in the log."""
    path = write_file(gateway.place / f"public/shrinks-{proto}", b"x" * (32 << 20))
    client, number = begin(gateway, proto, f"/shrinks-{proto}")
    with client:
        os.truncate(path, 100000)
        with pytest.raises(Truncated):
            finish(client, number)
    gateway.wait_log(f"EFILE_SHORT.*shrinks-{proto}")
    assert gateway.fetch(proto, "/small").body == b"small\n"


@pytest.mark.threads
def test_client_goes_while_sent(gateway, proto):
    for _ in range(5):
        client, _ = begin(gateway, proto, "/big")
        client.close()
    assert gateway.fetch(proto, "/small").body == b"small\n"


@pytest.mark.parametrize("change", ["written", "renamed", "removed", "grown"])
def test_noticed_at_once(gateway, proto, change):
    name = f"{change}-{proto}"
    path = write_file(gateway.place / "public" / name, "before\n")
    with dial(proto, gateway) as client:
        def get():
            return client.fetch("GET", f"/{name}",
                                **({"scheme": scheme(proto)} if is_h2(proto) else {}))

        first = get()
        assert first.body == b"before\n"
        assert get().get("etag") == first.get("etag")
        if change == "written":
            write_file(path, "after!\n")  # of the same length
        elif change == "renamed":
            os.rename(write_file(gateway.place / "new", "after!\n"), path)
        elif change == "removed":
            os.remove(path)
            assert get().status == 404
            write_file(path, "after!\n")
        else:
            with open(path, "a") as f:
                f.write("after!\n")
        second = get()
        assert second.body == (b"before\nafter!\n" if change == "grown" else b"after!\n")
        assert second.get("etag") != first.get("etag")
        assert get().body == second.body


def test_folders_and_links_are_noticed(place):
    for name in ("one", "two"):
        write_file(place / f"links/{name}/page", name)
    os.symlink("one", place / "links/now")
    with Gateway(place, f"""
        [site main]
        root = {place}/links
        """, open_files_valid="1ms") as gateway:
        assert gateway.get("/now/page").body == b"one"
        os.remove(place / "links/now")
        os.symlink("two", place / "links/now")
        wait_until(lambda: gateway.get("/now/page").body == b"two")
        os.remove(place / "links/now")
        os.symlink("/etc", place / "links/now")
        wait_until(lambda: gateway.get("/now/passwd").status == 403)


def test_off(place):
    path = write_file(place / "off/page", "one")
    with Gateway(place, f"""
        [site main]
        root = {place}/off
        """, open_files="off") as gateway:
        assert gateway.get("/page").body == b"one"
        write_file(path, "two")
        assert gateway.get("/page").body == b"two"
        pid = gateway.gateway_pid()
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert str(path) not in held
