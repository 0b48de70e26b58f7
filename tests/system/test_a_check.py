"""h2cgi check: every mistake is named with file, line and the nearest word, all at once."""
import os
import re
import resource

import pytest

from lib.apps import write_file
from lib.certs import AUTHORITY
from lib.gateway import run_h2cgi

GOOD = """\
[gateway]
runtime_dir = {place}/run
spool_dir = {place}/spool

[listen http]
address = 127.0.0.1:8099

[site main]
host = example.org *.example.org
root = {place}/public

[route main /app/]
pool = app

[pool app]
connect = unix:{place}/app.sock
max_requests = 4
"""


def check(place, text):
    path = write_file(place / "checked.ini", text.replace("{place}", str(place)))
    return path, run_h2cgi("check", "-c", str(path))


def assert_error(place, text, bad_line, word):
    """check fails, and a message carries the file, the line of bad_line, and word."""
    path, done = check(place, text)
    assert done.returncode == 1, done.stderr
    lines = path.read_text().splitlines()
    number = lines.index(bad_line.replace("{place}", str(place))) + 1
    messages = done.stdout + done.stderr
    pattern = rf"(?m)^{re.escape(str(path))}:{number}: .*{word}"
    assert re.search(pattern, messages), f"no {pattern!r} in:\n{messages}"


def test_good(place):
    _, done = check(place, GOOD)
    assert done.returncode == 0, done.stderr
    assert "error" not in (done.stdout + done.stderr).lower()


# replaced text, new text, the line to be named, what the message must have
MISTAKES = [
    ("max_requests = 4", "max_request = 4", "max_request = 4", "max_requests"),
    ("max_requests = 4", "max_requests = many", "max_requests = many", "many|number"),
    ("max_requests = 4", "max_requests = -1", "max_requests = -1", "-1|at least"),
    ("max_requests = 4", "max_requests = 0", "max_requests = 0", "0|at least"),
    ("max_requests = 4", "max_requests =", "max_requests =", "value|empty|number"),
    ("max_requests = 4", "max_requests = 99999999999999999999",
     "max_requests = 99999999999999999999", "."),
    ("max_requests = 4", "max_requests = 4\nmax_requests = 5", "max_requests = 5", "twice"),
    ("max_requests = 4", "queue_timeout = 10", "queue_timeout = 10", "duration|unit|10"),
    ("max_requests = 4", "queue_timeout = 10y", "queue_timeout = 10y", "10y"),
    ("max_requests = 4", "cgi = maybe", "cgi = maybe", "on|off"),
    ("max_requests = 4", "just words", "just words", "."),
    ("max_requests = 4", "Max_requests = 4", "Max_requests = 4", "max_requests"),
    ("max_requests = 4", "spawn = /bin/true", "[pool app]|spawn = /bin/true", "spawn|connect"),
    ("connect = unix:{place}/app.sock\n", "", "[pool app]", "connect|spawn"),
    ("connect = unix:{place}/app.sock", "connect = nowhere", "connect = nowhere", "nowhere"),
    ("connect = unix:{place}/app.sock", "connect = 127.0.0.1:99999",
     "connect = 127.0.0.1:99999", "99999"),
    ("[pool app]", "[pol app]", "[pol app]", "pool"),
    ("[pool app]", "[pool]", "[pool]", "name"),
    ("[pool app]", "[pool app", "[pool app", "."),
    ("pool = app", "pool = apq", "pool = apq", "app"),
    ("[route main /app/]", "[route mian /app/]", "[route mian /app/]", "main"),
    ("[route main /app/]", "[route main app/]", "[route main app/]", "pattern|/"),
    ("address = 127.0.0.1:8099", "address = 127.0.0.1", "address = 127.0.0.1", "port|address"),
    ("address = 127.0.0.1:8099", "address = 127.0.0.1:8099\ntls = on", "[site main]|tls = on",
     "certificate"),
    ("host = example.org *.example.org", "host = exa mple*.org", "host = exa mple*.org",
     r"mple\*|host"),
    ("root = {place}/public", "root = public", "root = public", "absolute|/"),
    ("runtime_dir = {place}/run", "writer = sometimes", "writer = sometimes", "auto|always"),
    ("runtime_dir = {place}/run", "spool_limit = 4Q", "spool_limit = 4Q", "4Q"),
    ("runtime_dir = {place}/run", "workers = 100000", "workers = 100000", "100000|at most"),
    ("runtime_dir = {place}/run", "include = {place}/none.ini", "include = {place}/none.ini",
     "none.ini"),
    ("[pool app]", "[pool app]\nuser = no-such-user-here", "user = no-such-user-here",
     "no-such-user-here"),
    ("[route main /app/]", "[route main /app/]\nauth = basic", "[route main /app/]|auth = basic",
     "auth_file"),
    ("[route main /app/]", "[route main /app/]\nauth = basic\nauth_file = {place}/missing",
     "auth_file = {place}/missing", "missing"),
    ("[route main /app/]",
     "[route main /app/]\nauth = basic\nauth_file = {place}/checked.ini\nauth_match = a(b",
     "auth_match = a(b", "."),
]


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: row[1].replace("\n", "+")[-40:])
def test_mistake(place, row):
    old, new, bad_lines, word = row
    assert old in GOOD
    text = GOOD.replace(old, new)
    errors = []
    for bad_line in bad_lines.split("|"):  # any of these lines is a fair place to name
        try:
            return assert_error(place, text, bad_line, word)
        except AssertionError as error:
            errors.append(error)
    raise errors[0]


