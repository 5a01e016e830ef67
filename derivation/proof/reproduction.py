"""Does the committed record follow from the code? Compare it, number by number, with one derived anew."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator

from derivation.record.points import Behind
from derivation.record.record import Record, dumps

# Equal code gives equal numbers to rounding; processors differ in the last bits of exp and tanh, which simulations of
# 1e4 steps carry on as at most 1e-9, and fits of residuals near 1e-5 magnify to some 1e-5 of an interval's width.
RELATIVE, ABSOLUTE = 1e-6, 1e-7
# Rivals that do not fit leave constants nearly free; residuals near rounding move Akaike's criterion. What is said of
# them in words is compared without its numbers.
RIVALS, RIVALS_RELATIVE, RIVALS_ABSOLUTE = "comparisons", 1e-2, 1e-3
NOT_COMPARED = ("hash", "versions")  # versions may differ without changing a number; the hash follows from the rest
HASHES = ("recording", "simulations")  # a recording's hash holds the versions, the others the last bit of a step
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def differences(ours: Record, theirs: Record) -> list[str]:
    """Where two records differ, as 'path: ours, theirs'; empty when they agree. Versions are not compared."""
    first, second = (json.loads(dumps(one)) for one in (ours, theirs))
    return [text for key in first if key not in NOT_COMPARED for text in _differences(first[key], second[key], key)]


def differences_behind(ours: Behind, theirs: Behind) -> list[str]:
    """Where the points behind two records differ, likewise; that they are of other numbers the records say."""
    first, second = (json.loads(json.dumps(dataclasses.asdict(one))) for one in (ours, theirs))
    return [text for key in ("points", "reductions") for text in _differences(first[key], second[key], key)]


def _differences(ours, theirs, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours or key not in theirs:
                yield f"{path}.{key}: only in {'the first' if key in ours else 'the second'}"
            elif key not in HASHES:
                yield from _differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(*pair, f"{path}[{number}]")
    elif isinstance(ours, float) and isinstance(theirs, float):
        relative, absolute = (RIVALS_RELATIVE, RIVALS_ABSOLUTE) if f".{RIVALS}." in path else (RELATIVE, ABSOLUTE)
        if not math.isclose(ours, theirs, rel_tol=relative, abs_tol=absolute):
            yield f"{path}: {ours!r}, {theirs!r}"
    elif isinstance(ours, str) and isinstance(theirs, str) and f".{RIVALS}." in path:
        if _NUMBER.sub("#", ours) != _NUMBER.sub("#", theirs):
            yield f"{path}: {ours!r}, {theirs!r}"
    elif ours != theirs:
        yield f"{path}: {ours!r}, {theirs!r}"
