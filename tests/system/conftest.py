"""Fixtures of the system tests.

place   a directory of the test's own that any user may search; removed after the test
start   start(ini, **keys) -> Gateway; stopped and checked after the test
proto   each of h1, h1s (HTTP/1.1 over TLS), h2, h2c
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
pytest.register_assert_rewrite("lib.gateway", "lib.proc", "lib.client", "lib.runner")

from lib import proc  # noqa: E402
from lib.gateway import Gateway  # noqa: E402
from lib.message import PROTOCOLS  # noqa: E402

MARKERS = (
    "threads: worth running under ThreadSanitizer",
    "slow: takes more than 5 seconds",
    "heavy: takes more than 20 seconds or much memory traffic",
)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    proc.become_subreaper()


def pytest_collection_modifyitems(config, items):
    """Heavy tests run where they are asked for: H2CGI_HEAVY=1, or -m with the word."""
    if os.environ.get("H2CGI_HEAVY") or "heavy" in config.getoption("-m"):
        return
    heavy = [item for item in items if item.get_closest_marker("heavy")]
    config.hook.pytest_deselected(items=heavy)
    items[:] = [item for item in items if not item.get_closest_marker("heavy")]


def make_place():
    """Short (socket paths have 107 bytes) and open to the gateway's user."""
    place = Path(tempfile.mkdtemp(prefix="h2cgi-", dir="/tmp"))
    place.chmod(0o777 if os.geteuid() == 0 else 0o755)
    (place / "public").mkdir()
    (place / "cgi").mkdir()
    return place


def remove_place(place):
    if not os.environ.get("H2CGI_KEEP"):
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def place():
    made = make_place()
    yield made
    remove_place(made)


@pytest.fixture(scope="module")
def module_place():
    made = make_place()
    yield made
    remove_place(made)


@pytest.fixture
def start(place):
    running = []

    def start_gateway(ini, **options):
        gateway = Gateway(place, ini, start=False, **options)
        running.append(gateway)
        gateway.start()
        return gateway

    yield start_gateway
    for gateway in running:
        gateway.stop()


@pytest.fixture(params=PROTOCOLS)
def proto(request):
    return request.param
