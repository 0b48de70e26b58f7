"""How long small answers take beside a large one that is being compressed, by the same worker.

    /usr/bin/python3 tests/bench/beside.py [build/h2cgi]

Prose, and two letters by chance, which is what gzip finds hardest, each at the slowest level: a
file of 200 MiB over h2 with TLS; meanwhile 100 bytes over and over, by the same connection and by
one of HTTP/1.1.  Idle: without the large one.
"""
import contextlib
import io
import os
import pathlib
import random
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [f"{ROOT}/tests/system", f"{ROOT}/tests"]
os.environ["H2CGI"] = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else f"{ROOT}/build/h2cgi")

from hyperframe.frame import WindowUpdateFrame  # noqa: E402

from lib import proc  # noqa: E402
from lib.client import dial  # noqa: E402
from lib.gateway import Gateway  # noqa: E402

SIZE, SECONDS, MOST = 200 << 20, 10, 2000
CODINGS = (("gzip", 9), ("br", 7), ("zstd", 9))


def prose(chance):
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(3000)]
    return " ".join(chance.choices(words, k=1 << 17)).encode()


def letters(chance):
    return "".join(chance.choices("ab", k=1 << 20)).encode()


def write_large(path, block):
    with open(path, "wb") as file:
        while file.tell() < SIZE:
            file.write(block)


def timed(client):
    began = time.perf_counter()
    assert client.fetch("GET", "/small").status == 200
    return (time.perf_counter() - began) * 1000


def row(name, times):
    times.sort()
    p50, p99 = (times[int(len(times) * share)] for share in (0.5, 0.99))
    return f"| {name} | {len(times)} | {p50:.1f} | {p99:.1f} | {times[-1]:.1f} |"


def measure(gateway, name, large=None, coding=None):
    """A row for each of the two clients."""
    with dial("h2", gateway) as same, dial("h1", gateway) as other:
        if large:
            same.send(WindowUpdateFrame(0, window_increment=1 << 30))
            number = same.request("GET", large, [("accept-encoding", coding)])
            assert same.wait(lambda: same.body_so_far(number), timeout=60)
        times, until = ([], []), time.monotonic() + SECONDS
        while (time.monotonic() < until and len(times[0]) < MOST
               and not (large and same.streams[number].ended)):
            for client, into in zip((same, other), times):
                into.append(timed(client))
    return [row(f"{name} | {where}", into)
            for into, where in zip(times, ("h2, same connection", "HTTP/1.1, another"))]


def measure_all(place):
    rows = []
    for coding, level in CODINGS:
        with Gateway(place, f"""
                [site main]
                root = {place}/public
                compress = {coding}
                {coding}_level = {level}
                """, workers=1) as gateway:
            rows += [] if rows else measure(gateway, "idle")
            for kind in ("prose", "letters"):
                rows += measure(gateway, f"{coding} {level}, {kind}", f"/{kind}.txt", coding)
    return rows


def main():
    chance = random.Random(5)
    proc.become_subreaper()
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        place.chmod(0o755)
        (place / "public").mkdir()
        (place / "public/small").write_bytes(b"x" * 100)
        write_large(place / "public/prose.txt", prose(chance))
        write_large(place / "public/letters.txt", letters(chance))
        with contextlib.redirect_stdout(io.StringIO()):  # what the gateways said
            rows = measure_all(place)
    print("| beside | client | answers | p50 ms | p99 ms | max ms |", "|---|---|---|---|---|---|",
          *rows, sep="\n")


main()
