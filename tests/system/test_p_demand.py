"""Processes on demand: started when requests wait, ended when there are none."""
import concurrent.futures
import os
import re
import signal

import pytest

from lib import proc
from lib.apps import write_file
from lib.h1 import H1
from lib.worker import pool_ini, who


def n_processes(gateway):
    return len(gateway.pool_pids())


def wait_processes(gateway, n, timeout=20):
    proc.wait_until(lambda: n_processes(gateway) == n, timeout, f"{n} processes")


class Held:
    """Requests under way, each in a thread, until let go."""

    def __init__(self, gateway, place):
        self.gateway, self.place = gateway, place
        self.threads = concurrent.futures.ThreadPoolExecutor(16)
        self.answers = []

    def hold(self, name):
        """A request that its process has, and does not end."""
        self.ask(f"wait={self.place}/{name}")
        proc.wait_until((self.place / f"{name}.here").exists, 20, f"request {name}")

    def ask(self, query=""):
        self.answers.append(self.threads.submit(who, self.gateway, query, timeout=40))
        return self.answers[-1]

    def let_go(self, *names):
        for name in names:
            write_file(self.place / name, "")

    def results(self):
        return [answer.result() for answer in self.answers]


@pytest.fixture
def held(place):
    made = []

    def make(gateway):
        made.append(Held(gateway, place))
        return made[-1]

    yield make
    for each in made:
        each.threads.shutdown()


@pytest.mark.threads
def test_from_none_and_back(place, start):
    gateway = start(pool_ini(place, processes="0-3", idle_timeout="300ms"), error_level="info")
    assert gateway.pool_pids() == []
    for _ in range(2):
        pid, _ = who(gateway)
        assert gateway.pool_pids() == [pid]
        wait_processes(gateway, 0)
    gateway.wait_log(r"pool=app process wanted in slot \d+: requests wait")
    gateway.wait_log(r"pool=app process \d+ to end: idle_timeout")


@pytest.mark.threads
def test_one_for_each_request_at_once(place, start, held):
    gateway = start(pool_ini(place, processes="0-3", idle_timeout="300ms"))
    some = held(gateway)
    for name in "abc":
        some.hold(name)
    assert n_processes(gateway) == 3
    fourth = some.ask()
    some.let_go("b")
    assert fourth.result()[1] == 2, "the fourth request goes to the process that is free"
    some.let_go("a", "c")
    assert len({pid for pid, _ in some.results()}) == 3
    wait_processes(gateway, 0)


def test_down_to_the_least(place, start, held):
    gateway = start(pool_ini(place, processes="1-3", idle_timeout="300ms"))
    wait_processes(gateway, 1)
    some = held(gateway)
    for name in "abc":
        some.hold(name)
    some.let_go(*"abc")
    some.results()
    wait_processes(gateway, 1)
    (pid,) = gateway.pool_pids()
    assert who(gateway)[0] == pid


def test_few_requests_need_one_process(place, start):
    """One after the other they go to the same, so that the others can end."""
    gateway = start(pool_ini(place, processes="0-4", keepalive=0))
    assert len({who(gateway)[0] for _ in range(20)}) == 1
    assert n_processes(gateway) == 1


def test_requests_wait_for_a_slow_starter(place, start, held):
    """In its backlog: queue_timeout is not theirs."""
    gateway = start(pool_ini(place, f"--pause={place}/go", processes="0-2",
                             queue_timeout="100ms"))
    some = held(gateway)
    some.ask()
    some.ask()
    wait_processes(gateway, 2)
    some.let_go("go")
    assert [n for _, n in some.results()] == [1, 1]


def test_nobody_waits_for_a_slow_starter_while_another_is_up(place, start, held):
    """The second process is started and does not come up; the first serves on."""
    gateway = start(pool_ini(place, f"--pause={place}/go", processes="0-2"))
    some = held(gateway)
    some.ask()
    wait_processes(gateway, 1)
    some.let_go("go")
    (first,) = [pid for pid, _ in some.results()]
    os.unlink(place / "go")
    some.hold("a")
    second = some.ask()
    wait_processes(gateway, 2)
    some.let_go("a")
    assert second.result()[0] == first
    some.let_go("go")


