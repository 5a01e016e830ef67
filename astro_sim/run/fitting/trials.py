"""Simulations with other values of what is free: how far each is from the data, and how that changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from astro_sim.plan import Plan, prepare
from astro_sim.recording.recording import Recording
from astro_sim.run.fitting.freedom import Free, keywords
from astro_sim.run.fitting.target import Target
from astro_sim.run.simulation import run
from foundation.errors import ResourceError, UserError
from foundation.shapes import Array, Float

WALL = 1e6  # what a residual is where the model cannot be simulated or has no such feature
STEP = 2e-4  # of the way from bound to bound: large against an integrator's error, small against what bends
CLOSE = 1e-9  # of the way: searches that differ by less have met


@dataclass(eq=False)
class Counter:
    """How many simulations there were; `done` is told after each."""

    done: Callable[[int], None] = lambda count: None
    count: int = 0
    kept: dict[bytes, np.ndarray] = field(default_factory=dict)
    error: UserError | None = None


@dataclass(frozen=True, eq=False)
class Trials:
    """A least-squares problem for `foundation.fitting`: constants are shares of the way from bound to bound, [k]."""

    free: tuple[Free, ...]
    target: Target
    common: Mapping[str, Any]
    counter: Counter = field(default_factory=Counter)
    fixed: Mapping[int, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What is free here."""
        return tuple(one.name for number, one in enumerate(self.free) if number not in self.fixed)

    @property
    def observed(self) -> Float[Array, "point"]:
        """The data."""
        return self.target.observed

    def values(self, shares: Float[Array, "free"]) -> Float[Array, "all"]:
        """The values of all that is free, in their units, with what is held."""
        rest = iter(np.clip(shares, 0.0, 1.0).tolist())
        return np.array([one.value(self.fixed[n] if n in self.fixed else next(rest))
                         for n, one in enumerate(self.free)])

    def plan(self, shares: Float[Array, "free"], **changed: Any) -> Plan:
        """The simulation with these."""
        return prepare(**keywords(self.free, self.values(shares), {**self.common, **changed}))

    def recording(self, shares: Float[Array, "free"], **changed: Any) -> Recording:
        """Its recording."""
        self.counter.count += 1
        self.counter.done(self.counter.count)
        return run(self.plan(shares, **changed))

    def residuals(self, shares: Float[Array, "free"]) -> Float[Array, "point"]:
        """What the simulation misses the data by; a wall where there is no simulation, or no such feature."""
        key = self.values(shares).tobytes() + repr(getattr(self.target, "sizes", "")).encode()
        if key not in self.counter.kept:
            self.counter.kept[key] = self._residuals(shares)
        return self.counter.kept[key]

    def _residuals(self, shares: Float[Array, "free"]) -> Float[Array, "point"]:
        try:
            missed = self.target.predicted(self.recording(shares)) - self.observed
        except ResourceError:
            raise
        except UserError as error:  # too large a step there, or no oscillation
            self.counter.error = error
            return np.full(self.observed.size, WALL)
        return np.where(np.abs(missed) < WALL, missed, WALL)

    def slopes(self, shares: Float[Array, "free"], *, both: bool = False) -> Float[Array, "point free"]:
        """d(residual)/d(share) by differences, into the inside; `both` takes them on both sides, to second order."""
        columns = []
        for unit in np.eye(len(shares)):
            up = shares + STEP * unit * (1 if both or (unit @ shares) < 0.5 else -1)
            down = shares - STEP * unit if both else shares
            up, down = np.clip(up, 0.0, 1.0), np.clip(down, 0.0, 1.0)
            columns.append((self.residuals(up) - self.residuals(down)) / float((up - down) @ unit))
        return np.stack(columns, axis=1)

    def search(self, guess: Float[Array, "free"], *, most: int = 60) -> Any:
        """The best shares from `guess` on, between the bounds, by a trust region (scipy); `x`, `fun`, `jac`, `cost`."""
        from scipy.optimize import least_squares

        inside = np.clip(guess, CLOSE, 1 - CLOSE)
        return least_squares(self.residuals, inside, self.slopes, bounds=(0.0, 1.0), method="trf", ftol=1e-7,
                             xtol=1e-7, gtol=1e-12, max_nfev=min(most, 60))

    def held(self, number: int, value: float) -> "Trials":
        """The same with one constant held."""
        place = [n for n in range(len(self.free)) if n not in self.fixed][number]
        return replace(self, fixed={**self.fixed, place: float(value)})
