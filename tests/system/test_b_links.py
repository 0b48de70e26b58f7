"""hidden: names that begin with a dot; links: which symbolic links are followed."""
import os

import pytest

from lib.apps import ENV_SCRIPT, write_file, write_script
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway, is_root, refused

POLICIES = ("inside", "follow", "owner", "never")


@pytest.fixture(scope="module")
def gateway(module_place):
    root = module_place / "public"
    for name in ("file", ".env", ".git/config", "sub/.htpasswd", ".well-known/acme/token",
                 "sub/.well-known/x", "a.b/c.d", "...", "sub/..x", ".well-known.bak/x",
                 ".well-known/.key"):
        write_file(root / name, name)
    write_file(module_place / "outside", "outside")
    os.symlink("file", root / "link")
    os.symlink("sub", root / "folder-link")
    os.symlink("../outside", root / "out")
    os.symlink("link", root / "theirs")
    os.symlink("theirs", root / "over-theirs")
    if is_root():
        os.lchown(root / "theirs", 1, 1)
    for name in ("env", ".env", ".hidden/env"):
        write_script(module_place / "cgi" / name, ENV_SCRIPT)
    routes = "".join(f"""
        [route main /{policy}/]
        root = {root}
        links = {policy}""" for policy in POLICIES)
    with Gateway(module_place, f"""
        [site main]
        root = {root}
        [route main /cgi/]
        pool = scripts
        root = {module_place}/cgi
        [route main *.d]
        pool = scripts
        [route main /app/]
        pool = scripts
        script = {module_place}/cgi/env
        [route main /open/]
        root = {root}
        hidden = on
        {routes}
        [site open]
        host = open.example
        root = {root}
        hidden = on
        links = never
        [route open /shut/]
        root = {root}
        hidden = off
        links = follow
        [pool scripts]
        cgi = on
        max_requests = 2
        """) as gateway:
        yield gateway


def statuses(gateway, proto, paths, host="localhost"):
    with dial(proto, gateway) as client:
        more = {"scheme": scheme(proto)} if is_h2(proto) else {}
        return {path: client.fetch("GET", path, host=host, **more).status for path in paths}


HIDDEN = {
    "/file": 200, "/a.b/c.d": 403, "/.env": 404, "/.git/config": 404, "/.git/": 404, "/.git": 404,
    "/sub/.htpasswd": 404, "/%2eenv": 404, "/%2Egit/config": 404, "/sub/../.env": 404,
    "//.env": 404, "/./.env": 404, "/...": 404, "/sub/..x": 404, "/.nothing": 404,
    "/.well-known/acme/token": 200, "/sub/.well-known/x": 200, "/.well-known.bak/x": 404,
    "/.well-known/.key": 404, "/.git/x.d": 404, "/.well-known": 301,
    "/cgi/env": 200, "/cgi/.env": 404, "/cgi/.hidden/env": 404, "/cgi/.hidden": 404,
    "/cgi/env/.path/info": 200, "/app/.git/refs": 200,  # below a program it is its own affair
    "/open/.env": 200, "/open/.git/config": 200, "/open/sub/.htpasswd": 200,
}


@pytest.mark.parametrize("proto", ["h1", "h2", "h2c"])
def test_hidden(gateway, proto):
    assert statuses(gateway, proto, HIDDEN) == HIDDEN
    expected = {"/.env": 200, "/.git/config": 200, "/shut/.env": 404, "/shut/file": 200}
    assert statuses(gateway, proto, expected, "open.example") == expected


LINKS = {  # of inside, follow, owner, never
    "file": (200, 200, 200, 200), "link": (200, 200, 200, 403), "out": (403, 200, 200, 403),
    "folder-link/.well-known/x": (200, 200, 200, 403), "a.b/../link": (200, 200, 200, 403),
    "theirs": (200, 200, 403 if is_root() else 200, 403),
    "over-theirs": (200, 200, 403 if is_root() else 200, 403),
    "link/more": (404, 404, 404, 403), "../outside": (404, 404, 404, 404),
}


@pytest.mark.parametrize("proto", ["h1", "h2", "h2c"])
def test_links(gateway, proto):
    for i, policy in enumerate(POLICIES):
        expected = {f"/{policy}/{path}": status[i] for path, status in LINKS.items()}
        assert statuses(gateway, proto, expected) == expected
    expected = {"/file": 200, "/link": 403, "/shut/link": 200, "/shut/out": 200}
    assert statuses(gateway, proto, expected, "open.example") == expected


@pytest.mark.parametrize("line, words", [
    ("links = some", ["5: links", "inside, follow, owner or never"]),
    ("links = nevr", ['did you mean "never"?']),
    ("hidden = yes", ["5: hidden", "on or off"]),
])
def test_wrong_values(place, line, words):
    said = refused(place, line)
    assert all(word in said for word in words), said
