"""An energy as a law that is checked after a run: it cannot rise while all inputs are held.

Why rounding is the only tolerance: a step moves each state against the slope of the energy, so that to first order the
energy loses dt times a square of the speeds. What an integrator with held sums adds is of order dt^2, and again a
square of the speeds: it turns a loss into a rise only where dt times the fastest rate is of order one, however small
the speeds are. So a rise means that dt is too long. Sums that are extrapolated remember the step before: their error is
of the speeds there, and may raise the energy by (dt rate)^2/4 of what was lost then, which is allowed to dt = 1/rate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.model import Law
from astro_sim.model.views import Planned, Recorded
from astro_sim.protocols.course import Course
from foundation.errors import UserError
from foundation.shapes import Array, Float

REMEMBERED = 0.25  # of the loss in the step before, with extrapolated sums
Terms = list[Float[Array, "time _"]]  # a term may be of neurons, synapses or processes


@dataclass(frozen=True)
class Energy:
    """The energy of a model that inputs b of its neurons and d of its processes drive, and how it may move.

    `terms(plan, recording, b=, d=)` are float64 (time, element) whose sum is the energy, at inputs b (time, neuron) and
    d (time, process); it raises `UserError` for a run that has no such energy. As the quantity of a `Law`, an energy is
    by how much it rose since the record before.
    """

    terms: Callable[..., Terms]

    def law(self) -> Law:
        """That it does not rise while inputs are held."""
        return Law("energy at constant input", "falls", self)

    def of(self, plan: Planned, recording: Recorded) -> Float[Array, "time"]:
        """The energy at each record, with the inputs as they are from there on. Errors: `UserError` where it is none.
        """
        return sum(part.sum(axis=1) for part in self._terms(plan, recording))

    def __call__(self, plan: Planned, recording: Recorded) -> Float[Array, "time"] | None:
        """By how much it rose since the record before, a share of the size of its terms; None where it is none.

        Between two records in which an input moves nothing is claimed: 0. An energy has no zero of its own, and its
        rounding is that of its terms: so the size of those is what a rise is compared with.
        """
        try:
            parts = self._terms(plan, recording)
        except UserError:  # a run without an energy breaks no law
            return None
        return _rise(plan, np.asarray(recording.time), parts)

    def _terms(self, plan: Planned, recording: Recorded) -> Terms:
        neuron, process = _driving(plan)
        after = np.asarray(recording.time) + plan.dt / 2
        return self.terms(plan, recording, b=neuron.at(after), d=process.at(after))


def require_symmetric(values: Mapping[str, float], *weights: str) -> None:
    """Errors: `UserError` where a weight of a synapse on what drives it is not 1: then coupling is not symmetric."""
    for name in weights:
        if values[name] != 1:
            raise UserError(f"energy: with {name} = {values[name]:g} coupling is not symmetric; set it to 1")


def _driving(plan: Planned) -> list[Course]:
    return [plan.inputs["neuron", "b"], plan.inputs["process", "d"]]


def _rise(plan: Planned, time: Float[Array, "time"], parts: Sequence[Float[Array, "time _"]]
          ) -> Float[Array, "time"]:
    """See `Energy.__call__`."""
    held = np.ones(max(0, len(time) - 1), bool)
    for course in _driving(plan):
        for start, end in (moving for drive in course.drives for moving in drive.moving()):
            held &= ~((start < time[1:] + plan.dt / 2) & (end > time[:-1] + plan.dt / 2))
    size = np.maximum(sum(np.abs(part).sum(axis=1) for part in parts), np.finfo(float).tiny)
    rise = np.where(held, np.diff(sum(part.sum(axis=1) for part in parts)), 0.0)
    if plan.options.get("coupling_scheme") == "extrapolated" and len(rise):
        spared = REMEMBERED * np.maximum(0.0, -np.append(0.0, rise[:-1]))
        rise = np.where(rise > 0, np.maximum(0.0, rise - spared), rise)
        rise[0] *= time[0] == 0  # what was lost before is not there: seen with the rows before
    return np.append(0.0, rise / np.maximum(size[1:], size[:-1]))
