"""Medians of the rounds, and the tables made of them."""

import datetime
import os
import statistics
import subprocess

import server
from group import Group
from table import PEERS, REFERENCE, WORKLOADS


def medians(rounds):
    """One dict of the rounds' medians."""
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def figure(workload):
    """What a goal is about."""
    return "kib_each" if workload.kind == "idle" else "cpu_us"


def number(value, digits=1):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{digits}f}"


def ratio(results, name, peer, log):
    """Of the reference's figure; None where one is missing."""
    ours, theirs = (results.get((name, p, log)) for p in (peer, REFERENCE))
    if peer == REFERENCE or not ours or not theirs:
        return None
    key = figure(WORKLOADS[name])
    return ours[key] / theirs[key]


HEADS = ("workload", "server", "CPU us/request", "of " + REFERENCE, "goal", "requests/s", "p99 ms",
         "PSS MiB", "KiB/connection", "system calls/request", "application CPU us")


def row(results, name, peer, log):
    r, w = results[name, peer, log], WORKLOADS[name]
    of = ratio(results, name, peer, log)
    goal = f"{w.goal:.2f}" if of is not None and not log else ""
    met = "" if not goal else " met" if of <= w.goal else " **missed**"
    return (w.title, PEERS[peer].title, number(r["cpu_us"]), "" if of is None else f"{of:.2f}",
            goal + met, number(r.get("rps")), number(r.get("p99_ms"), 2), number(r["pss_mib"]),
            number(r.get("kib_each")), number(r.get("calls"), 2), number(r.get("app_us")))


def table(results, log):
    rows = [row(results, name, peer, log) for name, peer, l in results if l == log]
    used = [i for i in range(len(HEADS)) if any(r[i] for r in rows)]
    lines = [[HEADS[i] for i in used]] + [[r[i] for i in used] for r in rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text.insert(1, "|---" * len(used) + "|")
    return "\n".join(text)


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if "model name" in line), "?")
    return f"{len(os.sched_getaffinity(0))} x {model}, Linux {os.uname().release}"


def document(results, command, rounds):
    peers = dict.fromkeys(peer for _, peer, _ in results)
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True,
                            capture_output=True, cwd=server.ROOT).stdout.strip()
    parts = ["# Measured", "", f"    {command}", "",
             f"{day}, commit {commit}, {machine()}; " +
             ", ".join(server.version(PEERS[p]) for p in peers) +
             f"; median of {rounds} round{'s' if rounds > 1 else ''}, the servers in turn, each "
             "freshly started.", "",
             f"CPU is that of all processes of the server, ended ones too ({Group.kind}), without "
             "the FastCGI application, which is the same for all and in its own column. System "
             "calls are counted in a run of their own. Configurations: `tests/bench/*.conf`, "
             "`tests/bench/*.ini`; goals are for the run without access log, CPU per request, "
             "for idle connections memory per connection.", ""]
    for log, title in ((False, "Without access log"), (True, "With access log")):
        if any(l == log for _, _, l in results):
            parts += [f"## {title}", "", table(results, log), ""]
    return "\n".join(parts)
