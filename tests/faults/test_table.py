"""docs/reliability.md and the tests of this folder say the same: every row has one test, every test its row."""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("make_faults", ROOT / "docs" / "make_faults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_has_one_test(table):
    counted = Counter(number for number, *_ in table.rows_of_tests())
    assert max(counted.values()) == 1, counted.most_common(1)


def test_every_test_says_what_goes_wrong_and_what_the_program_does(table):
    for number, fault, does, file in table.rows_of_tests():
        assert re.fullmatch(r"[A-F]\d+", number), number
        for said in (fault, does):
            assert re.fullmatch(r"[A-Z0-9`$].{10,}\.", said) and "|" not in said, f"{file}, {number}: {said!r}"


def test_the_page_has_the_rows_of_the_tests_and_no_others(table):
    assert table.rows_on_page() == table.rows_of_tests(), "make docs-index"
    assert table.render() == table.PAGE.read_text("utf-8"), "make docs-index"