def test_one_that_fails_is_tried_alone(place, start):
    """While one does not come up the others would not either; and who asks hears of it."""
    write_file(place / "bad", "")
    gateway = start(pool_ini(place, f"--fail={place}/bad", processes="0-4"),
                    error_level="info")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: gateway.get("/app/", timeout=40), range(4)))
    assert {answer.status for answer in answers} <= {502, 503, 504}
    gateway.wait_log(r"pool=app process \d+ ended: exit status 3, restarted in \d+ ms; "
                     r"its last line: told to fail")
    mark = gateway.mark()
    proc.wait_until(lambda: gateway.get("/app/").status == 503, 20, "a refusal")
    gateway.wait_log("restarted in 1600 ms")
    assert "slot 1" not in gateway.log(mark)
    os.unlink(place / "bad")
    proc.wait_until(lambda: gateway.get("/app/").status == 200, 20, "an answer")


@pytest.mark.slow
def test_start_timeout(place, start):
    """One that never accepts is ended, said so, and tried again later and later."""
    gateway = start(pool_ini(place, f"--pause={place}/never", processes=1,
                             start_timeout="300ms", stop_timeout="300ms"))
    gateway.wait_log(r"pool=app process \d+ took no connection within start_timeout, 300 ms")
    gateway.wait_log(r"pool=app process \d+ ended: signal .*restarted in 100 ms")
    gateway.wait_log(r"restarted in 400 ms")
    write_file(place / "never", "")
    proc.wait_until(lambda: gateway.get("/app/").status == 200, 20, "an answer")


def test_busy_process_is_not_taken_for_one_that_does_not_start(place, start, held):
    """Its first answer takes longer than start_timeout, and others wait in its backlog."""
    gateway = start(pool_ini(place, processes=1, start_timeout="1500ms",
                             requests_per_process=4))
    some = held(gateway)
    some.hold("a")
    for _ in range(3):
        some.ask()
    # Time for it to be ended in, were it to be: there is no state to wait for.
    with pytest.raises(AssertionError):
        gateway.wait_log("start_timeout", timeout=2)
    some.let_go("a")
    assert len({pid for pid, _ in some.results()}) == 1


def test_new_gateway_takes_processes_over(place, start):
    gateway = start(pool_ini(place, processes="0-3", idle_timeout="500ms"))
    gateway.restarts_expected = True
    pid, _ = who(gateway)
    os.kill(gateway.gateway_pid(), signal.SIGKILL)
    assert who(gateway) == (pid, 2)
    wait_processes(gateway, 0)


def test_new_spawner_starts_what_is_wanted(place, start):
    gateway = start(pool_ini(place, processes="0-2"))
    pid, _ = who(gateway)
    old = gateway.spawner_pid()
    os.kill(old, signal.SIGKILL)
    proc.wait_until(lambda: gateway.spawner_pid() not in (None, old), 10, "a spawner")
    proc.wait_until(lambda: gateway.get("/app/").status == 200, 10, "an answer")
    assert who(gateway)[0] != pid


def test_client_that_leaves_the_queue_leaves_no_process(place, start):
    """A start that nobody needs any more ends after idle_timeout like any other."""
    gateway = start(pool_ini(place, f"--pause={place}/go", processes="0-2",
                             idle_timeout="300ms"))
    with H1(gateway.address()) as client:
        client.request("GET", "/app/")
        wait_processes(gateway, 1)
    write_file(place / "go", "")
    wait_processes(gateway, 0)


def test_burst(place, start):
    """Many at once from none: every one is answered, by no more than there may be."""
    gateway = start(pool_ini(place, processes="0-4", idle_timeout="300ms"))
    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(lambda _: who(gateway, timeout=40), range(120)))
    assert len(answers) == 120
    assert 1 <= len({pid for pid, _ in answers}) <= 4
    wait_processes(gateway, 0)
    assert not re.search(r"\b(error|warn) ", gateway.log())


def test_scripts_on_demand(place, start):
    """Runners, too."""
    script = place / "cgi/hi"
    write_file(script, "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhi'\n")
    script.chmod(0o755)
    gateway = start(f"[site main]\nroot = {place}/public\n[route main /cgi/]\npool = scripts\n"
                    f"root = {place}/cgi\n[pool scripts]\ncgi = on\nprocesses = 0-4\n"
                    "idle_timeout = 300ms\n")
    assert gateway.pool_pids() == []
    assert gateway.get("/cgi/hi").body == b"hi"
    assert n_processes(gateway) == 1
    wait_processes(gateway, 0)
    assert gateway.get("/cgi/hi").body == b"hi"
