"""Pieces that every protocol reads: a moment, and a choice of elements."""

import itertools
import operator
import re
from collections.abc import Iterable

import numpy as np

from astro_sim.parameter import Amount, read
from foundation.errors import UserError

MAX_ELEMENTS = 1_000_000  # of a population
Several = str | Iterable[Amount]
Elements = int | str | Iterable[int] | None


def moment(given: Amount, field: str) -> float:
    """A time in seconds, 0 or later; text needs its unit."""
    value = read(given, "second", field)
    if value < 0:
        raise UserError(f"{field}: {given} is before the start; give a time of 0 s or later")
    return value


def several(given: Several, field: str) -> list[Amount]:
    """A sequence, or text whose parts are joined by +, as in 0s+10s."""
    if isinstance(given, str):
        return re.split(r"(?<![eE])\+", given)
    try:
        return list(given)
    except TypeError as error:
        raise UserError(f"{field}: {given!r} is not several; give a list, or text joined by +") from error


def chosen_elements(given: Elements) -> tuple[int, ...] | None:
    """None, a whole number, a sequence of them, or text "0+2+5-8"."""
    if given is None:
        return None
    if not isinstance(given, str):
        try:
            _not_too_many(len(given) if hasattr(given, "__len__") else 1)
            return tuple(map(operator.index, given if hasattr(given, "__iter__") else (given,)))
        except TypeError as error:
            raise UserError(f"elements: {given!r} cannot be read; give whole numbers, or text such as 0+2+5-8"
                            ) from error
    ranges = []
    for part in given.split("+"):
        match = re.fullmatch(r"\s*(\d{1,7})\s*(?:-\s*(\d{1,7})\s*)?", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"elements: '{given[:80]}' cannot be read; write numbers and ranges joined by +, as in "
                            "0+2+5-8")
        ranges.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    _not_too_many(sum(map(len, ranges)))
    return tuple(itertools.chain.from_iterable(ranges))


def _not_too_many(count: int) -> None:
    """Refuse more elements than a population may have before any is made."""
    if count > MAX_ELEMENTS:
        raise UserError(f"elements: {count:,} are named, some of them more than once or out of any population; give at "
                        f"most {MAX_ELEMENTS:,}")


def joined_elements(elements: Iterable[int]) -> str:
    """Elements as the text that `chosen_elements` reads: runs as ranges, "0+2+5-8"."""
    numbers = np.fromiter(elements, int)
    borders = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = [(run[0], run[-1]) for run in np.split(numbers, borders) if len(run)]
    return "+".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)
