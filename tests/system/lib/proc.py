"""Processes as /proc shows them, and waiting for a state instead of sleeping."""
import ctypes
import os
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36

LIBC = ctypes.CDLL(None, use_errno=True)


def become_subreaper():
    """Orphans of everything we start become our children, so leftovers are seen."""
    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def ending_with_parent(*command):
    """The command, which gets SIGTERM when the test run is killed.  By a program in front of it:
    with a preexec_fn all memory of the tests would be copied for each start."""
    return ["setpriv", "--pdeathsig", "TERM", *command]


def wait_until(condition, timeout=10, what="condition", every=0.01):
    """The first true value of condition(); AssertionError once timeout seconds are over, with
    what, or with what it returns."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(every)


def stat_fields(pid):
    """Fields of /proc/PID/stat from the state on, or None if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def state(pid):
    """'R', 'S', 'Z' ..., or '' if the process is gone."""
    fields = stat_fields(pid)
    return fields[0] if fields else ""


def alive(pid):
    return state(pid) not in ("", "Z", "X")


def identity(pid):
    """pid and start time: what stays true of one process when its number is used again."""
    fields = stat_fields(pid)
    return (pid, fields[19]) if fields else None


def children(pid):
    """Direct children, zombies included."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return found
    for task in tasks:
        try:
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [int(child) for child in text.split()]
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found.append(child)
        found += descendants(child)
    return found


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def n_threads(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def thread_names(pid):
    names = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            names.append(Path(f"/proc/{pid}/task/{task}/comm").read_text().strip())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return names


def descriptors(pid):
    """What each open descriptor points to, {number: target}."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            pass
    return found


def uid(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    raise AssertionError(f"no Uid line for {pid}")


def pss(pid):
    """Proportional set size in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no Pss line for {pid}")


def reap(pids):
    """Collect those of our own adopted children in pids that have ended."""
    for pid in pids:
        if state(pid) == "Z":
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
