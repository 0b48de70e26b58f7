"""A browser: a page of a hundred files over HTTP/2 comes by one connection."""
import re
import shutil
import subprocess

import pytest

from lib.apps import write_file
from lib.gateway import Gateway

CHROMIUM = shutil.which("chromium")
FILES = 100

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]


@pytest.fixture
def gateway(place):
    root = place / "public"
    names = [f"part{i:03}.js" for i in range(FILES)]
    for name in names:
        write_file(root / name, "document.documentElement.dataset.n = "
                   "1 + Number(document.documentElement.dataset.n || 0);\n")
    scripts = "".join(f'<script src="{name}"></script>\n' for name in names)
    write_file(root / "index.html", f"<!DOCTYPE html>\n<title>all</title>\n{scripts}")
    with Gateway(place, f"""
        [site main]
        root = {root}
        listing = on
        """) as gateway:
        yield gateway


def browse(gateway, url):
    """The document as it is once everything was loaded."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--ignore-certificate-errors", f"--user-data-dir={gateway.place}/profile",
         "--virtual-time-budget=60000", "--dump-dom", url],
        capture_output=True, text=True, timeout=180, check=True)
    return done.stdout


def test_page_of_a_hundred_files(gateway):
    dom = browse(gateway, gateway.url("h2", "/index.html"))
    assert f'data-n="{FILES}"' in dom, "not all of the scripts ran"
    lines = gateway.wait_access(r'"GET /part\d+\.js HTTP/2" 200 ', n=FILES)
    assert len({re.search(r"part\d+", line)[0] for line in lines}) == FILES
    assert not [line for line in gateway.access_lines() if "HTTP/1.1" in line]
