"""h1_sections.py is complete and true."""
from pathlib import Path

import pytest

from h1_rows import ROWS
from h1_sections import LAST, SECTIONS

HERE = Path(__file__).parent
ALL = [pytest.param(rfc, section, id=f"{rfc}_{section.number}")
       for rfc, sections in SECTIONS.items() for section in sections]


def key(number):
    return tuple(int(part) for part in number.split("."))


@pytest.mark.parametrize("rfc", SECTIONS)
def test_none_is_left_out(rfc):
    """In order, and each counts on from its neighbour: 5.6 is followed by 5.6.1, 5.7 or 6."""
    numbers = [key(section.number) for section in SECTIONS[rfc]]
    assert numbers[0] == (1,)
    for before, after in zip(numbers, numbers[1:]):
        depth = len(after)
        follows = (before[:depth - 1] + (before[depth - 1] + 1,) if depth <= len(before) else
                   (*before, 1))
        assert after == follows, f"{after} behind {before}"
    ends = [before for before, after in zip(numbers, [*numbers[1:], (0,)])
            if before[0] != after[0]]
    assert ends == [key(number) for number in LAST[rfc]]


@pytest.mark.parametrize("rfc, section", ALL)
def test_it_is_shown(rfc, section):
    assert section.rows or section.tests or section.reason
    names = [row.name for row in ROWS]
    for name in section.rows:
        assert name in names or name.endswith("*") and any(
            each.startswith(name[:-1]) for each in names), name
    for test in section.tests:
        file, _, function = test.partition("::")
        assert f"\ndef {function}(" in (HERE / file).read_text(), test


def test_rows_stand_for_sections_that_there_are():
    """Those of RFC 6585 (431) apart."""
    known = {f"{rfc} {section.number}" for rfc in SECTIONS for section in SECTIONS[rfc]}
    assert {row.section for row in ROWS} - known == {"6585 5"}


def test_every_row_stands_in_a_section_that_is_shown_by_rows():
    shown = {f"{rfc} {section.number}" for rfc in SECTIONS for section in SECTIONS[rfc]
             if section.rows}
    assert {row.section for row in ROWS} - shown == {"6585 5"}
