"""Proof by perturbation: every parameter moved up and down, what is computed anew beside what its derivatives say."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from derivation.proof.recomputation import parameters, with_parameters
from derivation.record.record import Entry, Record
from derivation.reductions.registry import reduction_of
from foundation.errors import UserError
from foundation.table import Table

SHARES = (0.1, 0.05, 0.02, 0.01)  # of a parameter; a smaller one where the larger ends an oscillation
SMALLER = 20  # times smaller is the second step
# Of the whole movement. What is left of the first order is the fifth over SMALLER^2: 4e-4 at most, for what rests on
# limit cycles, which bend most; solvers that are good to 1e-9 add 1e-5 where the movement is smallest.
TOLERANCE = 2e-3
NOISE = 1e-8  # of a constant: what solvers leave in it


@dataclass(frozen=True)
class Move:
    """One constant of an entry under `share` more and less of one parameter, and under a twentieth of that.

    `predicted` is what the stored derivative says for `share` more. For a smooth constant f and a step h the
    antisymmetric part is f'h + f'''h^3/6 + ..., the symmetric one f''h^2/2 + ...
    """

    parameter: str
    entry: str
    constant: str
    share: float
    before: float
    predicted: float
    up: float
    down: float
    near_up: float
    near_down: float

    @property
    def first(self) -> float:
        """The first order alone: the third is taken out by means of the smaller step."""
        # (E4.16) f'h = (r^3 A(h/r) - A(h))/(r^2 - 1) + O(h^5/r^2), A(h) = (f(x+h) - f(x-h))/2
        near, far = (self.near_up - self.near_down) / 2, (self.up - self.down) / 2
        return (SMALLER**3 * near - far) / (SMALLER**2 - 1)

    @property
    def second(self) -> float:
        """The symmetric part: what a derivative cannot say."""
        return (self.up + self.down) / 2 - self.before

    @property
    def order(self) -> float:
        """Order of the symmetric part in the step, measured: 2 for a smooth constant."""
        near = (self.near_up + self.near_down) / 2 - self.before
        return math.log(abs(self.second / near), SMALLER) if near and self.second else 2.0

    @property
    def third(self) -> float:
        """What the antisymmetric part has beside the first order."""
        return (self.up - self.down) / 2 - self.first

    @property
    def moved(self) -> bool:
        """Whether either direction changed the value at all."""
        return not self.up == self.down == self.before

    @property
    def agrees(self) -> bool:
        """Whether the constant moves by what the derivative says, second and third order aside; or stays where it
        says nothing."""
        if not self.predicted:
            return not self.moved
        size = abs(self.first) + abs(self.second) + abs(self.third)
        return abs(self.first - self.predicted) <= TOLERANCE * size + NOISE * abs(self.before)


def moves(source: Record, parameter: str) -> list[Move]:
    """Every constant of every entry under changes of one parameter, each by the largest of SHARES that is possible.

    Raises `UserError` where none is.
    """
    value, complete = parameters(source)[parameter].value, {}
    for share in SHARES:
        if len(complete) == len(source.entries):
            break
        near = share / SMALLER
        points = [_entries(source, parameter, value, part=part) for part in (0, share, -share, near, -near)]
        for key, entry in source.entries.items():
            if key not in complete and all(key in point for point in points):
                seen = [point[key] for point in points]
                complete[key] = list(_moves(entry, key, parameter, share=share, points=seen))
    if missing := source.entries.keys() - complete.keys():
        raise UserError(f"{parameter}: even {SHARES[-1]:.0%} more or less leaves no {', '.join(sorted(missing))}")
    return [move for key in source.entries for move in complete[key]]


def _moves(entry: Entry, key: str, parameter: str, *, share: float, points: list[Entry]) -> Iterator[Move]:
    value = next((use.value for use in entry.parameters if use.name == parameter), 0.)
    for name in entry.constants:
        # one that acts through several constants of the chain stands there several times
        slope = sum(use.sensitivity.get(name, 0.) for use in entry.parameters if use.name == parameter)
        before, up, down, near_up, near_down = (point.constants[name].value for point in points)
        yield Move(parameter, key, name, share=share, before=before, predicted=slope * share * value, up=up, down=down,
                   near_up=near_up, near_down=near_down)


def _entries(source: Record, parameter: str, base: float, *, part: float) -> dict[str, Entry]:
    """The entries with a parameter larger by `part` of its value, computed anew; left out where a reduction has no
    value there."""
    value, there, reduced = base * (1 + part), {}, {}
    for key, entry in source.entries.items():
        through = {use.through for use in entry.parameters if use.name == parameter} - {None}
        for name in through - reduced.keys():
            short = parameter.rpartition(".")[2]
            reduction = reduction_of(name, parameter)
            own = part == 0 and reduction.parameters()[short].value == base
            constant = reduction.value
            reduced[name] = _reduced(constant) if own else _reduced(constant, short, value)
        if all(reduced[name] is not None for name in through):
            changes = {parameter: value} | {name: reduced[name] for name in through}
            there[key] = with_parameters(entry, changes)
    return there


@lru_cache(maxsize=4096)
def _reduced(constant: Callable, parameter: str | None = None, value: float = math.nan) -> float | None:
    """A reduced constant, with one parameter at a value; None where it has none there."""
    try:
        return constant({parameter: value} if parameter else {})
    except (UserError, ArithmeticError, ValueError):
        return None


def table(every: list[Move]) -> Table:
    """The moves that moved or should have: what the derivative says beside what was computed anew."""
    rows = [(f"{move.parameter} +-{move.share:.0%}", f"{move.entry}.{move.constant}", f"{move.predicted:.6g}",
             f"{move.first:.6g}", f"{move.second:.3g}", f"{move.third:.2g}", "" if move.agrees else "WRONG")
            for move in every if move.moved or not move.agrees]
    return Table(("parameter, change", "entry.constant", "by derivative", "computed anew", "second order", "third", ""),
                 rows)
