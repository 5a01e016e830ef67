"""Simulate a model under a protocol: check, build, run, check what came out.

    recording = simulate("li_rinzel:AM", "constant:input=ip3,value=0.5 umolar", duration="60 s", dt="2 ms")

A state updater of order 4 (rk4) is of order 4 inside a population. Sums over connections are computed at the start of a
step and held over it, so a model whose populations are coupled (macro) is of first order in dt.
"""

import dataclasses

from astro_sim.plan import NOTHING, Plan, prepare
from astro_sim.recording import Recording
from foundation.errors import UserError

ALTERNATIONS = 8  # a resolved course does not turn back at each of so many consecutive steps
ROUNDING = 1e-6   # of the size of a variable: smaller changes may be rounding
JUMP = 0.5        # of a variable's range in one step: more is not resolved (unless an event caused it)


def simulate(model, protocol=None, *, parameter_set=None, parameters=NOTHING, options=NOTHING, initial=NOTHING,
             duration="60 s", dt="1 ms", method=None, seed=0, backend="numpy", record_every=None,
             progress=False) -> Recording:
    """Simulate and return a `Recording` from 0 to the last whole step, which reaches or passes `duration`.

    model: a name of `MODELS`, "name:set", or a `Model`. protocol: a drive, text, or several; inputs without a drive
    keep their default. parameters, initial: name -> "VALUE UNIT". method: the model's own where none is given. Times:
    text with unit, or seconds.
    Errors: `UserError` for bad input, and after the run when the result is not finite, leaves its bounds, alternates
    from step to step or jumps because dt is too large; the message then names a dt that passes. Alternation and jumps
    are seen only when every step is recorded.
    """
    plan = prepare(model, protocol, parameter_set=parameter_set, parameters=parameters, options=options,
                   initial=initial, duration=duration, dt=dt, method=method, seed=seed, backend=backend,
                   record_every=record_every)
    return run(plan, progress=progress)


def run(plan: Plan, *, progress: bool = False) -> Recording:
    """Run a checked plan. Raises `UserError` when what comes out cannot be right."""
    recording = _run_unchecked(plan, progress)
    problem = find_problem(plan, recording)
    if problem:
        what, when = problem
        raise UserError(f"dt: {plan.dt:g} s is too large: {what} at {when:g} s; {_suggest(plan, when)}")
    return recording


def _run_unchecked(plan: Plan, progress: bool) -> Recording:
    import brian2
    import numpy as np
    from brian2.core.base import BrianObjectException
    from brian2.utils.logger import catch_logs

    from astro_sim import backend, network, recording
    from foundation.cli import Progress

    whole = (plan.steps + 1) * plan.dt  # a monitor records at the start of a step: one more step shows the last state
    # Brian2's warnings of NaN are caught: `find_problem` says it with a remedy
    with (backend.opened(plan.backend, plan.seed) as device, np.errstate(all="ignore"), catch_logs(),
          Progress(f"{plan.model.name}, {plan.duration:g} s", 1.0, quiet=not progress) as bar):
        try:
            built = network.build(plan)
            report = (lambda elapsed, done, start, duration: bar.update(done)) if plan.backend != "cpp" else None
            built.network.run(whole * brian2.second, report=report, report_period=0.2 * brian2.second, namespace={})
            device.finish()
            if plan.backend != "cpp" and built.network.t / brian2.second < whole - plan.dt / 2:
                raise KeyboardInterrupt  # Brian2 takes Ctrl-C itself and stops early without a word
        except (brian2.DimensionMismatchError, BrianObjectException) as error:
            cause = error.__cause__ or error
            raise UserError(f"model {plan.model.name}: Brian2 refuses it: {cause}") from error
        return recording.collect(plan, built.monitors)


def find_problem(plan: Plan, recording: Recording) -> tuple[str, float] | None:
    """What is wrong with a recording and when (s): not finite, out of bounds, alternating, jumping; None if nothing."""
    found = []
    for name, series in recording.variables.items():
        for what, where in _symptoms(plan, name, series).items():
            if where.any():
                found.append((recording.time[where.any(axis=1).argmax()], f"{name} {what}"))
    if not found:
        return None
    when, what = min(found)
    return what, float(when)


def _symptoms(plan: Plan, name: str, series) -> dict:
    """What can be wrong with a variable -> where it is, bool (time, element)."""
    import numpy as np

    seen, values = plan.model.observables[name], series.values
    low, high = _bound(plan, seen.low, seen.unit, -np.inf), _bound(plan, seen.high, seen.unit, np.inf)
    slack = 1e-9 * max((abs(b) for b in (low, high) if np.isfinite(b)), default=0.0)
    bounds = f"leaves its bounds [{low:g}, {high:g}] {'' if seen.unit == '1' else seen.unit}".rstrip()
    with np.errstate(all="ignore"):
        found = {"is not finite": ~np.isfinite(values),
                 bounds: (values < low - slack) | (values > high + slack)}
        if plan.every == 1 and not plan.model.stochastic:  # cannot be seen when steps are left out or noise turns back
            found["turns back at every step"] = _alternates(values)
            if plan.model.continuous:
                found["changes by more than half of its range in a step"] = _jumps(values)
    return found


def _bound(plan: Plan, bound, unit: str, otherwise: float) -> float:
    from astro_sim.parameter import convert

    if callable(bound):
        return bound(plan)
    if isinstance(bound, str):
        parameter = plan.parameters[bound]
        return convert(parameter.value, parameter.unit, unit, bound)
    return otherwise if bound is None else bound


def _size(values):
    import numpy as np

    return np.max(np.where(np.isfinite(values), np.abs(values), 0.0), axis=0, initial=0.0)


def _alternates(values):
    """Where a value turned back at each of the last `ALTERNATIONS` steps, by more than rounding."""
    import numpy as np

    change = np.diff(values, axis=0)
    turns = (change[1:] * change[:-1] < 0) & (np.abs(change[1:]) > ROUNDING * _size(values))
    where = np.zeros(values.shape, bool)
    if len(turns) >= ALTERNATIONS:
        runs = np.lib.stride_tricks.sliding_window_view(turns, ALTERNATIONS, axis=0).all(axis=-1)
        where[ALTERNATIONS + 1:] = runs
    return where


def _jumps(values):
    """Where a value changed by more than `JUMP` of its range in one step, in a run long enough to have a range."""
    import numpy as np

    where = np.zeros(values.shape, bool)
    span = values.max(axis=0) - values.min(axis=0)
    if len(values) > 10:
        where[1:] = (np.abs(np.diff(values, axis=0)) > JUMP * span) & (span > ROUNDING * _size(values))
    return where


def _suggest(plan: Plan, when: float) -> str:
    """Try shorter steps up to the moment of failure; the first that passes is the advice."""
    trial = plan
    for _ in range(7):
        dt = float(f"{trial.dt / 4:.1g}")
        until = min(plan.duration, max(when + 20 * plan.dt, 20 * dt))
        trial = dataclasses.replace(plan, dt=dt, every=1, duration=until, backend="numpy")
        if find_problem(trial, _run_unchecked(trial, False)) is None:
            return f"dt = {dt:g} s passes there"
    return f"steps down to {trial.dt:g} s fail too: look at the parameters and the protocol"
