"""What pyflakes finds in tests/ and scripts/, status 1 if anything:  /usr/bin/python3 tests/flakes.py

A line with "# noqa: F401" imports fixtures, which pytest looks for by the names of arguments; one
with "# noqa: F403" is a table's vocabulary.  Nothing that follows from such a line is told.
"""
import ast
import sys
from pathlib import Path

from pyflakes import checker, messages

ROOT = Path(__file__).resolve().parents[1]
MARK = "# noqa: F40"
OF_STARS = (messages.ImportStarUsed, messages.ImportStarUsage)


def sources():
    for path in sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("scripts/*")]):
        text = path.read_text()
        if path.suffix == ".py" or "python" in text.split("\n", 1)[0]:
            yield path, text


def is_meant(message, lines):
    if isinstance(message, OF_STARS):
        return any("import *" in line and MARK in line for line in lines)
    if isinstance(message, messages.RedefinedWhileUnused):
        return MARK in lines[message.message_args[1] - 1]
    return MARK in lines[message.lineno - 1]


def main():
    found = 0
    for path, text in sources():
        lines = text.split("\n")
        tree = ast.parse(text, str(path))
        for message in checker.Checker(tree, str(path.relative_to(ROOT))).messages:
            if not is_meant(message, lines):
                print(message)
                found += 1
    return 1 if found else 0


sys.exit(main())
