"""HTTP/2 attacks at the default budgets:  /usr/bin/python3 tests/bench/attacks.py

One after the other over TLS and h2c, each until its connection is ended, with what the gateway
spent on it, its memory before and after, and the slowest answer that a client beside it had.
"""
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/system"), str(ROOT / "tests")]

from lib import proc  # noqa: E402
from lib.attacks import ATTACKS, run  # noqa: E402
from lib.gateway import Gateway  # noqa: E402
from peers.fcgi import Backend, hello, keeping  # noqa: E402

FRAMES = 3000
MEMORY = 4 << 20
HEAD = """| attack | over | ended with | CPU ms | PSS KiB before | after | beside it, ms | requests begun |
|---|---|---|---|---|---|---|---|"""


def row(outcome, started):
    code = outcome.code if outcome.code is not None else "reset"
    return (f"| {outcome.name} | {outcome.proto} | {code} | {outcome.cpu_ms} "
            f"| {outcome.pss_before >> 10} | {outcome.pss_after >> 10} "
            f"| {outcome.slowest_ms:.1f} | {started} |")


def measure(place):
    (place / "public").mkdir()
    (place / "public/index.html").write_text("front")
    (place / "public/big").write_bytes(b"x" * (1 << 20))
    with Backend(str(place / "app.sock"), keeping(hello)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            request_body = spool
            [pool app]
            connect = unix:{place}/app.sock
            queue = 1000
            """) as gateway:
            for proto in ("h2", "h2c"):
                gateway.fetch(proto, "/app/x")
            for attack in ATTACKS:
                for proto in ("h2", "h2c"):
                    begun = len(backend.requests)
                    outcome = run(gateway, proto, attack, FRAMES, MEMORY)
                    print(row(outcome, len(backend.requests) - begun), flush=True)


def main():
    proc.become_subreaper()
    place = Path(tempfile.mkdtemp(prefix="h2cgi-", dir="/tmp"))
    place.chmod(0o777)
    print(HEAD)
    try:
        measure(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
