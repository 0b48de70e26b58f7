"""Nothing outside a root is reachable, whatever the path looks like."""
import itertools
import os
import threading

import pytest

from lib.apps import ENV_SCRIPT, write_file, write_script
from lib.client import dial, scheme
from lib.gateway import Gateway
from lib.h1 import H1
from lib.message import Refused

SECRET = b"the secret text"

# ways to say "up", "separator", and what may stand in front
UPS = ["..", "%2e%2e", "%2E.", ".%2e", "..%00", "%2e%2e%00", "..;", "...", ".. ", "%252e%252e",
       "%c0%ae%c0%ae", "%u002e%u002e", "..%20", "\\..", "..\\", "%5c..", "..%5c"]
SEPARATORS = ["/", "%2f", "%2F", "//", "/./", "%5c", "\\", "%252f", "%c0%af"]
PREFIXES = ["/", "/public/", "/sub/", "/cgi/"]
TARGETS = ["secret.txt", "secret.d/secret.txt", "etc/passwd"]
DEPTHS = (1, 2)


def hostile_paths():
    for prefix, up, separator in itertools.product(PREFIXES, UPS, SEPARATORS):
        for depth in DEPTHS:
            yield prefix + separator.join([up] * depth + ["secret.txt"])
    for depth, target in itertools.product((1, 3, 8, 40), TARGETS):
        yield "/" + "../" * depth + target
        yield "/sub/" + "../" * depth + target
    yield from LINKS
    yield from FORMS


LINKS = ["/link-out", "/link-abs", "/dir-out/secret.txt", "/dir-abs/secret.txt", "/chain",
         "/sub/up/secret.txt", "/sub/upup/secret.txt", "/link-proc/root/etc/passwd",
         "/dir-abs/", "/dir-abs", "/loop", "/loop/secret.txt", "/cgi/link-out", "/cgi/dir-out/x",
         "/link-out/", "/dir-out/./secret.txt", "/dir-out//secret.txt", "/dev", "/fifo",
         "/sock"]
FORMS = ["http://localhost/../secret.txt", "//localhost/../secret.txt", "/%00/../secret.txt",
         "/secret.txt", "/public/../secret.txt", "/PLACE/secret.txt", "//PLACE/secret.txt",
         "/proc/self/root/PLACE/secret.txt", "/index.html/../../secret.txt",
         "/index.html%00/../secret.txt", "/cgi/../../secret.txt", "/cgi/env/../../../secret.txt",
         "/cgi/%2e%2e/secret.sh", "/cgi/..%2fsecret.sh", "/cgi//../../secret.sh"]


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    root = place / "public"
    write_file(place / "secret.txt", SECRET)
    write_file(place / "secret.d/secret.txt", SECRET)
    write_script(place / "secret.sh", "#!/bin/sh\necho\necho the secret text\n")
    write_file(root / "index.html", "front")
    write_file(root / "inside.txt", "inside")
    write_script(place / "cgi/env", ENV_SCRIPT)
    (root / "sub").mkdir()
    for name, target in [
            ("link-out", "../secret.txt"), ("link-abs", place / "secret.txt"),
            ("dir-out", ".."), ("dir-abs", place), ("chain", "link-out"), ("sub/up", ".."),
            ("sub/upup", "../.."), ("link-proc", "/proc/self"), ("loop", "loop"),
            ("link-in", "inside.txt"), ("sub/link-in", "../inside.txt"), ("dev", "/dev"),
            ("../cgi/link-out", "../secret.sh"), ("../cgi/dir-out", "..")]:
        os.symlink(target, root / name)
    os.mkfifo(root / "fifo")
    with Gateway(place, f"""
        [site main]
        root = {root}
        [route main /]
        root = {root}
        [route main /cgi/]
        pool = scripts
        root = {place}/cgi
        [site follows]
        host = follow.example
        root = {root}
        links = follow
        [pool scripts]
        cgi = on
        max_requests = 2
        """) as gateway:
        yield gateway


def sane(path):
    """What can be put on a request line."""
    return "".join(f"%{ord(c):02x}" if c in " \\" else c for c in path)


@pytest.mark.parametrize("proto", ["h1", "h2"])
def test_hostile_paths(gateway, proto):
    place = str(gateway.place).lstrip("/")
    paths = [path.replace("PLACE", place) for path in hostile_paths()]
    assert len(paths) > 200
    bad = []
    client = dial(proto, gateway)
    for path in paths:
        path = sane(path) if proto == "h1" else path
        try:
            response = fetch(client, proto, path)
        except (Refused, OSError):
            response = None
        if response is None or response.get("connection") == "close":
            client.close()
            client = dial(proto, gateway)
        if response and (SECRET in response.body or b"root:" in response.body
                         or response.status in (200, 500)):
            if response.body not in (b"front", b"inside"):
                bad.append((path, response.status, response.body[:40]))
    client.close()
    assert bad == []


def fetch(client, proto, path):
    if proto == "h1":
        return client.fetch("GET", path)
    return client.fetch("GET", path, scheme=scheme(proto))


def test_links_inside_are_followed(gateway):
    for path in ("/link-in", "/sub/link-in", "/sub/up/inside.txt"):
        assert gateway.get(path).body == b"inside", path


@pytest.mark.parametrize("path", ["/link-out", "/dir-out/secret.txt", "/chain", "/link-abs"])
def test_links_out_are_403(gateway, path):
    assert gateway.get(path).status == 403


def test_links_follow(gateway):
    """links = follow allows what the site's owner linked, and no more."""
    assert gateway.get("/link-out", host="follow.example").body == SECRET
    assert gateway.get("/dir-abs/secret.txt", host="follow.example").body == SECRET
    assert gateway.get("/../secret.txt", host="follow.example").status in (400, 404)


def test_special_files_are_not_opened_for_long(gateway):
    """A fifo must not hold a worker."""
    assert gateway.get("/fifo").status in (403, 404)


def test_race_between_check_and_open(gateway):
    """A directory that turns into a link, over and over, never leads outside."""
    root = gateway.place / "public"
    (root / "turning").mkdir()
    write_file(root / "turning/secret.txt", "harmless")
    os.symlink("../secret.d", root / "turning-link")
    done = threading.Event()

    def turn():
        while not done.is_set():
            os.rename(root / "turning", root / "turning-away")
            os.rename(root / "turning-link", root / "turning")
            os.rename(root / "turning", root / "turning-link")
            os.rename(root / "turning-away", root / "turning")

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        seen = set()
        with H1(gateway.address()) as client:
            for _ in range(3000):
                response = client.fetch("GET", "/turning/secret.txt")
                seen.add(response.status)
                assert SECRET not in response.body
        assert 200 in seen and seen <= {200, 403, 404}
    finally:
        done.set()
        thread.join()
