"""Where something happens along a branch: folds, Hopf points, crossings; and the parts between, of one stability."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from astro_sim.dynamics.continuation import Branch, corrected
from astro_sim.dynamics.derivatives import (
    eigenvalues,
    hopf_frequency,
    jacobian,
    product,
    product_of_sums,
    rests,
    tangent,
)

CROSSED = 1e-9  # of a step: as near as one comes to a crossing, where derivatives are lost


@dataclass(frozen=True)
class Special:
    """A point `size` after point n of a branch: a `kind` of fold, hopf, or crossing (of two branches)."""

    kind: str
    n: int
    size: float
    point: np.ndarray


def specials(branch: Branch) -> list[Special]:
    """Folds, Hopf points and crossings along the branch, each to rounding; two of a kind in one step go unseen."""
    found = []
    for n in range(len(branch.sizes)):
        turns = _changes_sign(branch.tangents[k][-1] for k in (n, n + 1))
        pairs, zero = (_changes_sign(test(branch.values[k]) for k in (n, n + 1))
                       for test in (product_of_sums, product))
        if turns:
            at = _special(branch, "fold", n, measure=lambda p, n=n: tangent(branch.flow, p, branch.tangents[n])[-1])
            if not rests(branch.flow, at.point, jacobian(branch.flow, at.point)):  # another branch crosses there
                at = _by_halves(branch, "fold", n, measure=lambda point, along: along[-1])
            found.append(at)
        elif zero:
            found.append(_by_halves(branch, "crossing", n,
                                    measure=lambda point, along: product(eigenvalues(branch.flow, point))))
        if pairs and len(branch.values[n]) > 1:
            at = _special(branch, "hopf", n, measure=lambda p: product_of_sums(eigenvalues(branch.flow, p)))
            if hopf_frequency(eigenvalues(branch.flow, at.point)):  # else a saddle with two opposite eigenvalues
                found.append(at)
    return sorted(found, key=lambda special: (special.n, special.size))


def pieces(branch: Branch) -> list[tuple]:
    """(first point, last point, points between) of each part between special points: stability is one there.

    Of the points between, the first is the middle one; the others are those of the branch.
    """
    if not branch.sizes:
        return []
    special, last = specials(branch), len(branch.sizes) - 1
    cuts = [(0, 0.0), *((one.n, one.size) for one in special), (last, branch.sizes[last])]
    ends = [branch.points[0], *(one.point for one in special), branch.points[-1]]
    lengths = np.append(0.0, np.cumsum(branch.sizes))
    along = [lengths[n] + size for n, size in cuts]
    found = []
    for k in range(len(cuts) - 1):
        middle = (along[k] + along[k + 1]) / 2
        n = min(int(np.searchsorted(lengths, middle, "right")) - 1, len(branch.sizes) - 1)
        if along[k + 1] > along[k]:
            inside = np.flatnonzero((lengths > along[k]) & (lengths < along[k + 1]))
            found.append((ends[k], ends[k + 1], [branch.at(n, float(middle - lengths[n])),
                                                 *(branch.points[m] for m in inside)]))
    return found


def _special(branch: Branch, kind: str, n: int, *, measure: Callable[[np.ndarray], float]) -> Special:
    size = brentq(lambda part: measure(branch.at(n, part)), 0.0, branch.sizes[n], xtol=1e-14)
    return Special(kind, n, size, branch.at(n, size))


def _by_halves(branch: Branch, kind: str, n: int, *, measure: Callable[[np.ndarray, np.ndarray], float]) -> Special:
    """Where branches cross, by halves: each from the last, so that Newton's method stays on its own branch."""
    before, along, size = branch.points[n], branch.tangents[n], branch.sizes[n]
    side = measure(before, along) > 0
    with np.errstate(all="ignore"), contextlib.suppress(np.linalg.LinAlgError):
        while size > CROSSED * branch.step:
            size /= 2
            guess = before + size * along
            point = corrected(branch.flow, guess, along)
            if np.linalg.norm(point - guess) > size / 2:
                break
            ahead = tangent(branch.flow, point, along)
            if (measure(point, ahead) > 0) == side:
                before, along = point, ahead
    point = before + size * along
    return Special(kind, n, float(branch.tangents[n] @ (point - branch.points[n])), point)


def _changes_sign(ends: Iterable[float]) -> bool:
    """Whether one end of a step is above zero; a zero at an end belongs to one of the two steps that meet there."""
    a, b = ends
    return (a > 0) != (b > 0)
