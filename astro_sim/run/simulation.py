"""Simulate a model under a protocol: check, build, run, check what came out.

    recording = simulate("li_rinzel:AM", "constant:input=ip3,value=0.5 umolar", duration="60 s", dt="2 ms")

A model that is ODEs alone is solved by scipy with error control (run/ode); dt is then the distance of the records. All
else is stepped by Brian2:

A state updater of order 4 (rk4) is of order 4 inside a population, whatever its inputs do: a step is cut where one of
them has a corner (parts.py). Sums over connections are taken at the middle of a step, so a model whose populations are
coupled is of second order in dt; with coupling_scheme = held they are those of its start, and the model of first order.
Spikes fall on steps: a given one on the nearest, one by a threshold on the end of the step in which it is passed.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from astro_sim.model import Model
from astro_sim.parameter import Amount
from astro_sim.plan import DEFAULT_DT, DEFAULT_DURATION, NOTHING, Plan, prepare
from astro_sim.plan.backend_choice import note_compiled
from astro_sim.protocols import Protocol
from astro_sim.recording.recording import Recording
from astro_sim.run.checks import find_problem
from astro_sim.run.estimate import STREAM_ABOVE, estimate, parse_size, refuse_if_too_large
from astro_sim.run.ode.run import solved
from foundation.errors import SHOWN, ResourceError, UserError

MOST_TRIED = 20_000  # steps of a trial for advice: some seconds


def simulate(model: str | Model, protocol: Protocol = None, *, parameter_set: str | None = None,
             parameters: Mapping = NOTHING, options: Mapping = NOTHING, initial: Mapping = NOTHING,
             duration: Amount = DEFAULT_DURATION, dt: Amount = DEFAULT_DT, method: str | None = None, seed: int = 0,
             backend: str = "auto", record_every: Amount | None = None, rtol: float | None = None,
             atol: float | None = None, progress: bool = False, memory_limit: str | int | None = None) -> Recording:
    """Simulate and return a `Recording` from 0 to the last whole step, which reaches or passes `duration`.

    model: a name of `MODELS`, "name:set", a `Model`, or "file.py:NAME" of one's own. protocol: a drive, text, or
    several; inputs without a drive keep their default. parameters, initial: name -> "VALUE UNIT". method: by default a
    solver with error control where the model is ODEs alone, with the tolerances rtol and atol (in the unit of each
    variable), else the model's own, in steps of dt. backend: by default that which an estimate finds quickest. Times:
    text with unit, or seconds. memory_limit: text such as "8 GB"; by default what is free on the machine.
    Errors: `ResourceError` with the estimate where memory does not suffice. `UserError` for bad input, and after the
    run when the result is not finite, leaves its bounds, alternates from step to step or jumps because dt is too large;
    the message then names a dt that passes. Alternation and jumps are seen only when every step is recorded.
    `Interrupted` on Ctrl-C, with what was recorded until then.
    """
    plan = prepare(model, protocol, parameter_set=parameter_set, parameters=parameters, options=options,
                   initial=initial, duration=duration, dt=dt, method=method, seed=seed, backend=backend,
                   record_every=record_every, rtol=rtol, atol=atol)
    return run(plan, progress=progress, memory_limit=parse_size(memory_limit, "memory_limit"))


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. `kept` is what was recorded until `reached` (s): a partial `Recording`, or the path of one."""

    def __init__(self, kept: Recording | Path, reached: float):
        super().__init__()
        self.kept, self.reached = kept, reached


def run(plan: Plan, *, progress: bool = False, memory_limit: int | None = None) -> Recording:
    """Run a checked plan. Raises `UserError` when what comes out cannot be right, `Interrupted` on Ctrl-C."""
    refuse_if_too_large(plan, estimate(plan, streamed=False), None, memory_limit=memory_limit)
    recording, given_up = solved(plan, progress) if plan.adaptive else (_run_unchecked(plan, progress), None)
    problem = find_problem(plan, recording)
    if problem:
        raise too_large_a_step(plan, problem)
    if given_up:
        raise given_up
    if recording.partial:
        raise Interrupted(recording, float(recording.time[-1]))
    return recording


def _run_unchecked(plan: Plan, progress: bool) -> Recording:
    """What comes out, whatever it is; partial after Ctrl-C."""
    from astro_sim.recording.collect import collect

    with ran(plan, progress) as (built, stopped):
        recording = collect(plan, built.monitors, built.events, partial=stopped)
    if not stopped and not len(recording.time):  # Brian2 goes on without code that could not be compiled
        raise not_compiled(plan, "nothing was recorded")
    return recording


