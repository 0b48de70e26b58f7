"""Processes that are replaced: after a number of requests, an age, or a size.  The successor is up
before the old one is told to end, which finishes what it has, and no request fails."""
import concurrent.futures
import os
import re
import threading

import pytest

from lib import proc
from lib.apps import write_file
from lib.h1 import H1
from lib.worker import pool_ini, who

MIB = 1 << 20


class Load:
    """Clients that ask and ask; every answer has to be right."""

    def __init__(self, gateway, n=4):
        self.gateway, self.over = gateway, threading.Event()
        self.pids, self.failures, self.n_answers = set(), [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]

    def run(self):
        with H1(self.gateway.address(), timeout=30) as client:
            while not self.over.is_set():
                answer = client.fetch("GET", "/app/?")
                if answer.status != 200:
                    self.failures.append(answer)
                    return
                self.pids.add(int(answer.body.split()[0]))
                self.n_answers += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def watch_processes(gateway, over, seen):
    """How many there were at a time, as often as one can look.  Nobody may come or go during a
    look: the old one could be gone that was listed, and the new one not be listed yet."""
    spawner = gateway.spawner_pid()
    while not over.is_set():
        before = proc.children(spawner)
        n = len(gateway.pool_pids())
        if proc.children(spawner) == before:
            seen.append(n)


@pytest.mark.threads
@pytest.mark.slow
@pytest.mark.parametrize("key, value, reason", [
    ("max_requests_per_process", 50, "max_requests_per_process"),
    ("max_age", "300ms", "max_age"),
])
def test_under_load(place, start, key, value, reason):
    """Generations of processes; none fails a request, and there never are fewer than asked."""
    gateway = start(pool_ini(place, processes=2, **{key: value}))
    first = set(proc.wait_until(lambda: len(gateway.pool_pids()) == 2 and gateway.pool_pids(),
                                10, "two processes"))
    seen = []
    with Load(gateway) as load:
        watcher = threading.Thread(target=watch_processes, args=(gateway, load.over, seen))
        watcher.start()
        proc.wait_until(lambda: len(load.pids) >= 8 or load.failures, 40, "eight processes")
    watcher.join()
    assert load.failures == []
    assert min(seen) >= 2, "a successor is up before its predecessor ends"
    assert max(seen) <= 4
    gateway.wait_log(rf"pool=app process \d+ to end: {reason}")
    proc.wait_until(lambda: not first & set(gateway.pool_pids()), 10, "the first ones' end")
    assert re.findall(r"pool=app process \d+ ended: (?!exit status 0|signal 15)", gateway.log()) == []


def test_requests_are_counted(place, start):
    """One process at a time, and none has many more than it may."""
    gateway = start(pool_ini(place, max_requests_per_process=5))
    served = {}
    for _ in range(60):
        pid, n = who(gateway)
        served[pid] = n
        # The next one is asked for when the fifth is granted, and is up some time later.
        if n >= 5:
            proc.wait_until(lambda: pid not in gateway.pool_pids(), 10, f"the end of {pid}")
    assert len(served) >= 6
    assert max(served.values()) < 20


def test_it_finishes_what_it_has(place, start):
    """Due while a request is under way: its successor comes up, then it ends."""
    gateway = start(pool_ini(place, processes=2, max_requests_per_process=1))
    first = proc.wait_until(lambda: len(gateway.pool_pids()) == 2 and gateway.pool_pids(), 10,
                            "two processes")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        held = threads.submit(who, gateway, f"wait={place}/go", timeout=30)
        proc.wait_until((place / "go.here").exists, 10, "the request")
        old = int((place / "go.here").read_text())
        proc.wait_until(lambda: [pid for pid in gateway.pool_pids() if pid not in first], 10,
                        "the successor")
        for _ in range(3):
            assert who(gateway, timeout=20)[0] != old
        assert proc.alive(old), "it has a request yet"
        write_file(place / "go", "")
        assert held.result() == (old, 1)
    proc.wait_until(lambda: not proc.alive(old), 10, "its end")


@pytest.mark.slow
def test_memory(place, start):
    """Resident: the spawner looks every two seconds."""
    gateway = start(pool_ini(place, max_memory="64M"))
    pid, _ = who(gateway)
    assert who(gateway, "grow=80")[0] == pid
    gateway.wait_log(rf"pool=app process {pid} is over max_memory: \d+ K resident")
    gateway.wait_log(rf"pool=app process {pid} to end: max_memory")
    proc.wait_until(lambda: not proc.alive(pid), 10, "its end")
    assert who(gateway)[0] != pid
    with pytest.raises(AssertionError):  # the next one is small, and stays
        gateway.wait_log("to end: max_memory", since=gateway.mark(), timeout=2.5)


@pytest.mark.slow
def test_memory_of_a_child(place, start):
    """That of a helper counts as well: it is one of the process's session."""
    gateway = start(pool_ini(place, max_memory="64M"))
    pid, _ = who(gateway)
    who(gateway, "child=80")
    gateway.wait_log(rf"pool=app process {pid} is over max_memory")
    proc.wait_until(lambda: not proc.alive(pid), 10, "its end")


def test_idle_successors_are_not_piled_up(place, start):
    """max_age without requests: one follows the other, two at most at a time."""
    gateway = start(pool_ini(place, max_age="200ms"))
    proc.wait_until(gateway.pool_pids, 10, "the first")
    seen, over = [], threading.Event()
    watcher = threading.Thread(target=watch_processes, args=(gateway, over, seen))
    watcher.start()
    proc.wait_until(lambda: gateway.log().count("to end: max_age") >= 4, 20, "four ends")
    over.set()
    watcher.join()
    assert max(seen) <= 2 and min(seen) >= 1


def test_on_demand_none_is_replaced_for_nobody(place, start):
    """Above the least number of processes, one that is due just ends."""
    gateway = start(pool_ini(place, processes="0-2", max_age="300ms", idle_timeout="60s"))
    pid, _ = who(gateway)
    proc.wait_until(lambda: gateway.pool_pids() == [], 10, "its end")
    gateway.wait_log(rf"pool=app process {pid} to end: max_age")
    assert who(gateway)[0] != pid


def test_a_successor_that_does_not_come_up(place, start):
    """The old one works on meanwhile."""
    gateway = start(pool_ini(place, f"--fail={place}/bad", max_age="300ms"))
    pid, _ = who(gateway)
    write_file(place / "bad", "")
    gateway.wait_log("told to fail")
    for _ in range(5):
        assert who(gateway)[0] == pid
    os.unlink(place / "bad")
    proc.wait_until(lambda: who(gateway)[0] != pid, 20, "the successor's answer")
