"""What make builds again."""
import os
import subprocess

from lib.gateway import ROOT


def make(build, flags):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "SAN")}
    object_file = f"{build}/obj/gateway/slice.o"
    done = subprocess.run(["make", "-s", f"B={build}", f"CFLAGS={flags}", object_file], cwd=ROOT,
                          env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return os.stat(object_file).st_mtime_ns


def test_what_other_flags_change_is_built_again(tmp_path):
    first = make(tmp_path, "-g0")
    assert make(tmp_path, "-g0") == first
    assert make(tmp_path, "-g") != first
