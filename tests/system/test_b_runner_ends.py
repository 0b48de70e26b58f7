"""h2cgi-run: how scripts end, and that nothing of them is left."""
import signal
import time

import pytest

from fcgi_client import head
from lib import proc
from lib.runner import runner, wait_for  # noqa: F401
from peers.fcgi import STDIN, record, stream


# ---- the end of scripts ----

STUBBORN = """
import os, signal, time
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
os.write(1, b"\\n")
daemon()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("ready", "w").close()
time.sleep(600)
"""


def test_timeout_ends_script_and_all_it_started(runner):
    r = runner("--timeout=500ms", "--grace=300ms")
    path = r.python("stubborn", STUBBORN)
    start = time.monotonic()
    a = r.get(path)
    assert 0.7 < time.monotonic() - start < 5
    assert a.app_status == 137
    assert str(path).encode() in a.stderr and b"timeout of 0.500 s" in a.stderr
    assert r.scripts() == []


def test_timeout_before_any_output_is_504(runner):
    r = runner("--timeout=200ms", "--grace=5s")
    start = time.monotonic()
    a = r.get(r.sh("sleep", "sleep 600\n"))
    assert a.status == 504 and a.app_status == 143
    assert time.monotonic() - start < 4
    assert r.scripts() == []


def test_timeout_lets_the_script_have_its_last_word(runner):
    r = runner("--timeout=200ms", "--grace=5s")
    path = r.sh("trap", "trap 'echo bye; exit 9' TERM; printf '\\n'; "
                        "while :; do sleep 0.05; done\n")
    a = r.get(path)
    assert a.text == "bye\n" and a.app_status == 9


@pytest.mark.parametrize("way", ["abort", "hang-up"])
def test_abort_ends_script_and_all_it_started(runner, way):
    r = runner("--timeout=60s", "--grace=200ms")
    path = r.python("stubborn", STUBBORN)
    with r.client() as c:
        c.send(head(path, keep=True) + record(STDIN, 1))
        assert wait_for((r.place / "ready").exists)
        assert wait_for(lambda: len(r.scripts()) >= 2)
        if way == "abort":
            c.abort()
            assert c.read_answer().app_status == 137
            assert r.scripts() == []
            assert c.request(r.sh("x", "printf '\\nx'\n"), keep=True).text == "x"
        else:
            c.close()
            assert wait_for(lambda: r.scripts() == [])


def test_abort_with_the_head(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("sleep", "sleep 600\n"), keep=True) + record(STDIN, 1) + record(2, 1))
        assert c.read_answer().app_status in (0, 143)
        c.send(head(r.place / "sleep", number=2, keep=True)[:-8] + record(2, 2))
        assert c.read_answer(2).app_status == 0
        assert c.request(r.sh("x", "printf '\\nx'\n"), keep=True).text == "x"


def test_hang_up_while_the_script_reads_nothing(runner):
    r = runner("--grace=200ms")
    with r.client() as c:
        c.send(head(r.sh("sleep", "printf '\\n'; sleep 600\n"), REQUEST_METHOD="POST"))
        c.read_record()
        c.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            c.send(stream(STDIN, 1, b"x" * (4 << 20)))
    assert wait_for(lambda: r.scripts() == [])


def test_hang_up_while_output_waits(runner):
    r = runner("--grace=200ms")
    with r.client() as c:
        c.send(head(r.sh("yes", "printf '\\n'; yes\n")) + record(STDIN, 1))
        c.read_record()
    assert wait_for(lambda: r.scripts() == [])
    assert r.get(r.sh("x", "printf '\\nx'\n")).text == "x"


def test_silent_background_child_does_not_hold_the_answer(runner):
    r = runner("--timeout=60s")
    start = time.monotonic()
    a = r.get(r.sh("bg", "printf '\\nx'; sleep 600 &\n"))
    assert a.body == b"x" and a.app_status == 0
    assert time.monotonic() - start < 3
    assert r.scripts() != []


def test_daemon_does_not_hold_the_answer_at_all(runner):
    r = runner("--timeout=60s")
    path = r.sh("daemon", "printf '\\nx'; setsid sleep 600 & sleep 0.2\n")
    start = time.monotonic()
    assert r.get(path).body == b"x"
    assert time.monotonic() - start < 1.15


@pytest.mark.parametrize("text, want", [
    ("printf '\\n'; (sleep 0.3; echo a; sleep 0.5; echo b) &\n", "a\nb\n"),
    ("printf '\\n'; seq 1 50000 | cat &\n", "".join(f"{i}\n" for i in range(1, 50001))),
])
def test_background_output_is_complete(runner, text, want):
    r = runner()
    assert r.get(r.sh("bg", text)).text == want


def test_leftovers_end_with_their_request_s_timeout(runner):
    r = runner("--timeout=1500ms", "--grace=200ms")
    left = r.python("left", """
import os, signal, time
os.write(1, b"\\nx")
if os.fork() == 0:
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
""")
    start = time.monotonic()
    assert r.get(left).text == "x"
    assert len(r.scripts()) == 1
    # Others come and go meanwhile, and one that is running then is left alone.
    other = r.sh("other", "printf '\\n'; sleep 0.3; echo y\n")
    while time.monotonic() - start < 2.2:
        assert r.get(other).text == "y\n"
        if time.monotonic() - start < 1:
            assert len(r.scripts()) == 1
    assert wait_for(lambda: r.scripts() == [], 3)


def test_leftovers_without_a_mark_end_too(runner):
    r = runner("--timeout=1s", "--grace=100ms")
    path = r.sh("clean", f"""
        cd {r.place}
        printf '\\n'
        env -i setsid sh -c 'echo $$ >begun; mv begun pid; exec sleep 600' >/dev/null 2>&1 &
        until test -e pid; do sleep 0.01; done
        """)
    assert r.get(path).app_status == 0
    pid = int((r.place / "pid").read_text())
    assert wait_for(lambda: not proc.alive(pid), 5)


def test_abort_leaves_leftovers_of_others_alone(runner):
    r = runner("--timeout=60s", "--grace=100ms")
    r.get(r.sh("left", "printf '\\n'; sleep 600 >/dev/null 2>&1 &\n"))
    assert len(r.scripts()) == 1
    with r.client() as c:
        path = r.sh("wait", "printf '\\n'; setsid sleep 601 & sleep 602\n")
        c.send(head(path, keep=True) + record(STDIN, 1))
        c.read_record()
        assert wait_for(lambda: len(r.scripts()) >= 4)
        c.abort()
        c.read_answer()
    assert len(r.scripts()) == 1


def test_sigterm_ends_everything(runner):
    r = runner("--grace=300ms")
    with r.client() as c:
        c.send(head(r.python("stubborn", STUBBORN)) + record(STDIN, 1))
        assert wait_for((r.place / "ready").exists)
        status, left = r.stop()
    assert (status, left) == (0, [])


def test_sigkill_of_the_runner_ends_the_script(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("sleep", "printf '\\n'; exec sleep 600\n")) + record(STDIN, 1))
        c.read_record()
        r.process.kill()
        assert wait_for(lambda: r.scripts() == [])


def test_sigusr1_ends_after_the_request(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("cat", "printf '\\n'; cat\n"), keep=True))
        c.read_record()
        r.process.send_signal(signal.SIGUSR1)
        c.send(stream(STDIN, 1, b"abc"))
        assert c.read_answer().stdout == b"abc"
        assert r.process.wait(5) == 0
