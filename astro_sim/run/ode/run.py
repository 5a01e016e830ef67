"""Run a plan whose model is ODEs alone: its records in one recording, or piece by piece."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from astro_sim.plan import Plan
from astro_sim.recording.collect import Columns, recorded
from astro_sim.recording.recording import Recording
from astro_sim.run.ode.outcome import records
from astro_sim.run.ode.solve import GaveUpError
from foundation.errors import UserError

Raw = dict[str, Columns]


@contextlib.contextmanager
def ticking(plan: Plan, progress: bool) -> Iterator[Callable[[float], None]]:
    """A function that takes the time reached (s) and shows it."""
    from foundation.cli import Progress

    with Progress(f"{plan.model.name}, {plan.duration:g} s", 1.0, quiet=not progress) as bar:
        yield lambda time: bar.update(time / plan.duration)


def solved(plan: Plan, progress: bool = False) -> tuple[Recording, UserError | None]:
    """What comes out, partial after Ctrl-C or where the solver gave up, and then why it did.

    Errors: `KeyboardInterrupt` before the first record, `UserError` where the solver cannot begin.
    """
    parts, stopped, problem = [], False, None
    with ticking(plan, progress) as tick:
        try:
            parts.extend(records(plan, tick))
        except KeyboardInterrupt:
            stopped = True
            if not parts:
                raise
        except GaveUpError as why:
            problem = gave_up(plan, why)
            if not parts:
                raise problem from why
    return recorded(plan, _joined(parts), partial=stopped or problem is not None), problem


def gave_up(plan: Plan, why: GaveUpError) -> UserError:
    """The error where the solver cannot go on."""
    return UserError(f"method: {plan.method} cannot go on at {why.when:g} s ({why}); look at the parameters, the "
                     "initial values and the protocol, give a larger rtol and atol, or take fixed steps with "
                     f"method = {plan.model.method}")


def _joined(parts: list[Raw]) -> Raw:
    if len(parts) == 1:
        return parts[0]
    return {name: Columns(np.concatenate([part[name].time for part in parts]),
                          {key: np.concatenate([part[name].values[key] for part in parts])
                           for key in one.values})
            for name, one in parts[0].items()}
