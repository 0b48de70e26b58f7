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
       "%c0%ae%c0%ae", "%u002e%u002e", "..%20", "\\..", "..\\", "%5c..", "..%5c",
       "%c0%2e%c0%2e", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae%f0%80%80%ae", "%ff%2e%2e", "%25%32%65%25%32%65",
       "..%01", "..%0a", "..%0d", "..%7f", "%uff0e%uff0e", "%ef%bc%8e%ef%bc%8e"]
SEPARATORS = ["/", "%2f", "%2F", "//", "/./", "%5c", "\\", "%252f", "%c0%af", "%c1%9c", "%e0%80%af"]
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
         "/sock", "/index-out/", "/index-out", "/index-dir/", "/try-out", "/try-dir/secret",
         "/packed.txt", "/packed-dir/secret.txt", "/.hidden-out", "/sub/../link-out", "/link-out%20",
         "/link-in/../link-out", "/LINK-OUT", "/link-out.txt", "/dir-out/secret.d/", "/try-abs"]
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
    for name in ("index-out", "index-dir"):
        (root / name).mkdir()
    write_file(root / "packed.txt", "inside")
    for name, target in [
            ("index-out/index.html", "../../secret.txt"), ("index-dir/index.html", "../dir-out"),
            ("try-out.txt", "../secret.txt"), ("try-dir", "../secret.d"),
            ("try-abs.txt", place / "secret.txt"), ("packed.txt.br", "../secret.txt"),
            ("packed.txt.gz", place / "secret.txt"), ("packed-dir", "../secret.d"),
            (".hidden-out", "../secret.txt"), ("inside.txt.zst", "link-out")]:
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
        [site all]
        host = all.example
        root = {root}
        try = $uri $uri/ $uri.txt /sub/..$uri/../index.html
        precompressed = on
        hidden = on
        [site never]
        host = never.example
        root = {root}
        links = never
        [site follows]
        host = follow.example
        root = {root}
        links = follow
        [pool scripts]
        cgi = on
        max_requests = 2
        """, open_files=1, open_files_valid="1ms") as gateway:
        yield gateway


def sane(path):
    """What can be put on a request line."""
    return "".join(f"%{ord(c):02x}" if c in " \\" else c for c in path)


# What a request may bring beside its path: each way to the bytes of a file.  SECRET's end is in each.
ASKS = {
    "plain": ("localhost", []),
    "ranges": ("localhost", [("range", "bytes=0-0,4-")]),
    "all": ("all.example", [("accept-encoding", "br, gzip, zstd"), ("range", "bytes=4-")]),
}


@pytest.mark.parametrize("proto, ask", [("h1", "plain"), ("h1", "ranges"), ("h1", "all"),
                                        ("h2", "plain"), ("h2", "all"), ("h2c", "all")])
def test_hostile_paths(gateway, proto, ask):
    place = str(gateway.place).lstrip("/")
    paths = [path.replace("PLACE", place) for path in hostile_paths()]
    assert len(set(paths)) > 200
    if ask != "plain" or proto != "h1":  # each form of a path once a way is enough
        paths = paths[::7] + LINKS + FORMS
        assert len(set(paths)) > 200
    host, fields = ASKS[ask]
    bad = []
    client = dial(proto, gateway)
    for path in paths:
        path = sane(path) if proto == "h1" else path
        try:
            response = fetch(client, proto, path, fields, host)
        except (Refused, OSError):
            response = None
        if response is None or response.get("connection") == "close":
            client.close()
            client = dial(proto, gateway)
        if response and leaks(response):
            bad.append((path, response.status, response.body[:40]))
    client.close()
    assert bad == []


def leaks(response):
    """Anything but a refusal and what is inside; of a range of it, its end."""
    if b"secret text" in response.body or b"root:" in response.body:
        return True
    if response.status in (200, 500):
        return response.body not in (b"front", b"inside")
    return response.status == 206 and not b"front".endswith(response.body) and \
        not b"inside".endswith(response.body) and not response.get("content-type", "").startswith("multipart/")


def fetch(client, proto, path, fields=(), host="localhost"):
    if proto == "h1":
        return client.fetch("GET", path, fields, host=host)
    return client.fetch("GET", path, fields, host=host, scheme=scheme(proto))


@pytest.mark.parametrize("host", ["localhost", "all.example", "never.example"])
def test_no_byte_of_a_link_that_leads_outside(gateway, host):
    """By its name, as an index, as a word of try, as a compressed form."""
    with H1(gateway.address()) as client:
        for path in LINKS:
            for coding in ("identity", "br", "gzip", "zstd"):
                response = client.fetch("GET", path, [("Accept-Encoding", coding)], host=host)
                assert not leaks(response), (path, coding, response.body)


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


# host, path, fields: each way to a file in the folder that turns
TURNING = [
    ("localhost", "/turning/secret.txt", []),
    ("localhost", "/turning/secret.txt", [("Range", "bytes=0-0,4-")]),
    ("all.example", "/turning/secret", []),
    ("all.example", "/turning/packed.txt", [("Accept-Encoding", "br")]),
    ("all.example", "/turning/", []),
    ("never.example", "/turning/secret.txt", []),
]


def test_race_between_check_and_open(gateway):
    """A directory that turns into a link, over and over, never leads outside."""
    root, place = gateway.place / "public", gateway.place
    (root / "turning").mkdir()
    for name in ("secret.txt", "packed.txt", "packed.txt.br", "index.html"):
        write_file(root / "turning" / name, "harmless")
        write_file(place / "secret.d" / name, SECRET)
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
            for host, path, fields in TURNING * 300:
                response = client.fetch("GET", path, fields, host=host)
                seen.add(response.status)
                assert b"secret text" not in response.body
        assert 200 in seen and seen <= {200, 206, 403, 404}
    finally:
        done.set()
        thread.join()
