"""A set of processes and the CPU time they used, ended ones too: a cpuacct (v1) or v2 cgroup
where one can be made, else /proc."""

import glob
import os
import signal
import time

V1 = "/sys/fs/cgroup/cpuacct"
V2 = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")


class Group:
    kind = "none yet"

    def __init__(self, name):
        self.roots = []
        self.path = None
        for base, usage in ((V1, "cpuacct.usage"), *((b, "cpu.stat") for b in V2)):
            path = f"{base}/h2cgi-bench-{os.getpid()}-{name}"
            try:
                os.mkdir(path)
            except OSError:
                continue
            if os.path.exists(f"{path}/{usage}"):
                self.path, self.usage = path, usage
                break
            os.rmdir(path)
        Group.kind = f"cgroup {self.usage}" if self.path else "/proc"

    def enter(self):
        """In the child, before exec."""
        if self.path:
            with open(f"{self.path}/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))

    def add(self, pid):
        """In the parent: needed where there is no cgroup."""
        self.roots.append(pid)

    def pids(self):
        if self.path:
            with open(f"{self.path}/cgroup.procs") as f:
                return sorted(map(int, f.read().split()))
        found, queue = [], [p for p in self.roots if self.running(p)]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for path in glob.glob(f"/proc/{pid}/task/*/children"):
                with open(path) as f:
                    queue += map(int, f.read().split())
        return sorted(found)

    def cpu_us(self):
        if not self.path:
            return sum(map(self.stat_us, self.pids()))
        with open(f"{self.path}/{self.usage}") as f:
            text = f.read()
        if self.usage == "cpuacct.usage":
            return int(text) // 1000
        return int(text.split("usage_usec", 1)[1].split()[0])

    @staticmethod
    def stat_us(pid):
        """User and system time of a process and of its children that were waited for."""
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0
        return sum(map(int, fields[11:15])) * TICK_US

    def pss_kib(self):
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            except (OSError, StopIteration):
                pass
        return total

    def end(self):
        """TERM to what was started here; KILL to what is left once that ended (fcgiwrap leaves
        its children); then the cgroup goes."""
        for pid in self.roots:
            self.signal(pid, signal.SIGTERM)
        self.wait(lambda: not any(map(self.running, self.roots)), 10)
        for pid in self.pids():
            self.signal(pid, signal.SIGKILL)
        self.wait(lambda: not self.pids(), 5)
        if self.path:
            os.rmdir(self.path)

    @staticmethod
    def signal(pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass

    @staticmethod
    def running(pid):
        try:
            return not os.waitpid(pid, os.WNOHANG)[0]
        except ChildProcessError:
            return False

    @staticmethod
    def wait(condition, limit_s):
        deadline = time.monotonic() + limit_s
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
