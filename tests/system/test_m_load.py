"""h2load on a FastCGI hello: every answer counts, nothing hangs."""
import re
import subprocess

import pytest

from lib.apps import app, need

# clients, streams each
SHAPES = [(32, 32), (256, 1)]

pytestmark = [pytest.mark.timeout(900)]


def sizes(small):
    return [pytest.param(small, id=str(small)),
            pytest.param(100000, id="100000", marks=pytest.mark.heavy)]


def hello_site(place, threads, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /hello/]\npool = hello\n"
            f"[pool hello]\nspawn = {app('hello')} --threads {threads}\n"
            f"requests_per_process = {threads}\n{lines}")


def h2load(gateway, proto, n, clients, streams):
    """{'2xx': n, ..., 'failed': n, 'errored': n, 'timeout': n} as h2load counts them."""
    run = subprocess.run(
        [need("h2load"), "-n", str(n), "-c", str(clients), "-m", str(streams),
         gateway.url(proto, "/hello/x")], capture_output=True, text=True, timeout=800)
    found = {}
    for count, name in re.findall(r"(\d+) (2xx|3xx|4xx|5xx|failed|errored|timeout)", run.stdout):
        found[name] = int(count)
    print(run.stdout)
    assert "2xx" in found, run.stdout + run.stderr
    return found


@pytest.mark.slow
@pytest.mark.threads
@pytest.mark.parametrize("proto", ["h2", "h2c"])
@pytest.mark.parametrize("clients, streams", SHAPES)
@pytest.mark.parametrize("threads", [4, 64])
@pytest.mark.parametrize("n", sizes(5000))
def test_every_answer_is_2xx(place, start, proto, clients, streams, threads, n):
    gateway = start(hello_site(place, threads, max_requests=threads, queue=2048,
                               queue_timeout="60s"))
    counts = h2load(gateway, proto, n, clients, streams)
    assert counts["2xx"] == n, counts
    assert counts["failed"] == counts["errored"] == counts["timeout"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("proto", ["h2", "h2c"])
@pytest.mark.parametrize("n", sizes(5000))
def test_short_queue_refuses_and_the_counts_add_up(place, start, proto, n):
    """Only 200 and 503; the access log has one line for each."""
    gateway = start(hello_site(place, 4, max_requests=4, queue=16, queue_timeout="60s"))
    counts = h2load(gateway, proto, n, 32, 32)
    assert counts["2xx"] + counts["5xx"] == n
    assert counts["3xx"] == counts["4xx"] == counts["errored"] == counts["timeout"] == 0
    gateway.stop()
    statuses = [re.search(r'" (\d{3}) ', line)[1] for line in gateway.access_lines()]
    assert len(statuses) == n
    assert statuses.count("200") == counts["2xx"]
    assert statuses.count("503") == counts["5xx"]
    assert counts["2xx"] >= 4


@pytest.mark.slow
def test_http1_load(place, start):
    """h2load speaks HTTP/1.1 too: keep-alive connections, both ports."""
    gateway = start(hello_site(place, 4, queue=2048, queue_timeout="60s"))
    for proto in ("h1", "h1s"):
        run = subprocess.run([need("h2load"), "--h1", "-n", "3000", "-c", "32",
                              gateway.url(proto, "/hello/x")],
                             capture_output=True, text=True, timeout=300)
        assert "status codes: 3000 2xx" in run.stdout, run.stdout
