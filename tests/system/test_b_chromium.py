"""A browser: a page of a hundred files over HTTP/2 comes by one connection."""
import collections
import json
import re
import shutil
import subprocess

import pytest

from lib.apps import write_file
from lib.gateway import Gateway

CHROMIUM = shutil.which("chromium")
FILES = 100

# How each script came, as the browser has it: the client's port, which the gateway told it in
# Server-Timing, the protocol, and whether a connection was opened for it.
TELL = """<pre id="came"></pre>
<script>addEventListener("load", () => {
  came.textContent = JSON.stringify(performance.getEntriesByType("resource").map(
    one => [one.serverTiming[0].description, one.nextHopProtocol,
            one.connectEnd > one.connectStart]));
});</script>
"""

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
    write_file(root / "index.html", f"<!DOCTYPE html>\n<title>all</title>\n{scripts}{TELL}")
    with Gateway(place, f"""
        [site main]
        root = {root}
        listing = on
        header.Server-Timing = port;desc="$remote_port"
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
    came = json.loads(re.search(r'<pre id="came">(.*?)</pre>', dom)[1])
    assert len(came) == FILES
    ports, protocols, opened = map(collections.Counter, zip(*came))
    assert len(ports) == 1 and next(iter(ports)).isdigit(), ports
    assert protocols == {"h2": FILES}
    assert opened == {False: FILES}, "the page's own connection was not used"
    lines = gateway.wait_access(r'"GET /part\d+\.js HTTP/2" 200 ', n=FILES)
    assert len({re.search(r"part\d+", line)[0] for line in lines}) == FILES
    assert not [line for line in gateway.access_lines() if "HTTP/1.1" in line]