@contextlib.contextmanager
def ran(plan: Plan, progress: bool, prepared: Callable = lambda built: None) -> Iterator[tuple]:
    """(Brian2's objects after the run, whether Ctrl-C stopped it); what they hold must be read inside.

    prepared: called with the objects before the run starts. Errors: `UserError` for what Brian2 refuses.
    """
    import brian2
    from brian2.core.base import BrianObjectException
    from brian2.utils.logger import catch_logs

    from astro_sim.brian import backend, network
    from foundation.cli import Progress

    whole = plan.steps_run * plan.dt
    # Brian2's warnings of NaN are caught: the checks say it with a remedy
    with (backend.opened(plan.backend, plan.seed) as device, np.errstate(all="ignore"), catch_logs(),
          Progress(f"{plan.model.name}, {plan.duration:g} s", 1.0, quiet=not progress) as bar):
        try:
            built = network.build(plan)
            prepared(built)
            report = (lambda elapsed, done, start, duration: bar.update(done)) if plan.backend != "cpp" else None
            with backend.ctrl_c_stops():
                built.network.run(whole * brian2.second, report=report, report_period=0.2 * brian2.second, namespace={})
            device.finish()
            if plan.backend == "cython":
                note_compiled(plan)
        except (brian2.DimensionMismatchError, BrianObjectException) as error:
            raise refused(plan, error.__cause__ or error) from error
        # Brian2 takes Ctrl-C itself and stops early without a word
        stopped = plan.backend != "cpp" and built.network.t / brian2.second < whole - plan.dt / 2
        if stopped and built.network.t / brian2.second < plan.dt / 2:
            raise KeyboardInterrupt  # before the first record
        yield built, stopped


def not_compiled(plan: Plan, said: object) -> ResourceError:
    """A compiler that is there and fails, as on a disk that is full."""
    text = " ".join(str(said).split())
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return ResourceError(f"backend {plan.backend}: compiling failed ({shown}); look whether the compiler works and has "
                         "room for its files, or use --backend numpy")


def refused(plan: Plan, cause: BaseException) -> UserError:
    """What Brian2 does not take, and what to do about it."""
    if isinstance(cause, ArithmeticError):
        largest = max(plan.parameters.items(), key=lambda one: abs(math.log10(abs(float(one[1].quantity())) or 1)))
        return UserError(f"parameters: too large or too small to compute with ({cause.args[-1]}); look at "
                         f"{largest[0]} = {largest[1].value:g} {largest[1].unit}")
    if isinstance(cause, OSError) or "distutils" in type(cause).__module__:
        return not_compiled(plan, cause)
    if "state updater" in str(cause):
        return UserError(f"method: {plan.method} does not fit {plan.model.name} ({cause}); choose {plan.model.method}")
    return UserError(f"model {plan.model.name}: Brian2 refuses it: {cause}")


def too_large_a_step(plan: Plan, problem: tuple[str, float]) -> UserError:
    """The error for a problem (what, time in seconds), with a smaller dt where one may help."""
    what, when = problem
    if when <= 0:
        return UserError(f"{what} at the start, whatever dt is; look at the initial values and the parameters")
    if plan.adaptive:
        return UserError(f"{what} at {when:g} s, solved to rtol = {plan.rtol:g}; look at the parameters, the initial "
                         "values and the protocol")
    return UserError(f"dt: {plan.dt:g} s is too large: {what} at {when:g} s; {_suggest(plan, when)}")


def _suggest(plan: Plan, when: float) -> str:
    """Try shorter steps up to the moment of failure; the first that passes is the advice."""
    trial = plan
    for _ in range(7):
        dt = float(f"{trial.dt / 4:.1g}")
        until = min(plan.duration, max(when + 20 * plan.dt, 20 * dt))
        trial = dataclasses.replace(plan, dt=dt, every=1, duration=until, backend="numpy")
        if trial.steps > MOST_TRIED:
            break
        if estimate(trial).recording > STREAM_ABOVE:
            return f"try dt = {dt:g} s"
        recording = _run_unchecked(trial, False)
        if recording.partial:
            raise KeyboardInterrupt
        if find_problem(trial, recording) is None:
            return f"dt = {dt:g} s passes there"
    return f"steps down to {trial.dt:g} s fail too: look at the parameters and the protocol"
