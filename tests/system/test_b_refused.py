"""A 403 that its owner can mend says in the log what is wrong; the client reads a 403, no more."""
import os

import pytest

from lib.apps import write_file, write_script
from lib.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "out/secret", b"secret")
    write_script(place / "out/program", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nran'\n")
    write_file(place / "public/index.html", b"index")
    write_file(place / "public/unreadable", b"x")
    os.chmod(place / "public/unreadable", 0)
    write_file(place / "public/closed/file", b"x")
    os.chmod(place / "public/closed", 0o700 if os.geteuid() == 0 else 0)
    os.symlink(place / "out/secret", place / "public/link")
    os.symlink(place / "out", place / "public/folder")
    (place / "public/empty").mkdir()
    (place / "public/linked").mkdir()
    os.symlink(place / "out/secret", place / "public/linked/index.html")
    write_file(place / "public/shut/index.html", b"x")
    os.chmod(place / "public/shut/index.html", 0)
    (place / "cgi/linked").mkdir()
    os.symlink(place / "out/program", place / "cgi/linked/index.cgi")
    write_file(place / "cgi/plain", b"#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nran'\n")
    os.symlink(place / "out/program", place / "cgi/link")
    write_script(place / "cgi/one", "#!/bin/sh\n")
    write_script(place / "cgi/good", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nran'\n")
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        [route main /cgi/]
        root = {place}/cgi
        index = index.cgi
        pool = cgi
        [route main /listed/]
        root = {place}/public
        listing = on
        [route main *.cgi]
        root = {place}/cgi
        pool = cgi
        [route main /one]
        script = {place}/cgi/one
        pool = cgi
        [route main /tried/]
        root = {place}/public
        try = $uri /index.html
        [pool cgi]
        cgi = on
        """) as gateway:
        os.chmod(place / "cgi/one", 0o644)  # at the start it would be an error
        yield gateway


LINK = "ELINK: a symbolic link leads where links forbids"
PLAIN = "ENOT_EXECUTABLE: the program is not executable"
CLOSED = "EUNREADABLE: the gateway's user may not read it"


@pytest.mark.parametrize("path, said", [
    ("/link", LINK), ("/folder/secret", LINK), ("/folder", LINK), ("/cgi/link", LINK),
    ("/cgi/plain", PLAIN), ("/cgi/plain/more", PLAIN), ("/one/x", PLAIN),
    ("/unreadable", CLOSED), ("/closed/file", CLOSED)])
@pytest.mark.parametrize("proto", ["h1", "h2"])
def test_said(gateway, proto, path, said):
    since = gateway.mark()
    response = gateway.fetch(proto, path)
    assert response.status == 403 and b"link" not in response.body
    line = gateway.wait_log(said, since)
    assert f'path="{path}"' in line and " warn " in line and "site=main" in line


@pytest.mark.parametrize("folder, index, said", [
    ("/linked/", "index.html", LINK), ("/shut/", "index.html", CLOSED),
    ("/listed/linked/", "index.html", LINK), ("/cgi/linked/", "index.cgi", LINK)])
@pytest.mark.parametrize("proto", ["h1", "h2"])
def test_said_of_an_index(gateway, proto, folder, index, said):
    """It is the folder's, as in nginx: nothing else is shown in its place."""
    since = gateway.mark()
    assert gateway.fetch(proto, folder).status == 403
    assert f'path="{folder}{index}"' in gateway.wait_log(said, since)


def test_not_said(gateway):
    """A folder is no fault; nor is what try goes on from."""
    since = gateway.mark()
    assert gateway.get("/empty/").status == 403
    assert gateway.get("/tried/link").status == 200
    assert gateway.get("/cgi/good").body == b"ran"
    assert gateway.get("/link").status == 403
    gateway.wait_log(LINK, since)
    assert gateway.log(since).count(" warn ") == 1


def test_a_flood_is_said_seldom(place, start):
    os.symlink("/etc", place / "public/link")
    gateway = start(f"[site main]\nroot = {place}/public\n")
    for _ in range(300):
        assert gateway.get("/link").status == 403
    lines = [line for line in gateway.log().splitlines() if " warn " in line]
    assert 1 <= len(lines) < 150 and all("ELINK" in line for line in lines)
