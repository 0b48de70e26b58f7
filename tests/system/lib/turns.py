"""What a pass of scripts/check leaves to others: by names, so that it is the same each time.

H2CGI_WRITER  writer mode of the gateways: auto, always; mixed: the file's name decides; rest:
              always, and only the files where mixed has auto
H2CGI_QUICK   two: each test over h1 and h2, which are both protocols and both transports, and
              over the other two only where it has no such twin
              one: each over one of its protocols, in turn
              each: each test once, with one of all its rows
"""
import os
import re
import zlib

PROTOCOL = re.compile(r"(?<=[\[-])(h1s|h2c|h1|h2)(?=[\]-])")


def turn(name, n):
    return zlib.crc32(name.encode()) % n


def writer():
    """The mode of a gateway that the running test, or its fixture, starts."""
    mode = os.environ.get("H2CGI_WRITER", "auto")
    if mode == "mixed":
        return mixed(os.environ.get("PYTEST_CURRENT_TEST", ""))
    return "always" if mode == "rest" else mode


def mixed(nodeid):
    return ("auto", "always")[turn(os.path.basename(nodeid.split("::")[0]), 2)]


def left_out(nodeids):
    """Those that this pass does not run."""
    gone = set()
    quick = os.environ.get("H2CGI_QUICK")
    if quick == "one":
        gone |= all_but_one(nodeids, lambda nodeid: PROTOCOL.sub("*", nodeid))
    elif quick == "each":
        gone |= all_but_one(nodeids, lambda nodeid: nodeid.partition("[")[0])
    elif quick:
        gone |= {nodeid for nodeid in nodeids if has_twin(nodeid, nodeids)}
    if os.environ.get("H2CGI_WRITER") == "rest":
        gone |= {nodeid for nodeid in nodeids if mixed(nodeid) == "always"}
    return gone


def has_twin(nodeid, nodeids):
    twin = PROTOCOL.sub(lambda found: found[0][:2], nodeid)
    return twin != nodeid and twin in nodeids


def all_but_one(nodeids, name_of):
    """Of those that have one name."""
    rows = {}
    for nodeid in sorted(nodeids):
        rows.setdefault(name_of(nodeid), []).append(nodeid)
    return {nodeid for name, same in rows.items()
            for i, nodeid in enumerate(same) if i != turn(name, len(same))}
