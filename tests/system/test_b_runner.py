"""h2cgi-run: what a script is given, scripts that cannot be run, its command line."""
import os
import signal
import subprocess

import pytest

from fcgi_client import RUNNER
from lib.runner import environment, runner, wait_for  # noqa: F401


# ---- what a script is given ----

ENV = "printf 'Content-Type: text/plain\\n\\n'; exec cat /proc/self/environ\n"


def test_environment_is_the_process_s_with_parameters_over_it(runner):
    r = runner(env={"HOME": "/nonexistent", "BOTH": "process", "TZ": "UTC"})
    env = environment(r.get(r.sh("env", ENV), BOTH="parameter", EMPTY="", HTTP_X_A="a=b c"))
    assert env["HOME"] == "/nonexistent" and env["TZ"] == "UTC"
    assert env["BOTH"] == "parameter"
    assert env["EMPTY"] == "" and env["HTTP_X_A"] == "a=b c"
    assert env["GATEWAY_INTERFACE"] == "CGI/1.1" and env["QUERY_STRING"] == ""
    assert env["PATH"] == os.environ["PATH"]


def test_parameter_path_and_large_value(runner):
    r = runner()
    env = environment(r.get(r.sh("env", ENV), PATH="/bin:/usr/bin", LARGE="x" * 100000))
    assert env["PATH"] == "/bin:/usr/bin" and env["LARGE"] == "x" * 100000


def test_proxy_header_does_not_become_http_proxy(runner):
    r = runner(env={"HTTP_PROXY": "http://ours"})
    env = environment(r.get(r.sh("env", ENV), HTTP_PROXY="http://evil"))
    assert env["HTTP_PROXY"] == "http://ours"


def test_many_parameters(runner):
    r = runner()
    many = {f"HTTP_X_{i}": str(i) for i in range(5000)}
    env = environment(r.get(r.sh("env", ENV), **many))
    assert {k: v for k, v in env.items() if k.startswith("HTTP_X_")} == many


def test_too_many_parameters_are_refused(runner):
    r = runner()
    many = {f"HTTP_X_{i}": "x" * 60000 for i in range(30)}
    a = r.get(r.sh("env", ENV), **many)
    assert a.status == 431 and b"too long" in a.stderr


def test_working_directory_and_argv0(runner):
    r = runner()
    path = r.sh("where", 'printf "\\n"; pwd; echo "$0"\n')
    assert r.get(path).text.split() == [str(r.place), str(path)]


ARGS = 'printf "\\n"; for a in "$@"; do printf "[%s]" "$a"; done\n'


@pytest.mark.parametrize("query, method, want", [
    ("one+two", "GET", "[one][two]"),
    ("one+two", "HEAD", "[one][two]"),
    ("one+two", "POST", ""),
    ("a%20b+%2Fc%3d", "GET", "[a b][/c=]"),
    ("a=b+c", "GET", ""),
    ("", "GET", ""),
    ("-s", "GET", ""),
    ("a+-s", "GET", ""),
    ("%2ds", "GET", ""),
    ("a%zz", "GET", ""),
    ("a%0", "GET", ""),
    ("a%00b", "GET", ""),
    ("a++b", "GET", ""),
    ("a;b&c|d$(e)", "GET", "[a;b&c|d$(e)]"),
])
def test_arguments(runner, query, method, want):
    r = runner()
    a = r.get(r.sh("args", ARGS), QUERY_STRING=query, REQUEST_METHOD=method)
    assert a.text == want


def test_only_three_descriptors(runner):
    r = runner()
    path = r.sh("fds", "printf '\\n'; ls -l /proc/$$/fd\n")
    with r.client() as other, r.client() as c:  # some more that could leak
        other.send(b"")
        a = c.request(path)
    fds = sorted(x.split("->")[0].split()[-1] for x in a.text.splitlines() if "->" in x)
    # dash has the script itself open
    assert [fd for fd in fds if int(fd) < 10] == ["0", "1", "2"]
    assert " 0 -> /dev/null" in a.text
    assert all(str(path) in x for x in a.text.splitlines() if " 10 ->" in x)


