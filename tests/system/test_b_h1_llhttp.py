"""The list of disagreements with llhttp (tests/fuzz/llhttp_known.h): none of its rows is idle."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from lib.gateway import BINARY, ROOT

BUILD = Path(os.environ.get("H2CGI_BUILD", BINARY.parent))
TARGET = BUILD / "replay" / "fuzz_llhttp"
ROWS = re.compile(r'\{(?:GW_\w+|0), (?:HPE_\w+|0), \w+, \w+,\s*"((?:[^"\\]|\\.)*)",\s*'
                  r'(OURS|THEIRS|BOTH),\s*"')


@pytest.mark.skipif(not os.path.exists("/usr/share/llhttp/llhttp.c"),
                    reason="node-llhttp is not installed")
def test_every_class_has_an_input():
    table = (ROOT / "tests/fuzz/llhttp_known.h").read_text().split("known_classes[]", 1)[1]
    listed = [what for what, _ in ROWS.findall(table)]
    assert len(listed) == len(set(listed)) == table.count("\n    {")
    done = subprocess.run([TARGET, ROOT / "tests/fuzz/corpus/llhttp"], capture_output=True,
                          text=True, errors="replace", env={**os.environ, "LLHTTP_SHOW": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(re.findall(r"^class: (.*)$", done.stderr, re.M)) == set(listed)
