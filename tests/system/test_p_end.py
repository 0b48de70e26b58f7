"""How processes are ended: stop_signal, stop_timeout, the group, and what has left it."""
import os
import signal

import pytest

from lib import proc
from lib.apps import write_file, write_script
from lib.gateway import is_root
from lib.h1 import H1
from lib.worker import pool_ini, who


def told(place, name):
    """A program that writes the name of the signal it gets, and ends."""
    return write_script(place / name, f"""\
        #!/usr/bin/perl
        $| = 1;
        for my $name (qw(TERM INT QUIT HUP USR1 USR2)) {{
            $SIG{{$name}} = sub {{ open my $f, ">>", "{place}/told"; print $f "$name\\n"; exit 0 }};
        }}
        open my $up, ">", "{place}/up"; close $up;
        sleep 1 while 1;
        """)


def spawn_ini(place, command, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nspawn = {command}\n{lines}")


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"])
def test_stop_signal(place, start, name):
    gateway = start(spawn_ini(place, told(place, "app"), stop_signal=name))
    proc.wait_until((place / "up").exists, 10, "the process")
    gateway.stop()
    assert (place / "told").read_text() == f"{name}\n"


def test_deaf_process_is_killed(place, start):
    """After stop_timeout; its group had TERM before."""
    gateway = start(pool_ini(place, "--ignore=TERM", stop_timeout="600ms",
                             max_requests_per_process=1))
    pid, _ = who(gateway)
    gateway.wait_log(rf"pool=app process {pid} to end: max_requests_per_process")
    proc.wait_until(lambda: not proc.alive(pid), 10, "its end")
    gateway.wait_log(rf"pool=app process {pid} ended: signal 9 \(SIGKILL\)")
    assert who(gateway)[0] != pid


def test_group_is_told_when_the_process_does_not_tell_it(place, start):
    """A wrapper that waits for its child and hears nothing: the child gets TERM."""
    program = write_script(place / "app", f"""\
        #!/bin/sh
        trap '' TERM
        {told(place, 'child')} &
        wait $!
        exit 0
        """)
    # The child of a shell that ignores TERM sets a handler of its own.
    gateway = start(spawn_ini(place, program, stop_timeout="3s"))
    proc.wait_until((place / "up").exists, 10, "the child")
    gateway.stop()
    assert (place / "told").read_text() == "TERM\n"


def orphan(gateway, place, query=""):
    """A daemon that a process left behind: (its pid, the process's)."""
    pid, _ = who(gateway, f"daemon={place}/daemon{query}", timeout=30)
    made = int((place / "daemon").read_text())
    assert proc.alive(made)
    return made, pid


@pytest.mark.parametrize("how", ["killed", "replaced", "stopped"])
def test_orphans_end_with_their_process(place, start, how):
    """A double fork and a session of its own do not escape."""
    keys = {"max_age": "1s"} if how == "replaced" else {}
    gateway = start(pool_ini(place, **keys))
    left, pid = orphan(gateway, place)
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    if how == "stopped":
        gateway.stop()
    proc.wait_until(lambda: not proc.alive(left), 20, "its end")
    if how != "stopped":
        assert who(gateway, timeout=20)[0] != pid


@pytest.mark.skipif(not is_root(), reason="a user of its own takes root")
def test_orphan_without_environment(place, start):
    """It is known by its user, when the last process of that user has ended."""
    gateway = start(pool_ini(place, user="nobody"))
    left, pid = orphan(gateway, place, "&clean")
    os.kill(pid, signal.SIGKILL)
    proc.wait_until(lambda: not proc.alive(left), 20, "its end")


def test_others_are_not_harmed(place, start):
    """The orphan of one process ends with it, that of another stays."""
    gateway = start(pool_ini(place, processes=2))
    with H1(gateway.address()) as client:
        client.request("GET", f"/app/?wait={place}/go")
        proc.wait_until((place / "go.here").exists, 10, "a process at work")
        busy = int((place / "go.here").read_text())
        left, pid = orphan(gateway, place)  # of the other one
        os.kill(busy, signal.SIGKILL)
        proc.wait_until(lambda: not proc.alive(busy), 10, "its end")
        proc.wait_until(lambda: len(gateway.pool_pids()) == 2, 10, "the next one")
        assert proc.alive(left) and proc.alive(pid)


# ---- scripts ----

def test_slot_is_free_when_all_is_gone(place, start):
    """A client that leaves: the next script runs when the one before and its daemon are gone,
    though they do not heed TERM."""
    write_script(place / "cgi/long", f"""\
        #!/usr/bin/perl
        use POSIX;
        $SIG{{TERM}} = "IGNORE";
        sub put {{ open my $f, ">", "$_[0].new"; print $f $$; close $f; rename "$_[0].new", $_[0] }}
        unless (fork) {{ POSIX::setsid(); fork and exit; put("{place}/daemon"); sleep 1000 }}
        select undef, undef, undef, 0.01 until -e "{place}/daemon";
        put("{place}/script");
        sleep 1000;
        """)
    write_script(place / "cgi/next", f"""\
        #!/bin/sh
        printf 'Content-Type: text/plain\\n\\n'
        kill -0 $(cat {place}/script) 2>&1 || kill -0 $(cat {place}/daemon) 2>&1 || echo gone
        """)
    gateway = start(f"[site main]\nroot = {place}/public\n[route main /cgi/]\npool = scripts\n"
                    f"root = {place}/cgi\n[pool scripts]\ncgi = on\nmax_requests = 1\n")
    with H1(gateway.address()) as client:
        client.request("GET", "/cgi/long")
        proc.wait_until((place / "script").exists, 10, "the script")
        pids = [int((place / name).read_text()) for name in ("script", "daemon")]
    answer = gateway.get("/cgi/next", timeout=30)
    assert answer.body.endswith(b"gone\n"), answer.body
    assert not any(map(proc.alive, pids))


def test_max_requests_bounds_scripts_over_all_runners(place, start):
    """More runners than max_requests: no more scripts than that at once."""
    write_script(place / "cgi/hold", f"""\
        #!/bin/sh
        echo >{place}/held.$$
        until [ -e {place}/go ]; do sleep 0.02; done
        printf 'Content-Type: text/plain\\n\\nok'
        """)
    gateway = start(f"[site main]\nroot = {place}/public\n[route main /cgi/]\npool = scripts\n"
                    f"root = {place}/cgi\n[pool scripts]\ncgi = on\nmax_requests = 2\n"
                    "processes = 5\n")
    proc.wait_until(lambda: len(gateway.pool_pids()) == 5, 10, "five runners")
    clients = [H1(gateway.address()) for _ in range(6)]
    for client in clients:
        client.request("GET", "/cgi/hold")
    proc.wait_until(lambda: len(list(place.glob("held.*"))) >= 2, 10, "two scripts")
    assert gateway.get("/missing").status == 404  # time in which a third would have started
    assert len(list(place.glob("held.*"))) == 2
    write_file(place / "go", "")
    for client in clients:
        assert client.response().body == b"ok"
        client.close()
