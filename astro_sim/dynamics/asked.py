"""What a scan is asked for: texts of a command line, and the values to scan."""

import contextlib
import re
from collections.abc import Sequence

import numpy as np

from astro_sim.dynamics.local import ABOVE_ZERO, Local
from astro_sim.parameter import ALLOWED, read
from foundation.errors import UserError

LARGEST_POINTS = 5000


def parse_over(text: str) -> tuple[str, str, str, int]:
    """"ip3=0:1:200" -> input or parameter, low, high, points. Errors: `UserError`."""
    found = re.fullmatch(r"\s*(\w+)\s*=\s*([^:]+):([^:]+):\s*(\d{1,6})\s*", text)
    if not found:
        raise UserError(f"--over: '{text}' cannot be read; write NAME=LOW:HIGH:POINTS, e.g. ip3=0:1:200")
    return found[1], found[2].strip(), found[3].strip(), int(found[4])


def parse_box(texts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """"v=-100:50 mvolt" -> {"v": ("-100 mvolt", "50 mvolt")}; a lower end without a unit has that of the higher.

    Errors: `UserError`.
    """
    box = {}
    for text in texts:
        found = re.fullmatch(r"\s*(\w+)\s*=\s*([^:]+):([^:]+)", text)
        if not found:
            raise UserError(f"--box: '{text}' cannot be read; write STATE=LOW:HIGH UNIT, e.g. v=-100:50 mvolt")
        low, high = found[2].strip(), found[3].strip()
        with contextlib.suppress(ValueError):
            low = f"{float(low)!r} {high.partition(' ')[2]}".strip()
        box[found[1]] = low, high
    return box


def grid_of(chosen: Local, low: object, high: object, *, points: int) -> np.ndarray:
    """The values scanned, in units of `over`. Errors: `UserError` for a range that is none."""
    ends = [_number(end, chosen.unit, chosen.over) for end in (low, high)]
    if not ends[0] < ends[1] or not all(map(ALLOWED[chosen.allowed], ends[1:])) or not 10 <= points <= LARGEST_POINTS:
        raise _refused(chosen, low, high, points=points)
    grid = np.linspace(*ends, points)
    if chosen.allowed in ABOVE_ZERO:
        if ends[0] < 0:
            raise _refused(chosen, low, high, points=points)
        grid = grid[grid > 0]
    return grid


def _refused(chosen: Local, low: object, high: object, *, points: int) -> UserError:
    above = " of zero or above" if chosen.allowed in ABOVE_ZERO else ", the lower end first,"
    return UserError(f"{chosen.over}: {low}:{high}:{points} is not allowed; give a range{above} and 10 to "
                     f"{LARGEST_POINTS} points")


def _number(given: object, wanted: str, field: str) -> float:
    """A bare number, also as text, is one of the own unit."""
    with contextlib.suppress(ValueError, TypeError):
        given = float(given) if isinstance(given, str) else given
    return read(given, wanted, field)
