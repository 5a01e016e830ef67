"""Coordinates in which a model's equilibria are searched and followed, and the box that is searched.

A state that is never negative has its logarithm as coordinate, so that a length counts relative changes; one that may
have either sign is counted in a size of its own.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from astro_sim.dynamics.derivatives import Flow
from astro_sim.dynamics.functions import PLAIN
from astro_sim.dynamics.local import Local

WIDE = 1e3         # factor either way of the box: what leaves it on a logarithmic coordinate is not followed
FARTHEST = 300.0   # logarithm of the smallest and largest number that a solver may try
OUTSIDE = 1e6      # sizes of a linear coordinate that a solver may try


@dataclass(frozen=True)
class Frame:
    """A `Local` with coordinates; all arrays in the order of the states, what is scanned last where it is there.

    `low`, `high`: the box, SI base values, float64 (state,). `logarithmic`: bool (state + 1,). `sizes`: SI base value
    of a linear coordinate of one, float64 (state + 1,). `why`: for each state, how its range became known: given,
    declared, inwards (the flow points into the box there), start (a factor about the initial value), guessed.
    """

    local: Local
    low: np.ndarray
    high: np.ndarray
    logarithmic: np.ndarray
    sizes: np.ndarray
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> list[str]:
        """Names of the states."""
        return self.local.states

    def values(self, point: np.ndarray) -> np.ndarray:
        """Coordinates (of the states, or with what is scanned) as SI base values, of the same shape."""
        count = len(point)
        logarithmic = self.logarithmic[:count]
        if logarithmic.all():
            return np.exp(point)
        found = point * self.sizes[:count].reshape(-1, *[1] * (point.ndim - 1))
        found[logarithmic] = np.exp(point[logarithmic])
        return found

    def slopes(self, values: np.ndarray) -> np.ndarray:
        """d(value)/d(coordinate) at values, of the same shape."""
        sizes = self.sizes[:len(values)].reshape(-1, *[1] * (values.ndim - 1))
        logarithmic = self.logarithmic[:len(values)]
        return values if logarithmic.all() else np.where(logarithmic.reshape(sizes.shape), values, sizes)

    def coordinates(self, values: np.ndarray) -> np.ndarray:
        """SI base values as coordinates, of the same shape; zero on a logarithmic coordinate is not allowed."""
        values = np.asarray(values, float)
        found = values / self.sizes[:len(values)].reshape(-1, *[1] * (values.ndim - 1))
        logarithmic = self.logarithmic[:len(values)]
        found[logarithmic] = np.log(values[logarithmic])
        return found

    def level(self, value: float) -> float:
        """A value of what is scanned (SI base value) as its coordinate."""
        return float(np.log(value)) if self.logarithmic[-1] else float(value / self.sizes[-1])

    def flow(self) -> Flow:
        """The flow in coordinates: point -> d(coordinates of the states)/dt, with the same eigenvalues."""
        derivative = self.local.derivative()

        def rates(point: np.ndarray) -> np.ndarray:
            values = self.values(point)
            return derivative(values[:-1], values[-1]) / self.slopes(values)[:-1]

        return rates

    def plain_flow(self, level: float) -> Callable[[float, np.ndarray], list[float]]:
        """The flow in coordinates at a level (SI) for solve_ivp: on plain numbers, five times as fast as on arrays."""
        rates = self.local.rates(PLAIN)
        chosen = list(zip(self.logarithmic.tolist(), self.sizes.tolist(), strict=True))[:-1]

        def flow(time: float, point: np.ndarray) -> list[float]:
            states = [_exp(one) if logarithmic else size * max(-OUTSIDE, min(OUTSIDE, one))
                      for one, (logarithmic, size) in zip(point.tolist(), chosen, strict=True)]
            return [rate / (state if logarithmic else size) for rate, state, (logarithmic, size)
                    in zip(rates(states, level), states, chosen, strict=True)]

        return flow

    def box(self) -> np.ndarray:
        """Coordinates of the box, float64 (2, state): lowest, highest."""
        return np.stack([self.coordinates(self.low), self.coordinates(self.high)])

    def widened(self) -> np.ndarray:
        """Coordinates of a wider box: what leaves it is not followed, float64 (2, state)."""
        box = self.box()
        more = np.where(self.logarithmic[:-1], np.log(WIDE), box[1] - box[0])
        return box + more * np.array([[-1.0], [1.0]])

    def leaving(self) -> Callable[[float, np.ndarray], float]:
        """An event for solve_ivp on coordinates: it ends a course that leaves the widened box."""
        low, high = self.widened()

        def stays(time: float, point: np.ndarray) -> float:
            return min((point - low).min(), (high - point).min())

        stays.terminal = True
        return stays

    def state_of(self, point: np.ndarray) -> dict[str, float]:
        """The states at a point, each in its unit."""
        values = self.values(point)[:len(self.states)] / self.local.scales
        return {name: float(value) for name, value in zip(self.states, values, strict=True)}

    def input_of(self, point: np.ndarray) -> float:
        """What is scanned at a point of a branch, in its own unit."""
        return float(self.values(point)[-1] / self.local.unit_value)

    def resized(self, spreads: np.ndarray) -> "Frame":
        """The same box with linear coordinates counted in `spreads` (SI base values, float64 (state + 1,))."""
        return replace(self, sizes=np.where(self.logarithmic, 1.0, spreads))

    def box_in_units(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest of what is searched, in each state's unit."""
        return {name: (float(low), float(high)) for name, low, high in
                zip(self.states, self.low / self.local.scales, self.high / self.local.scales, strict=True)}


def _exp(logarithm: float) -> float:
    return math.exp(max(-FARTHEST, min(FARTHEST, logarithm)))