@pytest.mark.parametrize("section", ["listen http", "site main"])
def test_missing_section(place, section):
    kind = section.split()[0]
    text = re.sub(rf"(?s)\[{section}\].*?(?=\n\[|\Z)", "", GOOD)
    if kind == "site":
        text = re.sub(r"(?s)\[route main.*?(?=\n\[)", "", text)
    _, done = check(place, text)
    assert done.returncode == 1
    assert f"[{kind}]" in done.stdout + done.stderr


def test_all_errors_at_once(place):
    text = GOOD.replace("max_requests = 4", "max_request = 4").replace(
        "pool = app\n", "pool = apq\n").replace("[gateway]\n", "[gateway]\nwriter = no\n")
    path, done = check(place, text)
    messages = [line for line in (done.stdout + done.stderr).splitlines()
                if line.startswith(f"{path}:")]
    assert done.returncode == 1
    assert len(messages) == 3, messages
    numbers = [int(message[len(str(path)) + 1:].split(":")[0]) for message in messages]
    assert numbers == sorted(numbers), "not in the order of the file"


def test_run_refuses_what_check_refuses(place):
    path = write_file(place / "bad.ini", GOOD.replace("max_requests", "max_request").replace(
        "{place}", str(place)))
    done = run_h2cgi("run", "-c", str(path))
    assert done.returncode == 1
    assert f"{path}:" in done.stderr


def test_errors_in_includes_name_the_included_file(place):
    write_file(place / "parts/one.ini", "[pool extra]\nconnect = unix:/x\nkeepalife = 2\n")
    text = GOOD.replace("[gateway]\n", "[gateway]\ninclude = {place}/parts/*.ini\n")
    _, done = check(place, text)
    assert done.returncode == 1
    assert f"{place}/parts/one.ini:3:" in done.stdout + done.stderr
    assert "keepalive" in done.stdout + done.stderr


def test_two_thousand_sites_load_in_a_second(place):
    """Of CPU time, whatever else the machine does; what a sanitizer costs is allowed for."""
    def cpu_s():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    sites = "".join(f"[site s{i}]\nhost = s{i}.example.net\nroot = {place}/public\n"
                    f"[route s{i} /app/]\npool = app\n" for i in range(2000))
    begin = cpu_s()
    _, done = check(place, GOOD + sites)
    taken = cpu_s() - begin
    assert done.returncode == 0, done.stderr
    assert taken < (10 if os.environ.get("H2CGI_SAN") else 2), f"{taken:.2f} s"


class TestCertificates:
    """A TLS site's files, each way of being wrong."""

    TEXT = GOOD.replace("address = 127.0.0.1:8099", "address = 127.0.0.1:8099\ntls = on")

    def check(self, place, cert, key):
        text = self.TEXT.replace(
            "[site main]", f"[site main]\ncertificate = {cert}\ncertificate_key = {key}")
        return check(place, text)

    def assert_fails(self, place, cert, key, *words):
        path, done = self.check(place, cert, key)
        messages = done.stdout + done.stderr
        assert done.returncode == 1, messages
        assert f"{path}:" in messages
        for word in words:
            assert re.search(word, messages), messages

    @pytest.mark.parametrize("kind", ["ec", "rsa"])
    def test_good(self, place, kind):
        made = AUTHORITY.get("example.org", kind=kind)
        _, done = self.check(place, made.cert, made.key)
        assert done.returncode == 0, done.stderr

    def test_missing_certificate(self, place):
        made = AUTHORITY.get("example.org")
        self.assert_fails(place, place / "no.pem", made.key, "no.pem", "No such file|missing")

    def test_missing_key(self, place):
        made = AUTHORITY.get("example.org")
        self.assert_fails(place, made.cert, place / "no.key", "no.key", "No such file|missing")

    def test_key_not_pem(self, place):
        made = AUTHORITY.get("example.org")
        bad = write_file(place / "bad.key", "not a key\n")
        self.assert_fails(place, made.cert, bad, "bad.key", "PEM")

    def test_certificate_not_pem(self, place):
        made = AUTHORITY.get("example.org")
        bad = write_file(place / "bad.pem", b"\x30\x82binary")
        self.assert_fails(place, bad, made.key, "bad.pem", "PEM")

    def test_mismatched(self, place):
        one, other = AUTHORITY.get("example.org"), AUTHORITY.get("example.net")
        self.assert_fails(place, one.cert, other.key, "match")

    def test_mismatched_kinds(self, place):
        one = AUTHORITY.get("example.org", kind="ec")
        other = AUTHORITY.get("example.org", kind="rsa")
        self.assert_fails(place, one.cert, other.key, "match")

    def test_directory(self, place):
        made = AUTHORITY.get("example.org")
        self.assert_fails(place, place, made.key, str(place))

    def test_unreadable(self, place):
        import os
        from lib.gateway import is_root
        made = AUTHORITY.get("example.org")
        key = write_file(place / "secret.key", made.key.read_bytes())
        key.chmod(0)
        text = self.TEXT.replace("[site main]", f"[site main]\ncertificate = {place}/c.pem\n"
                                 f"certificate_key = {key}")
        write_file(place / "c.pem", made.cert.read_bytes())
        path = write_file(place / "checked.ini", text.replace("{place}", str(place)))
        os.chmod(place, 0o755)
        prefix = ["setpriv", "--reuid", "nobody", "--clear-groups"] if is_root() else []
        done = run_h2cgi("check", "-c", str(path), prefix=prefix)
        assert done.returncode == 1
        assert "secret.key" in done.stderr + done.stdout
        assert re.search("Permission denied|unreadable", done.stderr + done.stdout)
