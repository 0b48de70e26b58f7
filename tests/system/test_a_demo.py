"""The demo site of scripts/run: each link of its front page answers as the page says."""
import concurrent.futures
import hashlib
import html.parser
import os
import signal
import subprocess
import time

import pytest

from lib import client, proc
from lib.apps import need
from lib.gateway import BINARY, ROOT
from lib.message import PROTOCOLS
from lib.ports import free_port

# path of a link: status, what its body has in it
LINKS = {
    "/logo.svg": (200, "<svg"),
    "/style.css": (200, "{"),
    "/hello/World": (200, "Hello, World\n"),
    "/hello/you": (200, "Hello, you\n"),
    "/fcgi/hello/World": (200, "Hello, World\n"),
    "/env/some/path?name=value&x=1": (200, "<td>QUERY_STRING</td><td>name=value&amp;x=1</td>"),
    "/fcgi/env/some/path?name=value&x=1": (200, "<td>QUERY_STRING</td><td>name=value&amp;x=1</td>"),
    "/upload": (200, '<form method="post"'),
    "/slow": (200, "\n10  "),
    "/no-such-page": (404, "404"),
    "/old/hello": (302, ""),
}


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name in ("href", "src")}


class Demo:
    """scripts/run with ports and a folder of its own; what lib.client asks of a gateway."""

    def __init__(self, place):
        self.ports = {"http": free_port(), "https": free_port()}
        self.output = place / "demo.output"
        env = {**os.environ, "HTTP": str(self.ports["http"]), "HTTPS": str(self.ports["https"]),
               "DEMO": str(place / "demo"), "H2CGI_BUILD": str(BINARY.parent)}
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                proc.ending_with_parent(ROOT / "scripts/run"), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, env=env, cwd="/")
        proc.wait_until(self.ready, 30, "the hint that the demo is there")

    def ready(self):
        text = self.output.read_text()
        assert self.process.poll() is None, text
        return "Ctrl-C ends it" in text

    def address(self, tls=False):
        return ("127.0.0.1", self.ports["https" if tls else "http"])

    def url(self, proto, path):
        name = client.scheme(proto)
        return f"{name}://127.0.0.1:{self.ports[name]}{path}"

    def get(self, proto, path):
        return client.fetch(proto, self, "GET", path)

    def stop(self):
        """As Ctrl-C and a plain kill do: all that was started ends."""
        below = {proc.identity(pid) for pid in proc.descendants(self.process.pid)}
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        print(self.output.read_text())
        assert status == 0
        proc.wait_until(lambda: not [pid for pid, since in below if proc.alive(pid)
                                     and proc.identity(pid) == (pid, since)], 5, "the end of all")


@pytest.fixture(scope="module")
def demo(module_place):
    made = Demo(module_place)
    yield made
    made.stop()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_each_link_of_the_front_page(demo, proto):
    page = demo.get(proto, "/")
    assert (page.status, page.get("content-type")) == (200, "text/html")
    links = Links()
    links.feed(page.text)
    assert links.found == set(LINKS)
    for path, (status, text) in LINKS.items():
        if path == "/slow":
            continue
        response = demo.get(proto, path)
        assert response.status == status, path
        assert text in response.text, path
    assert demo.get(proto, "/old/hello").get("location").endswith("/hello/World")


@pytest.mark.slow
def test_slow_page_takes_its_time(demo):
    """The four protocols at once: CGI programs do not wait for each other."""
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(PROTOCOLS)) as pool:
        for response in pool.map(lambda proto: demo.get(proto, "/slow"), PROTOCOLS):
            assert (response.status, LINKS["/slow"][1] in response.text) == (200, True)
    assert 4.5 < time.monotonic() - begin < 15


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_upload_is_digested(demo, module_place, proto):
    need("curl")
    file = module_place / "a file.bin"
    file.write_bytes(os.urandom(300000))
    response = client.curl(proto, demo, "/upload", "-F", f"file=@{file}")
    assert response.status == 200
    for text in ("a file.bin", "300000 bytes", hashlib.sha256(file.read_bytes()).hexdigest()):
        assert text in response.text
