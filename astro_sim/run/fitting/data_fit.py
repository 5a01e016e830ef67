"""Fit a model to data by least squares: parameters, inputs and initial values, with intervals.

    found = fit("li_rinzel:AM", "calcium.csv", free={"ip3": "0.1:1", "K_P": (0.05, 0.2)})
    print(found); found.plot()

Starts are spread between the bounds; the best few are followed by a trust region. Intervals are profile-likelihood
ones, by the code of the derivation (foundation/fitting). Courses of several variables count by how closely each can be
followed: their sizes are taken from the residuals of a first fit.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.analysis.named import NAMED
from astro_sim.model import Model
from astro_sim.parameter import Amount, seconds
from astro_sim.plan import DEFAULT_DT, NOTHING, prepare
from astro_sim.protocols import Protocol
from astro_sim.run.fitting.freedom import Free, read_free
from astro_sim.run.fitting.observations import last_time, observations, renamed
from astro_sim.run.fitting.result import DataFit
from astro_sim.run.fitting.solution import fitted
from astro_sim.run.fitting.target import (
    Courses,
    Target,
    common_interval,
    courses,
    features_of,
    given_features,
)
from astro_sim.run.fitting.trials import Counter, Trials
from foundation.cli import Progress
from foundation.errors import UserError
from foundation.fitting.least_squares import check_data
from foundation.notes import Note

STARTS = 8  # for one that is free, and so many more for each other
MOST_STARTS = 100_000  # each is simulated


def fit(model: str | Model, data: Any, *, free: Mapping[str, Any], protocol: Protocol = None,
        features: Sequence[str] = (), variables: Sequence[str] = (), columns: Mapping[str, str] | None = None,
        parameter_set: str | None = None, parameters: Mapping = NOTHING, options: Mapping = NOTHING,
        initial: Mapping = NOTHING, duration: Amount | None = None, dt: Amount | None = None,
        method: str | None = None, backend: str | None = None, after: Amount | None = None,
        starts: int | None = None, seed: int = 0, intervals: bool = True, progress: bool = False) -> DataFit:
    """Fit what is free so that the model comes close to data.

    data: a CSV file with units in its heads ("t (s), C (uM)"), a pandas frame, a `Recording`, or names -> arrays, with
    "t" among them; or numbers of the whole course, as {"period(C)": "11.5 s"}. Cells may be missing. Python arrays
    without a unit are in seconds and the variable's unit. free: name -> (low, high), (low, high, start) or text
    "LOW:HIGH"; a name is a parameter, an input (held), or "initial.NAME". features: fit these numbers of the data
    instead of the courses. variables: which columns to fit (default: all); columns: name in the data -> in the model.
    after: left out when features are measured (default: half). starts: how many (default: 8 for each that is free);
    seed: of their places. All else as of `simulate`; duration: by default to the last time of the data.

    Errors: `UserError` for data, names or bounds that cannot be used; where no start can be simulated; and for what
    cannot be told from the data, by name.
    """
    common = {"model": model, "protocol": protocol, "parameter_set": parameter_set, "parameters": parameters,
              "options": options, "initial": initial, "method": method, **({"backend": backend} if backend else {})}
    numbers = isinstance(data, Mapping) and bool(data) and all(NAMED.fullmatch(str(name)) for name in data)
    if after is not None and not numbers and not features:
        raise UserError("after: is for features; courses are fitted from 0 s on: leave it out, or the first data")
    bare, table = not isinstance(data, str | Path), [] if numbers else renamed(data, columns)
    length = _duration(None if numbers else last_time(table, bare=bare), duration)
    with warnings.catch_warnings(action="ignore", category=Note):  # said below, of the steps that are taken
        plan = prepare(**common, duration=length, dt=min(max(1e-3, length / 1e7), length))
    chosen = read_free(free, plan)
    _check_given(chosen, parameters, initial)
    if plan.model.stochastic and not numbers and not features:
        raise UserError(f"fit: {plan.model.name} has noise, so the course of one seed is no prediction; fit the model "
                        "without noise, or features of the course")
    if numbers:
        target = given_features(data, plan, after)
    else:
        measured = observations(table, plan, variables=variables, bare=bare)
        target = features_of(measured, features, after) if features else courses(measured)
    _check_size(target, len(chosen))
    times, spread = _times(target, length, dt), _starts(chosen, starts, seed)
    with Progress(f"fit of {plan.model.name}", 1.0, quiet=not progress) as bar:
        counter = Counter(lambda count: bar.update(count / (count + 20), f"{count} simulations"))
        problem = Trials(chosen, target, common | times, counter)
        problem.plan(spread[0])  # refuses what cannot be simulated, and notes what is to be noted, once
        with warnings.catch_warnings(action="ignore", category=Note):
            return fitted(problem, spread, intervals=intervals)


def _duration(last: float | None, duration: Amount | None) -> float:
    """How long to simulate (s): as given, else to the last time of the data."""
    if duration is None and last is None:
        raise UserError("duration: numbers of a course have no last time; say how long to simulate, as in "
                        "duration='60 s'")
    if duration is None:
        if last == 0:
            raise UserError("data: all times are 0 s; there is nothing to simulate")
        return float(last)
    length = seconds(duration, "duration")
    if last is not None and last > length * (1 + 1e-9):
        raise UserError(f"duration: {length:g} s ends before the data, which go on to {last:g} s; leave it out, or "
                        "give data of that part")
    return length


def _check_given(chosen: Sequence[Free], parameters: Mapping, initial: Mapping) -> None:
    for one in chosen:
        if one.key in {"parameter": parameters, "initial": initial}.get(one.kind, {}):
            raise UserError(f"free: {one.name} is also given a value; leave it out there, or here")


def _check_size(target: Target, k: int) -> None:
    if isinstance(target, Courses):
        check_data(target.centred, k)
    elif len(target.names) < k:
        raise UserError(f"free: {k} are free and {len(target.names)} features are given; give as many features, or "
                        "free fewer")


def _times(target: Target, length: float, dt: Amount | None) -> dict[str, Any]:
    """Duration, step and recording interval: on the times of the data where they have a common interval."""
    longest, interval = seconds(DEFAULT_DT if dt is None else dt, "dt"), common_interval(target)
    if interval is None or interval > length:
        return {"duration": length, "dt": longest}
    parts = math.ceil(interval / longest * (1 - 1e-9))
    step = interval / parts
    return {"duration": length, "dt": step, "record_every": parts * step}


def _starts(free: Sequence[Free], count: int | None, seed: int) -> np.ndarray:
    """Shares [start, free]: those given first, then a Latin hypercube."""
    from scipy.stats import qmc

    count = STARTS * len(free) if count is None else count
    if not 1 <= count <= MOST_STARTS:
        raise UserError(f"starts: {count} is not allowed; give 1 to {MOST_STARTS:,}")
    spread = qmc.LatinHypercube(len(free), rng=np.random.default_rng(seed), scramble=len(free) > 1).random(count)
    given = [one.start for one in free]
    if any(start is not None for start in given):
        spread[0] = [0.5 if start is None else one.share(start) for one, start in zip(free, given, strict=True)]
    return spread
