"""h2_sections.py is complete and true."""
import fnmatch
from pathlib import Path

import pytest

from h2_rows import ROWS
from h2_sections import LAST, SECTIONS

HERE = Path(__file__).parent
OTHERS = ("7541 ", "8441 ", "9218 ")  # RFCs beside RFC 9113


def key(number):
    return tuple(int(part) for part in number.split("."))


def test_none_is_left_out():
    """In order, and each counts on from its neighbour: 5.3 is followed by 5.3.1, 5.4 or 6."""
    numbers = [key(section.number) for section in SECTIONS]
    assert numbers[0] == (3,)
    for before, after in zip(numbers, numbers[1:]):
        depth = len(after)
        follows = (before[:depth - 1] + (before[depth - 1] + 1,) if depth <= len(before) else
                   (*before, 1))
        assert after == follows, f"{after} behind {before}"
    ends = [before for before, after in zip(numbers, [*numbers[1:], (0,)])
            if before[0] != after[0]]
    assert ends == [key(number) for number in LAST]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.number)
def test_it_is_shown(section):
    assert section.rows or section.tests or section.reason
    names = [row.name for row in ROWS]
    for name in section.rows:
        assert fnmatch.filter(names, name), name
    for test in section.tests:
        file, _, function = test.partition("::")
        assert f"\ndef {function}(" in (HERE / file).read_text(), test


def test_names_are_unique():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_every_row_stands_in_a_section_that_is_shown_by_rows():
    shown = {section.number for section in SECTIONS if section.rows}
    cited = {row.section for row in ROWS if not row.section.startswith(OTHERS)}
    assert cited <= shown
