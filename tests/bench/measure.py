"""One measurement: a peer, a workload, with or without access log."""

import re
import shutil
import signal
import subprocess
import threading
import time

import idle
from lib.delay import Delay
from overload import Load
from server import Server

H2LOAD_LIMIT_S = 600


class BadAnswers(Exception):
    """The server did not answer every request with 2xx."""


def h2load(server, workload, requests, log_path=None):
    """{"rps", "seconds"} of a run; latencies go to log_path."""
    command = ["h2load", "-t", "1", "-c", str(workload.clients), "-n", str(requests)]
    command += ["-m", str(workload.streams)] if workload.streams else ["--h1"]
    if log_path:
        command += [f"--log-file={log_path}"]
    command += [f"--header={line}" for line in workload.headers]
    done = subprocess.run(command + [server.url(workload)], text=True, capture_output=True,
                          timeout=H2LOAD_LIMIT_S)
    rate = re.search(r"finished in ([\d.]+)(s|ms|us), ([\d.]+) req/s", done.stdout)
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not rate or not good or int(good.group(1)) != requests:
        raise BadAnswers(f"{server.peer.title}: {' '.join(command)}\n{done.stdout}{done.stderr}"
                         f"{server.logs()}")
    scale = {"s": 1, "ms": 1e-3, "us": 1e-6}[rate.group(2)]
    return {"rps": float(rate.group(3)), "seconds": float(rate.group(1)) * scale}