def test_signals_are_as_usual(runner):
    def spoil():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGALRM])

    old = subprocess.Popen

    class Spoilt(old):
        def __init__(self, *args, **options):
            super().__init__(*args, preexec_fn=spoil, restore_signals=False, **options)

    subprocess.Popen = Spoilt
    try:
        r = runner()
    finally:
        subprocess.Popen = old
    a = r.get(r.sh("sig", "printf '\\n'; exec grep -E '^Sig(Blk|Ign)' /proc/self/status\n"))
    assert [x.split()[1] for x in a.text.splitlines()] == ["0" * 16] * 2


def test_umask_is_inherited(runner):
    old = os.umask(0o037)
    try:
        r = runner()
        assert int(r.get(r.sh("umask", "printf '\\n'; umask\n")).text, 8) == 0o037
    finally:
        os.umask(old)


def test_script_by_document_root_and_name(runner):
    r = runner()
    r.sh("by-name", "printf '\\nhere'\n")
    a = r.get(None, SCRIPT_FILENAME=None, DOCUMENT_ROOT=str(r.place), SCRIPT_NAME="/by-name")
    assert a.text == "here"


def test_apache_s_proxy_prefix(runner):
    r = runner()
    path = r.sh("x", "printf '\\nhere'\n")
    assert r.get(f"proxy:fcgi://localhost:9000{path}").text == "here"
    assert r.get(f"proxy:balancer://pool{path}").text == "here"


# ---- scripts that cannot be run ----

def test_missing_script(runner):
    r = runner()
    a = r.get(r.place / "missing")
    assert a.status == 404 and a.app_status == 127
    assert str(r.place / "missing").encode() in a.stderr
    assert r.get(r.place / "no" / "such").status == 404
    assert r.get(r.sh("file", "") / "below").status == 404


def test_not_executable_not_regular(runner):
    r = runner()
    assert r.get(r.script("plain", "x", 0o644)).status == 403
    assert r.get(r.place).status == 403
    os.mkfifo(r.place / "fifo", 0o777)
    assert r.get(r.place / "fifo").status == 403


@pytest.mark.parametrize("text, word", [
    ("#!/no/such/interpreter\n", b"interpreter"), ("no program", b"format"), ("", b"format"),
])
def test_not_a_program(runner, text, word):
    r = runner()
    a = r.get(r.script("bad", text))
    assert a.status == 500 and word in a.stderr and a.app_status == 126


def test_no_script_named(runner):
    r = runner()
    a = r.get(None, SCRIPT_FILENAME=None)
    assert a.status == 500 and b"no SCRIPT_FILENAME" in a.stderr
    assert r.get("relative/path").status == 500


def test_failures_leave_nothing_open(runner):
    r = runner()
    assert r.get(r.place / "missing").status == 404
    before = len(os.listdir(f"/proc/{r.process.pid}/fd"))
    with r.client() as c:
        for i in range(20):
            assert c.request(r.place / "missing", keep=True, body=b"x" * (i % 2)).status == 404
    assert wait_for(lambda: len(os.listdir(f"/proc/{r.process.pid}/fd")) <= before)


# ---- the command ----

def run(*args, **options):
    return subprocess.run([RUNNER, *args], capture_output=True, text=True, timeout=10, **options)


def test_help_and_version():
    assert "--timeout" in run("--help").stdout and run("--help").returncode == 0
    assert run("--version").stdout.startswith("h2cgi-run ")


@pytest.mark.parametrize("arg", ["--nothing", "--timeout=", "--timeout=x", "--timeout=5d",
                                 "--timeout=-1", "--grace", "file"])
def test_bad_options(arg):
    done = run(arg)
    assert done.returncode == 2 and arg in done.stderr


def test_without_a_listening_socket():
    done = run(stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "listening socket" in done.stderr
