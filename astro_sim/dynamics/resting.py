"""The equilibria of a model at held inputs, and the inputs at which they begin to oscillate.

    rows = equilibria("li_rinzel:AM", {"ip3": "0.5 umolar"})
    rows[0]["C"], rows[0]["stable"], rows[0]["kind"]
"""

from collections.abc import Mapping, Sequence

import numpy as np

from astro_sim.dynamics.boxes import framed
from astro_sim.dynamics.continuation import Branch
from astro_sim.dynamics.derivatives import character, eigenvalues
from astro_sim.dynamics.frame import Frame
from astro_sim.dynamics.local import at_level, local
from astro_sim.dynamics.newton import search, settle
from astro_sim.dynamics.special_points import specials
from astro_sim.model import Model
from foundation.errors import UserError


def equilibrium(model: str | Model, inputs: Mapping[str, object] | None = None, *, parameter_set: str | None = None,
                box: Mapping[str, Sequence] | None = None) -> dict[str, float]:
    """A steady state at held inputs, in each state's own unit; of several, the first that Newton's method finds.

    Inputs are text with a unit or numbers of their own; those that are not named keep their defaults. `box` gives the
    ranges of states, as in `equilibria`. Errors: `UserError` where none is found.
    """
    chosen, level = at_level(model, inputs, parameter_set=parameter_set)
    frame = framed(chosen, level, level, box=box)
    return frame.state_of(settle(frame, level))


def equilibria(model: str | Model, inputs: Mapping[str, object] | None = None, *, parameter_set: str | None = None,
               box: Mapping[str, Sequence] | None = None) -> list[dict]:
    """The steady states at held inputs that Newton's method finds from many places in the box of the states.

    `model`: a `Model`, a name, name:SET or file.py:NAME. `box`: name of a state -> (low, high), where the bounds that
    the model declares, or the range out of which its flow never leads, are not what is wanted.
    Rows {states in their units..., stable, growth, frequency, unstable, kind}, by the first state; growth and angular
    frequency in 1/second, see `derivatives.character`. Errors: `UserError` for an unknown model, set or input.
    """
    chosen, level = at_level(model, inputs, parameter_set=parameter_set)
    frame = framed(chosen, level, level, box=box)
    flow = frame.flow()
    return [frame.state_of(point) | character(eigenvalues(flow, point))
            for point in search(frame, np.array([level]))[0]]


def hopf_points(model: str | Model, over: str | None = None, *, low: object, high: object, points: int = 200,
                parameter_set: str | None = None, inputs: Mapping[str, object] | None = None,
                box: Mapping[str, Sequence] | None = None) -> list[float]:
    """Values of `over` (in its unit), ascending, where a pair of eigenvalues crosses the imaginary axis.

    The branch of equilibria is followed through folds from `low` until it leaves the range, in about `points` steps;
    two crossings inside one step go unseen, and so do branches that are not connected to it (`scan` follows those
    too). Errors: `UserError` for a range that is none, and where the branch does not leave it.
    """
    chosen = local(model, over, parameter_set=parameter_set, inputs=inputs)
    ends = chosen.read_level(low), chosen.read_level(high)
    frame = framed(chosen, *ends, box=box)
    branch = followed(frame, settle(frame, ends[0]), ends[0], high=ends[1], points=points)
    if not set(branch.ends) <= {"low", "high"}:
        raise UserError(f"{chosen.over}: the branch of equilibria does not leave {low} to {high}; give another range")
    return sorted(frame.input_of(one.point) for one in specials(branch) if one.kind == "hopf")


def followed(frame: Frame, start: np.ndarray, low: float, *, high: float, points: int) -> Branch:
    """The branch through an equilibrium (coordinates), from a low to a high value of what is scanned (SI).

    Errors: `UserError` for a range that is none.
    """
    if not low < high or (frame.logarithmic[-1] and low <= 0):
        raise UserError(f"{frame.local.over}: from {low:g} to {high:g} (SI) is not a range; give a lower and a higher "
                        "value")
    limits = frame.level(low), frame.level(high)
    return Branch(frame.flow(), start, limits, step=(limits[1] - limits[0]) / points, box=frame.widened())