def p99_ms(log_path):
    with open(log_path) as f:
        times = sorted(int(line.split("\t")[2]) for line in f)
    return times[min(len(times) - 1, len(times) * 99 // 100)] / 1000


def load(peer, workload, log, requests):
    with Server(peer, log) as server:
        if workload.url.startswith("/files/"):
            server.settle()
        # kept connections, caches, allocators: what a server is like after a while
        h2load(server, workload, max(requests // 10, workload.clients))
        latencies = f"{server.place}/latencies"
        before = server.group.cpu_us(), server.apps.cpu_us()
        result = h2load(server, workload, requests, latencies)
        after = server.group.cpu_us(), server.apps.cpu_us()
        return {"cpu_us": (after[0] - before[0]) / requests,
                "app_us": (after[1] - before[1]) / requests,
                "rps": result["rps"], "p99_ms": p99_ms(latencies),
                "pss_mib": server.group.pss_kib() / 1024}


def idle_connections(peer, workload, log, _requests):
    with Server(peer, log) as server:
        for s in idle.connect_many(server.https, 50):
            s.close()
        time.sleep(0.5)
        base_kib, before = server.group.pss_kib(), server.group.cpu_us()
        held = idle.connect_many(server.https, workload.clients)
        time.sleep(1)
        kib, after = server.group.pss_kib(), server.group.cpu_us()
        for s in held:
            s.close()
        return {"cpu_us": (after - before) / workload.clients,
                "kib_each": (kib - base_kib) / workload.clients, "pss_mib": kib / 1024}


def served_waits_ms(server):
    """What the access log says of the waits of requests that were answered 200."""
    with open(f"{server.place}/access.log") as f:
        found = [re.search(r'" 200 .* wait=(\d+)ms', line) for line in f]
    return [int(m.group(1)) for m in found if m]


def overload(peer, workload, log, requests):
    """Always with an access log: it says how long requests waited."""
    with Server(peer, True) as server:
        answers = Load(("127.0.0.1", server.http), workload.url, workload.rate, requests,
                       workload.clients).run()
        until = requests / workload.rate
        begun = min(2, until / 4)  # the queue fills meanwhile
        good = sorted(a.seconds for a in answers if a.status == 200)
        time.sleep(1)  # the log is written in batches
        waits = served_waits_ms(server)
        return {"completed": sum(a.status == 200 and begun <= a.at < until for a in answers) /
                (until - begun),
                "refused": sum(a.status == 503 for a in answers),
                "other": requests - len(good) - sum(a.status == 503 for a in answers),
                "silent": sum(a.status == 503 and not a.retry_after for a in answers),
                "p50_ms": 1000 * good[len(good) // 2] if good else 0,
                "p99_ms": 1000 * good[len(good) * 99 // 100] if good else 0,
                "wait_ms": max(waits) if waits else None}


class Peak(threading.Thread):
    """The most memory of a server while something runs."""

    def __init__(self, group):
        super().__init__(daemon=True)
        self.group, self.kib, self.over = group, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            self.kib = max(self.kib, self.group.pss_kib())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def upload(peer, workload, log, _requests):
    """One body; a client that is connected already would not change what is compared."""
    with Server(peer, log) as server, Delay(server.https, workload.one_way_ms) as delay:
        body = f"{server.place}/upload"
        with open(body, "wb") as f:
            f.truncate(workload.mib << 20)
        command = ["h2load", "-t", "1", "-c", "1", "-n", "1", "-d", body,
                   f"https://127.0.0.1:{delay.port}{workload.url}"]
        before = server.group.cpu_us(), server.apps.cpu_us()
        with Peak(server.group) as peak:
            begun = time.monotonic()
            done = subprocess.run(command, text=True, capture_output=True,
                                  timeout=H2LOAD_LIMIT_S)
            seconds = time.monotonic() - begun
        if not re.search(r"status codes: 1 2xx", done.stdout):
            raise BadAnswers(f"{peer.title}: {' '.join(command)}\n{done.stdout}{done.stderr}"
                             f"{server.logs()}")
        after = server.group.cpu_us(), server.apps.cpu_us()
        return {"seconds": seconds, "mib_s": workload.mib / seconds,
                "cpu_us": after[0] - before[0], "app_us": after[1] - before[1],
                "pss_mib": peak.kib / 1024}


KINDS = {"load": load, "idle": idle_connections, "overload": overload,
         "upload": upload}


def measure(peer, workload, log, requests):
    return KINDS[workload.kind](peer, workload, log, requests)


def calls_per_request(peer, workload, requests):
    """System calls of the server's processes, from a run of their own; None without a tool."""
    if workload.kind != "load":
        return None
    requests = max(requests // 10, workload.clients)
    with Server(peer, False) as server:
        h2load(server, workload, requests)
        pids = ",".join(map(str, server.group.pids()))
        counter = count_with_perf(pids) or count_with_strace(pids)
        if not counter:
            return None
        time.sleep(1)
        h2load(server, workload, requests)
        counter.send_signal(signal.SIGINT)
        text = counter.communicate(timeout=60)[1]
    counted = re.search(r"^\s*(\d+)[, ]+raw_syscalls:sys_enter", text, re.M) or \
        re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+).*total$", text, re.M)
    return int(counted.group(1)) / requests if counted else None


def count_with_perf(pids):
    event = ["perf", "stat", "-x", " ", "-e", "raw_syscalls:sys_enter"]
    if not shutil.which("perf") or subprocess.run(event + ["true"], capture_output=True).returncode:
        return None
    return subprocess.Popen(event + ["-p", pids], text=True, stderr=subprocess.PIPE)


def count_with_strace(pids):
    if not shutil.which("strace"):
        return None
    return subprocess.Popen(["strace", "-f", "-c", *(f"-p{p}" for p in pids.split(","))],
                            text=True, stderr=subprocess.PIPE)


def strace_table(peer, workload, requests):
    """Which calls they are: strace -c as text."""
    requests = max(requests, workload.clients)
    with Server(peer, False) as server:
        h2load(server, workload, max(requests // 10, workload.clients))
        tracer = count_with_strace(",".join(map(str, server.group.pids())))
        time.sleep(1)
        h2load(server, workload, requests)
        tracer.send_signal(signal.SIGINT)
        return tracer.communicate(timeout=60)[1]
