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

from lib import proc, turns  # noqa: E402
from lib.gateway import Gateway  # noqa: E402
from lib.message import PROTOCOLS  # noqa: E402

MARKERS = (
    "threads: worth running under ThreadSanitizer",
    "slow: takes more than 5 seconds",
    "heavy: takes more than 20 seconds or much memory traffic",
    "bench: gives figures for tests/bench/RESULTS.md and is run for them, with -m bench",
)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    proc.become_subreaper()


def pytest_collection_modifyitems(config, items):
    """Heavy tests run where they are asked for: H2CGI_HEAVY=1, or -m with the word."""
    if not os.environ.get("H2CGI_HEAVY") and "heavy" not in config.getoption("-m"):
        deselect(config, items, lambda item: item.get_closest_marker("heavy"))
    if "bench" not in config.getoption("-m"):
        deselect(config, items, lambda item: item.get_closest_marker("bench"))
    gone = turns.left_out({item.nodeid for item in items})
    deselect(config, items, lambda item: item.nodeid in gone)


def pytest_make_parametrize_id(val):
    """Short, since a program that a test starts is told which test that is."""
    if isinstance(val, (str, bytes)) and len(val) > 80:
        return f"{str(val)[:60]}.{len(val)}"
    return None


def deselect(config, items, which):
    gone = [item for item in items if which(item)]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if not which(item)]


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
