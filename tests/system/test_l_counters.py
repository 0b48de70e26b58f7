"""What the error log says of limits that were met."""
import signal

import pytest
from hyperframe.frame import PingFrame

from lib.apps import write_file
from lib.client import dial
from lib.gateway import Gateway
from lib.h1 import H1


@pytest.fixture
def gateway(place):
    write_file(place / "public/index.html", "front")
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        """, head_timeout="300ms", h2_control_frames=20) as gateway:
        yield gateway


def test_limits_are_counted(gateway):
    with H1(gateway.address()) as client:
        client.send(b"GET / HT")
        assert client.response().status == 408
    with H1(gateway.address()) as client:  # may yet become a preface
        client.send(b"PRI")
        assert client.closed()
    with dial("h2", gateway) as client:
        client.try_send(*[PingFrame(0, opaque_data=b"12345678")] * 100)
        client.wait_eof()
    gateway.stop(how=signal.SIGQUIT)
    line = gateway.wait_log("drained: limits met: ")
    assert line.endswith("met: head_timeout=2 h2_control_frames=1"), line


def test_nothing_is_said_of_no_limit(gateway):
    assert gateway.fetch("h2", "/").status == 200
    gateway.stop(how=signal.SIGQUIT)
    assert "limits met" not in gateway.log()
