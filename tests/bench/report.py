"""Medians of the rounds, and the tables made of them."""

import datetime
import os
import statistics
import subprocess

import server
from group import Group
from table import PEERS, REFERENCE, WORKLOADS


def medians(rounds):
    """One dict of the rounds' medians; None where a round has no figure."""
    return {key: None if any(r[key] is None for r in rounds) else
            statistics.median(r[key] for r in rounds) for key in rounds[0]}


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


OVERLOAD_HEADS = ("overload", "server", "completed/s", "of what it can", "goal", "refused (503)",
                  "503 without Retry-After", "neither 200 nor 503", "p50 ms", "p99 ms",
                  "longest wait of a 200, ms")


def overload_row(results, name, peer):
    r, w = results[name, peer, False], WORKLOADS[name]
    ours, of = peer != REFERENCE, r["completed"] / w.can
    good = of >= w.goal and r["silent"] == r["other"] == 0 and (
        r["wait_ms"] is None or r["wait_ms"] <= 1000 * w.longest_s)
    return (w.title if ours else "no queue of its own", PEERS[peer].title, number(r["completed"]),
            f"{of:.3f}", "" if not ours else f"{w.goal:.2f} " + ("met" if good else "**missed**"),
            number(r["refused"], 0), number(r["silent"], 0), number(r["other"], 0),
            number(r["p50_ms"]), number(r["p99_ms"]), number(r["wait_ms"], 0))


def overloads(results):
    return [(name, peer) for name, peer, log in results
            if WORKLOADS[name].kind == "overload" and not log]


def overload_table(results):
    return render(OVERLOAD_HEADS, [overload_row(results, *which) for which in overloads(results)])


UPLOAD_HEADS = ("upload", "server", "seconds", "MiB/s", "of the fastest other", "goal",
                "CPU ms", "most memory, PSS MiB", "application CPU ms")


def upload_row(results, name, peer, log):
    r, w = results[name, peer, log], WORKLOADS[name]
    others = [results[key]["seconds"] for key in results
              if key[0] == name and key[2] == log and not key[1].startswith("h2cgi")]
    of = r["seconds"] / min(others) if others and peer.startswith("h2cgi") else None
    goal = "" if of is None else f"{w.goal:.2f} " + ("met" if of <= w.goal else "**missed**")
    return (w.title, PEERS[peer].title, number(r["seconds"], 2), number(r["mib_s"]),
            "" if of is None else f"{of:.2f}", goal, number(r["cpu_us"] / 1000, 0),
            number(r["pss_mib"]), number(r["app_us"] / 1000, 0))


def uploads(results):
    return [key for key in results if WORKLOADS[key[0]].kind == "upload"]


def table(results, log):
    return render(HEADS, [row(results, name, peer, l) for name, peer, l in results
                          if l == log and WORKLOADS[name].kind in ("load", "idle")])


def render(heads, rows):
    """Without the columns that are empty."""
    used = [i for i in range(len(heads)) if any(r[i] for r in rows)]
    lines = [[heads[i] for i in used]] + [[r[i] for i in used] for r in rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text.insert(1, "|---" * len(used) + "|")
    return "\n".join(text)


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if "model name" in line), "?")
    # bbr's timers are most of what a large file costs over the loopback: who listens with what?
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as f:
        congestion = f.read().strip()
    return (f"{len(os.sched_getaffinity(0))} x {model}, Linux {os.uname().release}, "
            f"congestion control {congestion}")


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
        if any(l == log and WORKLOADS[name].kind in ("load", "idle") for name, _, l in results):
            parts += [f"## {title}", "", table(results, log), ""]
    if uploads(results):
        parts += ["## Uploads", "",
                  "One body by h2load through a relay that hands on each byte half a round trip "
                  "later, both ways, with room for all that is under way. Memory is looked at "
                  "every 100 ms.", "",
                  render(UPLOAD_HEADS, [upload_row(results, *key) for key in uploads(results)]),
                  ""]
    if overloads(results):
        w = WORKLOADS[overloads(results)[0][0]]
        parts += ["## Overload", "",
                  f"8 threads that sleep 20 ms each time can do {w.can} requests a second; "
                  f"{w.rate} come, by HTTP/1.1 from {w.clients} clients with an address each, "
                  "whether or not others were answered. A request's time runs from when it was "
                  "due; the goal takes 503s with Retry-After, nothing else but 200, and no wait "
                  "over queue_timeout, too.", "", overload_table(results), ""]
    return "\n".join(parts)
