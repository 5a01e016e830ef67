"""Which range of each state is searched for equilibria, and on which coordinate.

What is given comes first, then the bounds that the model declares. Else the vector field says it: a range is widened
until the flow points inwards at both of its ends, whatever the other states are. Where it never does, the range that a
course visits is taken, and called guessed.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import qmc

from astro_sim.dynamics.derivatives import STEP
from astro_sim.dynamics.frame import WIDE, Frame
from astro_sim.dynamics.local import ABOVE_ZERO, Local
from astro_sim.parameter import read
from foundation.errors import UserError, choose

EMPTY = 1e-6      # SI base value: where Newton's method starts for a state that starts at zero
LOWEST = 1e-4     # of a state's largest value: where a range on a logarithmic coordinate begins
DOUBLINGS = 24    # of a range that is widened
SAMPLES = 256     # places on a face at which the flow must point inwards: a power of two, as Sobol's sequence wants
CORNERS = 8       # states: with more of them the corners of a face are left out
SETTLING = 50.0   # times of the slowest rate: how long a course is followed for a guess
STIFF = 1e4       # times of the fastest rate: no course is followed for longer
AROUND = 1.0      # widths of the visited range that a guess adds on either side


def framed(local: Local, low: float, high: float, *, box: Mapping[str, Sequence] | None = None) -> Frame:
    """A model with coordinates and a box to search, for values of `over` from low to high (SI base values).

    `box`: name of a state -> (lowest, highest), text with units or numbers of its own. Errors: `UserError`.
    """
    given = {name: _read_range(local, name, ends) for name, ends in (box or {}).items()}
    levels = np.unique([low, (low + high) / 2, high])
    above = np.array([_stays_above_zero(local, name, given.get(name), levels=levels) for name in local.states])
    ranges, why = _known(local, above, given)
    if not all(name in why for name in local.states):
        ranges = _from_flow(local, ranges, why, levels=levels)
    lowest, highest = ranges.T
    logarithmic = np.append(above, local.allowed in ABOVE_ZERO and low > 0)
    span = high - low or max(abs(high), local.unit_value)
    sizes = np.where(logarithmic, 1.0, np.append((highest - lowest) / 2, span))
    return Frame(local, lowest, highest, logarithmic, sizes, why)


def _read_range(local: Local, name: str, ends: Sequence) -> tuple[float, float]:
    """A range of one state as SI base values. Errors: `UserError`."""
    choose(f"state of {local.model.name}", name, dict.fromkeys(local.states))
    wanted = local.model.initial[name].unit
    if isinstance(ends, str) or len(ends) != 2:
        raise UserError(f"{name}: {ends!r} is not a range; give (low, high)")
    low, high = (read(end, wanted, name) for end in ends)
    declared = local.bound(name, "low")
    above = declared is not None and declared >= 0
    if not low < high or (above and low < 0):
        what = "a lower end of zero or above and a higher one" if above else "a lower and a higher value"
        raise UserError(f"{name}: {low:g} to {high:g} is not a range; give {what}")
    scale = float(local.scales[local.states.index(name)])
    return low * scale, high * scale


def _stays_above_zero(local: Local, name: str, given: tuple[float, float] | None, *, levels: np.ndarray) -> bool:
    """Whether a state is never negative: as declared; else its start must be so, and no flow lead below zero."""
    if given and given[0] < 0:
        return False
    declared = local.bound(name, "low")
    if declared is not None:
        return declared >= 0 and not _rests_at_zero(local, name, levels)
    if local.model.initial[name].allowed not in ABOVE_ZERO:
        return False
    others = local.start()
    reach = np.maximum(np.abs(others), local.scales)
    box = np.stack([others - reach, others + reach], axis=1)
    return not any((face < 0).any() for face in _face(local, box, local.states.index(name), at=0.0, levels=levels))


def _rests_at_zero(local: Local, name: str, levels: np.ndarray) -> bool:
    """Whether a state with declared bounds stays at zero once it is there: a logarithm would not find that."""
    ends = [[local.bound(other, end) for end in ("low", "high")] for other in local.states]
    if None in ends[local.states.index(name)]:
        return False
    start = np.maximum(np.abs(local.start()), local.scales) / local.scales
    box = np.array([[low or 0.0, 2 * first if high is None else high] for (low, high), first in
                    zip(ends, start, strict=True)]) * local.scales[:, None]
    return any((face == 0).all() for face in _face(local, box, local.states.index(name), at=0.0, levels=levels))


def _known(local: Local, above: np.ndarray, given: Mapping) -> tuple[np.ndarray, dict[str, str]]:
    """Ranges float64 (state, 2), and why, of the states whose range is given or declared, or that start above zero.

    A state that is never negative and has no bound is searched `WIDE` either way of where it starts.
    """
    ranges, why = np.zeros((len(local.states), 2)), {}
    for k, (name, scale, start) in enumerate(zip(local.states, local.scales, local.start(), strict=True)):
        low, high = (local.bound(name, end) for end in ("low", "high"))
        if name in given:
            ranges[k], why[name] = given[name], "given"
            ranges[k, 0] = max(ranges[k, 0], ranges[k, 1] * LOWEST) if above[k] else ranges[k, 0]
        elif above[k] and high:
            ranges[k], why[name] = (high * scale * LOWEST, high * scale), "declared"
        elif above[k]:
            middle = start if start > 0 else float(scale)
            ranges[k], why[name] = (middle / WIDE, middle * WIDE), "start"
        elif low is not None and high is not None:
            ranges[k], why[name] = (low * scale, high * scale), "declared"
    return ranges, why


def _from_flow(local: Local, ranges: np.ndarray, why: dict[str, str], *, levels: np.ndarray) -> np.ndarray:
    """The ranges with those filled in that are not known yet; `why` says how."""
    open_ones = [k for k, name in enumerate(local.states) if name not in why]
    start = local.start()
    reach = np.where(start == 0, local.scales, np.abs(start))
    found = ranges.copy()
    found[open_ones] = np.stack([start - reach, start + reach], axis=1)[open_ones]
    for _ in range(DOUBLINGS):
        outwards = [(k, end) for k in open_ones for end in (0, 1)
                    if not inwards(local, found, k, end=end, levels=levels)]
        if not outwards:
            why |= dict.fromkeys((local.states[k] for k in open_ones), "inwards")
            return found
        widths = found[:, 1] - found[:, 0]
        for k, end in outwards:
            found[k, end] += widths[k] * (1 if end else -1)
    why |= dict.fromkeys((local.states[k] for k in open_ones), "guessed")
    found[open_ones] = _visited(local, reach, levels)[open_ones]
    return found


def inwards(local: Local, ranges: np.ndarray, k: int, *, end: int, levels: np.ndarray) -> bool:
    """Whether the flow of state k points into the box all over one of its two faces; what overflows does not."""
    faces = _face(local, ranges, k, at=float(ranges[k, end]), levels=levels)
    return all(bool(np.isfinite(rates).all() and (rates * (-1 if end else 1) > 0).all()) for rates in faces)


def _face(local: Local, ranges: np.ndarray, k: int, *, at: float, levels: np.ndarray) -> list[np.ndarray]:
    """Rates of state k where it is `at`, at places and corners of the other ranges; an array for each level."""
    count = len(ranges)
    places = qmc.Sobol(count, seed=0).random(SAMPLES)
    if count <= CORNERS:
        places = np.concatenate([places, list(itertools.product((0.0, 1.0), repeat=count))])
    states = (ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * places).T
    states[k] = at
    derivative = local.derivative()
    with np.errstate(all="ignore"):
        return [np.broadcast_to(derivative(list(states), level)[k], len(places)) for level in levels]


def _visited(local: Local, reach: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The ranges that courses from the initial values visit, and `AROUND` as much on both sides, (state, 2)."""
    derivative, start = local.derivative(), local.start()
    low, high = start - reach, start + reach
    for level in levels:
        rates = np.abs(np.linalg.eigvals(_matrix(local, start, level)))
        rates = rates[rates > 0]
        lasts = min(SETTLING / rates.min(), STIFF / rates.max()) if len(rates) else SETTLING

        def away(time: float, states: np.ndarray) -> float:
            return WIDE - np.abs((states - start) / reach).max()

        away.terminal = True
        with np.errstate(all="ignore"):
            course = solve_ivp(lambda t, y, level=level: derivative(y, level), (0, lasts), start, "LSODA", events=away,
                               rtol=1e-6, atol=1e-6 * reach.min())
        low, high = np.minimum(low, course.y.min(axis=1)), np.maximum(high, course.y.max(axis=1))
    return np.stack([low - AROUND * (high - low), high + AROUND * (high - low)], axis=1)


def _matrix(local: Local, states: np.ndarray, level: float) -> np.ndarray:
    """d(rates)/d(states) in SI base values, float64 (state, state)."""
    derivative = local.derivative()
    return np.stack([derivative(states + 1j * STEP * axis, level).imag / STEP for axis in np.eye(len(states))], axis=1)
